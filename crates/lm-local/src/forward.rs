use std::sync::Arc;
use std::time::{Duration, Instant};

use weights::{Architecture, Checkpoint, Part};

use crate::adapter::{Loaded, STAGES};
use crate::block::{self, Block, Buffers};
use crate::clock::{Clock, Stage};
use crate::kernels::{
    Attention, Delta, Finish, Group, Inner, Item, Kernels, LANES, LowRank, Norm, Octet, Order, Pack, Packed, Product,
    Row, Segment, Table,
};
use crate::pool::{Pool, Shared, Worker};
use crate::{Config, Error, Precision, Result};

/// What one step computes.
#[derive(Default)]
pub(crate) struct Batch {
    pub rows: Vec<Row>,
    /// Where the keys and values of each path lie; a path covers every position up to its rows'.
    pub paths: Vec<Vec<Segment>>,
    /// Adapters that rows name by their place here.
    pub adapters: Vec<Arc<Loaded>>,
}

/// The weights, the pages and the buffers of a step; computes logits for rows of tokens.
pub(crate) struct Decoder {
    pool: Pool,
    model: Model,
    clock: Arc<Clock>,
    /// When the last step's logits had been read, if somebody asks for times.
    read: Option<Instant>,
}

struct Model {
    architecture: Architecture,
    pages: usize,
    most_rows: usize,
    most_logits: usize,
    table: Table,
    blocks: Vec<Block>,
    final_norm: Vec<f32>,
    head: Packed,
    embedding: Option<Packed>,
    cos: Vec<f32>,
    sin: Vec<f32>,
    keys_values: Shared<u16>,
    buffers: Buffers,
}

/// What the threads of a step read besides the model.
struct Step<'a> {
    batch: &'a Batch,
    /// Whether each thread takes rows of its own through the whole step.
    own: bool,
    octets: Vec<Octet>,
    /// The same of the rows whose logits are needed.
    head_own: bool,
    head_octets: Vec<Octet>,
    groups: Vec<Group>,
    /// For each group what attention does.
    items: Vec<Vec<Item>>,
    /// In how many parts attention works on the queries of a kv head.
    parts: usize,
    /// Rows whose logits are needed.
    wanted: Vec<u32>,
    /// For each block and stage, each row's part of its adapter; empty without adapters.
    deltas: Vec<Vec<Option<&'a Delta>>>,
}

