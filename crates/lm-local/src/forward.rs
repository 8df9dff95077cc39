use std::sync::Arc;

use weights::{Architecture, Checkpoint, Part};

use crate::adapter::{Loaded, STAGES};
use crate::block::{self, Block, Buffers};
use crate::kernels::{
    Attention, Delta, Finish, Inner, Kernels, LANES, LowRank, Norm, Order, Pack, Packed, Product, Row, Segment, Table,
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
    groups: Vec<(usize, usize)>,
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
        // Keys and values are f32 or f16.
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
        // A block has at most fourteen phases, with adapters; the head has two.
        let phases = model.blocks.len() * 14 + 2;
        Ok(Self { pool: Pool::new(threads, phases).map_err(Error::Threads)?, model })
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
        let model = &mut self.model;
        let (a, rows) = (&model.architecture, batch.rows.len());
        assert!(rows <= model.most_rows, "a step fits its buffers");
        let embedding = model.embedding.as_ref().unwrap_or(&model.head);
        let stride = model.buffers.x_stride;
        for (row, x) in batch.rows.iter().zip(model.buffers.x.get_mut().chunks_exact_mut(stride)) {
            embedding.row(row.token as usize, &mut x[..a.width]);
        }
        let wanted: Vec<u32> = (0..rows).filter(|r| batch.rows[*r].logits).map(|r| r as u32).collect();
        assert!(wanted.len() <= model.most_logits, "logits fit their buffer");
        let size = (rows * a.kv_heads / (self.pool.count() * 3)).clamp(1, Buffers::group(a));
        let groups = (0..rows).step_by(size).map(|first| (first, size.min(rows - first))).collect();
        let count = if batch.adapters.is_empty() { 0 } else { a.blocks * STAGES.len() };
        let delta = |row: &Row, at: usize| {
            Some(&batch.adapters[row.adapter? as usize].deltas[at / STAGES.len()][at % STAGES.len()])
        };
        let deltas = (0..count).map(|at| batch.rows.iter().map(|row| delta(row, at)).collect()).collect();
        let step = Step { batch, groups, wanted, deltas };
        let model = &self.model;
        self.pool.run(&|worker| model.run(worker, &step));
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
        self.pool.run(&|worker| {
            worker.each(count, 1, |span| {
                for i in span {
                    work(i, &logits[i * stride..i * stride + vocab], &table);
                }
            });
        });
    }
}

impl Model {
    fn run(&self, worker: &mut Worker<'_>, step: &Step<'_>) {
        let (b, rows) = (&self.buffers, step.batch.rows.len());
        let table = &self.table;
        // Few rows are packed by every thread for itself, which takes less time than a phase.
        let few = rows <= 8 && step.deltas.is_empty();
        let stage = |worker: &mut Worker<'_>, at: usize, task: Pack<'_>, weights, bias, finish, to, stride| {
            let input = if few { &b.own[worker.index] } else { &b.packed };
            let task = Pack { to: input, ..task };
            let low = step.deltas.get(at).map(|rows| LowRank { rows, inner: &b.inner, stride: b.inner_stride });
            if !few {
                table.pack(worker, &task);
            }
            if let Some(low) = low {
                table.inner(worker, &Inner { low, from: &b.plain, width: task.blocks * 32 });
            }
            let product = Product { weights, input, rows, bias, low, finish, to, stride };
            table.product(worker, few.then_some(&task), &product);
        };
        for (n, block) in self.blocks.iter().enumerate() {
            let task = self.pack(step, &b.x, b.x_stride, Some(&block.attention_norm));
            stage(worker, n * 4, task, &block.qkv, block.bias.as_deref(), Finish::Store, &b.qkv, b.qkv_stride);
            let attention = self.attention(step, n, block);
            table.keep(worker, &attention);
            table.attend(worker, &attention);
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
        let task = Pack {
            rows: step.wanted.len(),
            index: Some(&step.wanted),
            copy: None,
            ..self.pack(step, &b.x, b.x_stride, Some(&self.final_norm))
        };
        table.pack(worker, &task);
        let head = Product {
            weights: &self.head,
            input: &b.packed,
            rows: step.wanted.len(),
            bias: None,
            low: None,
            finish: Finish::Store,
            to: &b.logits,
            stride: b.logits_stride,
        };
        table.product(worker, None, &head);
    }

    fn pack<'a>(&'a self, step: &Step<'_>, from: &'a Shared<f32>, stride: usize, norm: Option<&'a [f32]>) -> Pack<'a> {
        Pack {
            from,
            stride,
            rows: step.batch.rows.len(),
            index: None,
            norm: norm.map(|weight| Norm { weight, eps: self.architecture.norm_eps, width: self.architecture.width }),
            blocks: stride / 32,
            to: &self.buffers.packed,
            copy: (!step.deltas.is_empty()).then_some(&self.buffers.plain),
        }
    }

    fn attention<'a>(&'a self, step: &'a Step<'_>, n: usize, block: &'a Block) -> Attention<'a> {
        let (a, b) = (&self.architecture, &self.buffers);
        let layer = Attention::layer_len(a.kv_heads, a.head_dim);
        let (keys, values) = block.offsets();
        Attention {
            rows: &step.batch.rows,
            paths: &step.batch.paths,
            groups: &step.groups,
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