impl Decoder {
    /// Reads and repacks a checkpoint.
    pub fn new(checkpoint: &Checkpoint, config: &Config, kernels: Kernels, threads: usize) -> Result<Self> {
        let a = checkpoint.architecture.clone();
        if !a.head_dim.is_multiple_of(16) || a.head_dim > 1024 {
            let problem = format!("has heads of {} values; multiples of 16 up to 1024 are computed", a.head_dim);
            return Err(Error::Unsupported { model: checkpoint.name.clone(), problem });
        }
        let table = Table::new(kernels).ok_or_else(|| Error::Config {
            field: "kernels",
            problem: format!("asks for {}, which this processor lacks; leave it out", kernels.name()),
        })?;
        let exact = config.precision == Precision::F32;
        let page_len = a.blocks * Attention::layer_len(a.kv_heads, a.head_dim);
        // Keys and values are f32 or bf16.
        let value = if exact { 4 } else { 2 };
        let pages = config.memory_mb * (1 << 20) / (page_len * value);
        if pages < 2 {
            let least = (2 * page_len * value).div_ceil(1 << 20);
            let problem = format!("holds {pages} pages of {LANES} tokens; give at least {least}");
            return Err(Error::Config { field: "memory_mb", problem });
        }
        let blocks = (0..a.blocks).map(|n| Block::new(checkpoint, n, exact)).collect::<Result<Vec<_>>>()?;
        let head = Packed::new(&[&checkpoint.matrix(Part::Head)?], Order::Sequence, exact);
        let embedding = match a.tied_head {
            true => None,
            false => Some(Packed::new(&[&checkpoint.matrix(Part::Embedding)?], Order::Sequence, exact)),
        };
        let frequencies = a.rope.frequencies(a.head_dim);
        let mut cos = Vec::with_capacity(a.context * a.head_dim / 2);
        let mut sin = Vec::with_capacity(a.context * a.head_dim / 2);
        for position in 0..a.context {
            for frequency in &frequencies {
                let angle = position as f64 * f64::from(*frequency);
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
        }
        let most_rows = config.batch_rows;
        let most_logits = most_rows.min(64);
        let model = Model {
            pages,
            most_rows,
            most_logits,
            table,
            final_norm: block::norm(checkpoint, Part::FinalNorm)?,
            blocks,
            head,
            embedding,
            cos,
            sin,
            keys_values: Shared::new(0, pages * page_len * value / 2),
            buffers: Buffers::new(&a, config, most_logits, threads),
            architecture: a,
        };
        // A block has at most fourteen phases, with adapters; embedding and head have four.
        let phases = model.blocks.len() * 14 + 4;
        let pool = Pool::new(threads, phases).map_err(Error::Threads)?;
        Ok(Self { pool, model, clock: Arc::default(), read: None })
    }

    /// Where the time goes.
    pub fn clock(&self) -> Arc<Clock> {
        self.clock.clone()
    }

    /// Pages for keys and values.
    pub fn pages(&self) -> usize {
        self.model.pages
    }

    /// Rows of a step at most, and how many of them can have logits.
    pub fn most(&self) -> (usize, usize) {
        (self.model.most_rows, self.model.most_logits)
    }

    /// Bytes of weights that a step reads.
    pub fn weight_bytes(&self) -> usize {
        let block = |b: &Block| b.qkv.bytes() + b.output.bytes() + b.gate_up.bytes() + b.down.bytes();
        self.model.blocks.iter().map(block).sum::<usize>() + self.model.head.bytes()
    }

    /// Makes room for an adapter.
    pub fn prepare(&mut self, adapter: &Loaded) {
        self.model.buffers.prepare(adapter.rank, self.model.most_rows);
    }

    /// Computes a step: keys and values of its rows, and logits of rows that ask for them.
    pub fn step(&mut self, batch: &Batch) {
        let watch = self.clock.watch(self.read);
        if self.read.take().is_some() {
            watch.lap(Stage::Between, Duration::ZERO);
        }
        let model = &self.model;
        let (a, rows) = (&model.architecture, batch.rows.len());
        assert!(rows <= model.most_rows, "a step fits its buffers");
        let wanted: Vec<u32> = (0..rows).filter(|r| batch.rows[*r].logits).map(|r| r as u32).collect();
        assert!(wanted.len() <= model.most_logits, "logits fit their buffer");
        let threads = self.pool.count();
        // Where the other core's results come from far, many rows are quicker if each thread does
        // everything for some, though all threads then read all weights.
        let shares = |rows: usize| if rows > 4 * threads { threads } else { 1 };
        let (octets, head_octets) =
            (Octet::split(rows, shares(rows)), Octet::split(wanted.len(), shares(wanted.len())));
        let own = shares(rows) == threads;
        let size = match own {
            true => Buffers::group(a),
            false => (rows * a.kv_heads / (threads * 3)).clamp(1, Buffers::group(a)),
        };
        let mut groups = Vec::new();
        for (i, octet) in octets.iter().enumerate() {
            let group = |first| Group { first: octet.first + first, count: size.min(octet.count - first), octet: i };
            groups.extend((0..octet.count).step_by(size).map(group));
        }
        // Too few units would leave threads without work.
        let parts = if !own && groups.len() * a.kv_heads < threads * 3 { a.heads / a.kv_heads } else { 1 };
        let queries = a.heads / a.kv_heads / parts;
        let list = |group: &Group| {
            model.table.list(&batch.rows[group.first..group.first + group.count], &batch.paths, queries)
        };
        let items = groups.iter().map(list).collect();
        let head_own = shares(wanted.len()) == threads && threads > 1;
        let count = if batch.adapters.is_empty() { 0 } else { a.blocks * STAGES.len() };
        let delta = |row: &Row, at: usize| {
            Some(&batch.adapters[row.adapter? as usize].deltas[at / STAGES.len()][at % STAGES.len()])
        };
        let deltas = (0..count).map(|at| batch.rows.iter().map(|row| delta(row, at)).collect()).collect();
        let step = Step { batch, own, octets, head_own, head_octets, groups, items, parts, wanted, deltas };
        watch.lap(Stage::Begin, Duration::ZERO);
        let (model, clock) = (&self.model, &self.clock);
        self.pool.run(&|worker| model.run(worker, &step, clock));
    }

    /// Logits of the i-th row of the last step that asked for them.
    pub fn logits(&mut self, i: usize) -> &[f32] {
        let (stride, vocab) = (self.model.buffers.logits_stride, self.model.architecture.vocab);
        &self.model.buffers.logits.get_mut()[i * stride..i * stride + vocab]
    }

    /// Looks at the logits of all `count` rows at once: `work` gets a row's number, its logits and
    /// the kernels, on any thread, each row once.
    pub fn each_row(&mut self, count: usize, work: &(dyn Fn(usize, &[f32], &Table) + Sync)) {
        let (stride, vocab) = (self.model.buffers.logits_stride, self.model.architecture.vocab);
        let table = self.model.table;
        let logits: &[f32] = self.model.buffers.logits.get_mut();
        let watch = self.clock.watch(None);
        self.pool.run(&|worker| {
            worker.each(count, 1, |span| {
                for i in span {
                    work(i, &logits[i * stride..i * stride + vocab], &table);
                }
            });
        });
        watch.lap(Stage::Read, Duration::ZERO);
        self.read = watch.last.get();
    }
}

impl Model {
    fn run(&self, worker: &mut Worker<'_>, step: &Step<'_>, clock: &Clock) {
        let watch = (worker.index == 0).then(|| clock.watch(None));
        worker.waited = watch.as_ref().and_then(|watch| watch.last.get()).map(|_| Duration::ZERO);
        let lap = |worker: &mut Worker<'_>, at: Stage| {
            if let (Some(watch), Some(waited)) = (&watch, &mut worker.waited) {
                watch.lap(at, std::mem::take(waited));
            }
        };
        let (b, rows) = (&self.buffers, step.batch.rows.len());
        let table = &self.table;
        let embedding = self.embedding.as_ref().unwrap_or(&self.head);
        let own = step.own.then_some(&step.octets[..]);
        table.embed(worker, own, embedding, &step.batch.rows, (&b.x, b.x_stride, self.architecture.width));
        lap(worker, Stage::Begin);
        // Few rows are packed by every thread for itself, which takes less time than a phase.
        let few = rows <= 8 && !step.own && step.deltas.is_empty();
        let stage = |worker: &mut Worker<'_>, at: usize, task: Pack<'_>, weights, bias, finish, to, stride| {
            let input = if few { &b.own[worker.index] } else { &b.packed };
            let task = Pack { to: input, ..task };
            let low = step.deltas.get(at).map(|rows| LowRank { rows, inner: &b.inner, stride: b.inner_stride });
            if !few {
                table.pack(worker, step.own, &task);
                lap(worker, Stage::Pack);
            }
            if let Some(low) = low {
                let task = Inner { low, from: &b.plain, stride: b.plain_stride, width: task.blocks * 32 };
                table.inner(worker, own, &task);
            }
            let octets = &step.octets[..];
            let product = Product { weights, input, octets, turn: (0, 1), bias, low, finish, to, stride };
            match step.own {
                true => table.product_own(worker, &product),
                false => table.product(worker, few.then_some(&task), &product),
            }
            lap(worker, [Stage::QueryKeyValue, Stage::Output, Stage::GateUp, Stage::Down][at % STAGES.len()]);
        };
        for (n, block) in self.blocks.iter().enumerate() {
            let task = self.pack(step, &b.x, b.x_stride, Some(&block.attention_norm));
            stage(worker, n * 4, task, &block.qkv, block.bias.as_deref(), Finish::Store, &b.qkv, b.qkv_stride);
            let attention = self.attention(step, n, block);
            table.keep(worker, own, &attention);
            lap(worker, Stage::Keep);
            table.attend(worker, step.own, &attention);
            lap(worker, Stage::Attend);
            let task = self.pack(step, &b.attended, b.attended_stride, None);
            stage(worker, n * 4 + 1, task, &block.output, None, Finish::Add, &b.x, b.x_stride);
            let task = self.pack(step, &b.x, b.x_stride, Some(&block.feed_forward_norm));
            stage(worker, n * 4 + 2, task, &block.gate_up, None, Finish::Gate, &b.hidden, b.hidden_stride);
            let task = self.pack(step, &b.hidden, b.hidden_stride, None);
            stage(worker, n * 4 + 3, task, &block.down, None, Finish::Add, &b.x, b.x_stride);
        }
        if step.wanted.is_empty() {
            return;
        }
        if step.own && step.octets != step.head_octets {
            // The last rows are others' than those that the head takes.
            worker.meet();
        }
        let task = Pack {
            octets: &step.head_octets,
            index: Some(&step.wanted),
            copy: None,
            ..self.pack(step, &b.x, b.x_stride, Some(&self.final_norm))
        };
        table.pack(worker, step.head_own, &task);
        lap(worker, Stage::Pack);
        let head = Product {
            weights: &self.head,
            input: &b.packed,
            octets: &step.head_octets,
            turn: (0, 1),
            bias: None,
            low: None,
            finish: Finish::Store,
            to: &b.logits,
            stride: b.logits_stride,
        };
        match step.head_own {
            true => table.product_own(worker, &head),
            false => table.product(worker, None, &head),
        }
        lap(worker, Stage::Head);
    }

    fn pack<'a>(
        &'a self,
        step: &'a Step<'_>,
        from: &'a Shared<f32>,
        stride: usize,
        norm: Option<&'a [f32]>,
    ) -> Pack<'a> {
        Pack {
            from,
            stride,
            octets: &step.octets,
            index: None,
            norm: norm.map(|weight| Norm { weight, eps: self.architecture.norm_eps, width: self.architecture.width }),
            blocks: stride / 32,
            to: &self.buffers.packed,
            copy: (!step.deltas.is_empty()).then_some((&self.buffers.plain, self.buffers.plain_stride)),
        }
    }

    fn attention<'a>(&'a self, step: &'a Step<'_>, n: usize, block: &'a Block) -> Attention<'a> {
        let (a, b) = (&self.architecture, &self.buffers);
        let layer = Attention::layer_len(a.kv_heads, a.head_dim);
        let (keys, values) = block.offsets();
        Attention {
            rows: &step.batch.rows,
            groups: &step.groups,
            items: &step.items,
            parts: step.parts,
            qkv: &b.qkv,
            stride: b.qkv_stride,
            keys,
            values,
            heads: a.heads,
            kv_heads: a.kv_heads,
            head_dim: a.head_dim,
            pages: &self.keys_values,
            exact: b.packed.exact,
            page: layer * a.blocks,
            layer: layer * n,
            cos: &self.cos,
            sin: &self.sin,
            norms: block.head_norms.as_ref().map(|(query, key)| (&query[..], &key[..], a.norm_eps)),
            to: &b.attended,
            to_stride: b.attended_stride,
            scratch: &b.scratch,
            scratch_len: b.scratch_len,
        }
    }
}
