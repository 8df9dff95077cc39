use rayon::prelude::*;
use weights::{Architecture, Checkpoint, Part, Projection};

use crate::layout::{INPUTS, Layout};
use crate::ops::head::Head;
use crate::ops::linear::Linear;
use crate::ops::matrix::Store;
use crate::ops::rope::{Angles, Heads};
use crate::ops::{ROWS, attention, rms_norm, rope, swiglu};
use crate::pack::Row;
use crate::tape::{Kept, Scratch, Tape};
use crate::{Error, Result};

/// A decoder of the Llama family with frozen f32 weights and low-rank pairs beside its projections.
///
/// x = E_token; a block adds O·attention(RoPE(q), RoPE(k), v) with q, k, v of RMSNorm(x), then
/// Down·(silu(gate) ∘ up) with gate, up of RMSNorm(x); logits = Head·RMSNorm(x).
pub struct Model {
    /// The numbers of the model.
    pub architecture: Architecture,
    /// Where its low-rank pairs stand in the vector of parameters.
    pub layout: Layout,
    threads: usize,
    heads: Heads,
    angles: Angles,
    embedding: Vec<f32>,
    head: Option<Vec<f32>>,
    final_norm: Vec<f32>,
    blocks: Vec<Block>,
}

/// The frozen weights of a block; projections of one input are one matrix.
struct Block {
    attention_norm: Vec<f32>,
    feed_forward_norm: Vec<f32>,
    /// Gains of query and key heads.
    head_norms: Option<(Vec<f32>, Vec<f32>)>,
    bias: Option<Vec<f32>>,
    matrices: [Vec<f32>; 4],
}

impl Model {
    /// Takes the weights out of `base` as f32. `positions` is the longest sequence that will be fed,
    /// `threads` those of the rayon pool in which the model will run.
    pub fn new(base: &Checkpoint, layout: Layout, positions: usize, threads: usize) -> Result<Self> {
        let architecture = base.architecture.clone();
        if positions > architecture.context {
            let problem = format!("is {positions}, but the model's context has {} tokens", architecture.context);
            return Err(Error::Setting { setting: "row_tokens", problem });
        }
        let vector = |part| base.matrix(part).map(weights::Matrix::into_f32);
        let mut blocks = Vec::with_capacity(architecture.blocks);
        for block in 0..architecture.blocks {
            let mut matrices = [const { Vec::new() }; 4];
            for (matrix, group) in matrices.iter_mut().zip(INPUTS) {
                let parts: Vec<Part> = group.iter().map(|&p| Part::Projection(block, p)).collect();
                *matrix = stacked(base, &parts)?;
            }
            let biases = [Projection::Q, Projection::K, Projection::V].map(|p| Part::Bias(block, p));
            blocks.push(Block {
                attention_norm: vector(Part::AttentionNorm(block))?,
                feed_forward_norm: vector(Part::FeedForwardNorm(block))?,
                head_norms: match architecture.qk_norm {
                    true => Some((vector(Part::QueryNorm(block))?, vector(Part::KeyNorm(block))?)),
                    false => None,
                },
                bias: if architecture.qkv_bias { Some(stacked(base, &biases)?) } else { None },
                matrices,
            });
        }
        let heads = Heads {
            kv: architecture.kv_heads,
            group: architecture.heads / architecture.kv_heads,
            dim: architecture.head_dim,
        };
        Ok(Self {
            angles: Angles::new(&architecture.rope.frequencies(architecture.head_dim), positions),
            embedding: stacked(base, &[Part::Embedding])?,
            head: if architecture.tied_head { None } else { Some(stacked(base, &[Part::Head])?) },
            final_norm: vector(Part::FinalNorm)?,
            architecture,
            layout,
            threads,
            heads,
            blocks,
        })
    }

    /// Buffers for rows of up to `capacity` tokens.
    pub fn tape(&self, capacity: usize) -> Tape {
        Tape::new(&self.architecture, &self.layout, capacity)
    }

    fn linear<'a>(&'a self, block: usize, input: usize, parameters: &'a [f32]) -> Linear<'a> {
        let shape = |&p| self.architecture.shape(Part::Projection(block, p));
        Linear {
            weight: &self.blocks[block].matrices[input],
            inputs: shape(&INPUTS[input][0]).1,
            outputs: INPUTS[input].iter().map(|p| shape(p).0).sum(),
            bias: if input == 0 { self.blocks[block].bias.as_deref() } else { None },
            low_rank: &self.layout.blocks[block][input],
            parameters,
            threads: self.threads,
        }
    }

    fn head(&self) -> Head<'_> {
        Head {
            weight: self.head.as_deref().unwrap_or(&self.embedding),
            vocab: self.architecture.vocab,
            width: self.architecture.width,
            threads: self.threads,
        }
    }

    /// Runs all blocks over a row; the last one's output stands in `tape.x`.
    fn forward(&self, parameters: &[f32], row: &Row, tape: &mut Tape) {
        let (tokens, width) = (row.tokens.len(), self.architecture.width);
        assert!(tokens <= tape.capacity, "a row of {tokens} tokens needs a longer tape");
        let first = match tape.blocks.first_mut() {
            Some(block) => &mut block.x,
            None => &mut tape.x,
        };
        for (x, &token) in first.chunks_exact_mut(width).zip(&row.tokens) {
            x.copy_from_slice(&self.embedding[token as usize * width..][..width]);
        }
        for block in 0..self.blocks.len() {
            let (before, after) = tape.blocks.split_at_mut(block + 1);
            let out = after.first_mut().map_or(&mut tape.x, |next| &mut next.x);
            self.forward_block(
                block,
                parameters,
                row,
                &mut before[block],
                &mut tape.scratch,
                &mut out[..tokens * width],
            );
        }
    }

    fn forward_block(
        &self,
        n: usize,
        parameters: &[f32],
        row: &Row,
        kept: &mut Kept,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let (a, block, tokens) = (&self.architecture, &self.blocks[n], row.tokens.len());
        let all = tokens * a.width;
        let (x, normed) = (&kept.x[..all], &mut scratch.normed[..all]);
        let [u_qkv, u_o, u_gate_up, u_down] = &mut kept.u;

        rms_norm::forward(x, &block.attention_norm, a.norm_eps, normed, &mut kept.inverse[..tokens]);
        let rows = &mut scratch.rows[..tokens * self.heads.row()];
        self.linear(n, 0, parameters).forward(normed, Store::Set, rows, u_qkv);
        if let Some((query, key)) = &block.head_norms {
            let inverse = &mut kept.head_inverse[..tokens * (a.heads + a.kv_heads)];
            let heads = rms_norm::HeadNorms {
                stride: self.heads.row(),
                query,
                key,
                query_heads: a.heads,
                key_heads: a.kv_heads,
            };
            heads.forward(rows, a.norm_eps, &mut kept.raw, inverse);
        }
        rope::forward(rows, &row.positions, &self.angles, self.heads, &mut kept.by_head);
        let attended = &mut kept.attention[..tokens * self.heads.queries()];
        attention::forward(&kept.by_head, &row.segments, self.heads, attended, &mut kept.log_sums);
        let middle = &mut kept.middle[..all];
        copy(x, middle);
        self.linear(n, 1, parameters).forward(attended, Store::Add, middle, u_o);

        rms_norm::forward(middle, &block.feed_forward_norm, a.norm_eps, normed, &mut kept.middle_inverse[..tokens]);
        let gate_up = &mut kept.gate_up[..tokens * 2 * a.hidden];
        self.linear(n, 2, parameters).forward(normed, Store::Set, gate_up, u_gate_up);
        let hidden = &mut scratch.hidden[..tokens * a.hidden];
        swiglu::forward(gate_up, hidden, a.hidden);
        copy(middle, out);
        self.linear(n, 3, parameters).forward(hidden, Store::Add, out, u_down);
    }

    /// Gathers the rows that carry loss, normalises them, and leaves their losses in the scratch.
    fn head_losses(&self, row: &Row, weight: f32, tape: &mut Tape, with_gradient: bool) -> f64 {
        let (width, count) = (self.architecture.width, row.learned.len());
        let Scratch { gathered, d_gathered, d_normed, normed, inverse, losses, logits, .. } = &mut tape.scratch;
        for (to, learned) in gathered.chunks_exact_mut(width).zip(&row.learned) {
            to.copy_from_slice(&tape.x[learned.at as usize * width..][..width]);
        }
        let (gathered, normed) = (&gathered[..count * width], &mut normed[..count * width]);
        rms_norm::forward(gathered, &self.final_norm, self.architecture.norm_eps, normed, &mut inverse[..count]);
        let targets: Vec<u32> = row.learned.iter().map(|l| l.target).collect();
        let losses = &mut losses[..count];
        let dy = with_gradient.then_some(&mut d_normed[..count * width]);
        self.head().losses(normed, &targets, weight, logits, dy, losses);
        if with_gradient {
            let dx = &mut d_gathered[..count * width];
            dx.fill(0.0);
            rms_norm::backward(gathered, &inverse[..count], &self.final_norm, &d_normed[..count * width], dx);
        }
        losses.iter().map(|&loss| f64::from(loss)).sum()
    }

    /// Sum of the losses of a row's learned tokens, in nats.
    pub fn loss(&self, parameters: &[f32], row: &Row, tape: &mut Tape) -> f64 {
        self.forward(parameters, row, tape);
        self.head_losses(row, 1.0, tape, false)
    }

    /// Sum of the losses of a row's learned tokens; adds the gradient of `weight` · that sum to
    /// `gradient` (as long as the layout).
    pub fn gradient(&self, parameters: &[f32], row: &Row, weight: f32, tape: &mut Tape, gradient: &mut [f32]) -> f64 {
        self.forward(parameters, row, tape);
        let loss = self.head_losses(row, weight, tape, true);
        let (tokens, width) = (row.tokens.len(), self.architecture.width);
        let Tape { blocks, scratch, .. } = tape;
        scratch.dx[..tokens * width].fill(0.0);
        for (from, learned) in scratch.d_gathered.chunks_exact(width).zip(&row.learned) {
            scratch.dx[learned.at as usize * width..][..width].copy_from_slice(from);
        }
        for (n, kept) in blocks.iter_mut().enumerate().rev() {
            self.backward_block(n, parameters, row, kept, scratch, gradient);
        }
        loss
    }

    /// Turns the gradient of the block's output, in `scratch.dx`, into that of its input.
    fn backward_block(
        &self,
        n: usize,
        parameters: &[f32],
        row: &Row,
        kept: &mut Kept,
        scratch: &mut Scratch,
        gradient: &mut [f32],
    ) {
        let (a, block, tokens) = (&self.architecture, &self.blocks[n], row.tokens.len());
        let all = tokens * a.width;
        let [u_qkv, u_o, u_gate_up, u_down] = &kept.u;
        let Scratch { normed, rows, hidden, dx, d_normed, d_attention, d_by_head, partial, e, .. } = scratch;
        let (normed, dx, d_normed) = (&mut normed[..all], &mut dx[..all], &mut d_normed[..all]);

        let (down, hidden) = (self.linear(n, 3, parameters), &mut hidden[..tokens * a.hidden]);
        down.backward(dx, u_down, e, Some((Store::Set, hidden)), gradient);
        let gate_up = &mut kept.gate_up[..tokens * 2 * a.hidden];
        swiglu::backward(gate_up, hidden, a.hidden);
        down.backward_a(hidden, e, gradient);

        let (middle, inverse) = (&kept.middle[..all], &kept.middle_inverse[..tokens]);
        let linear = self.linear(n, 2, parameters);
        linear.backward(gate_up, u_gate_up, e, Some((Store::Set, d_normed)), gradient);
        rms_norm::again(middle, inverse, &block.feed_forward_norm, normed);
        linear.backward_a(normed, e, gradient);
        rms_norm::backward(middle, inverse, &block.feed_forward_norm, d_normed, dx);

        let linear = self.linear(n, 1, parameters);
        let attended = tokens * self.heads.queries();
        linear.backward(dx, u_o, e, Some((Store::Set, &mut d_attention[..attended])), gradient);
        linear.backward_a(&kept.attention[..attended], e, gradient);
        let forward = attention::Kept {
            x: &kept.by_head,
            out: &kept.attention[..attended],
            log_sums: &kept.log_sums,
            d_out: &d_attention[..attended],
        };
        attention::backward(&forward, &row.segments, self.heads, d_by_head, partial);
        let rows = &mut rows[..tokens * self.heads.row()];
        rope::backward(d_by_head, &row.positions, &self.angles, self.heads, rows);
        if let Some((query, key)) = &block.head_norms {
            let heads = rms_norm::HeadNorms {
                stride: self.heads.row(),
                query,
                key,
                query_heads: a.heads,
                key_heads: a.kv_heads,
            };
            heads.backward(rows, &kept.raw, &kept.head_inverse);
        }
        let linear = self.linear(n, 0, parameters);
        let (x, inverse) = (&kept.x[..all], &kept.inverse[..tokens]);
        // Nothing below the first block is trained, so its input needs no gradient.
        let to = (n > 0).then_some((Store::Set, &mut *d_normed));
        linear.backward(rows, u_qkv, e, to, gradient);
        rms_norm::again(x, inverse, &block.attention_norm, normed);
        linear.backward_a(normed, e, gradient);
        if n > 0 {
            rms_norm::backward(x, inverse, &block.attention_norm, d_normed, dx);
        }
    }

    /// Logits of the rows `at` of a packed row, `at.len()` × vocab.
    pub fn logits(&self, parameters: &[f32], row: &Row, at: &[usize], tape: &mut Tape) -> Vec<f32> {
        self.forward(parameters, row, tape);
        let width = self.architecture.width;
        let gathered: Vec<f32> = at.iter().flat_map(|&t| tape.x[t * width..][..width].iter().copied()).collect();
        let (mut normed, mut inverse) = (vec![0.0; gathered.len()], vec![0.0; at.len()]);
        rms_norm::forward(&gathered, &self.final_norm, self.architecture.norm_eps, &mut normed, &mut inverse);
        let mut logits = vec![0.0; at.len() * self.architecture.vocab];
        self.head().logits(&normed, &mut logits);
        logits
    }
}

/// Several parts one below the other as numbers.
fn stacked(base: &Checkpoint, parts: &[Part]) -> Result<Vec<f32>> {
    let size = |&part: &Part| base.architecture.shape(part);
    let mut all = Vec::with_capacity(parts.iter().map(size).map(|(rows, columns)| rows * columns).sum());
    for &part in parts {
        let matrix = base.matrix(part)?;
        let start = all.len();
        all.resize(start + matrix.rows * matrix.cols, 0.0);
        for (row, out) in all[start..].chunks_exact_mut(matrix.cols).enumerate() {
            matrix.row(row, out);
        }
    }
    Ok(all)
}

fn copy(from: &[f32], to: &mut [f32]) {
    const BLOCK: usize = ROWS * 1024;
    (from.par_chunks(BLOCK), to.par_chunks_mut(BLOCK)).into_par_iter().for_each(|(from, to)| to.copy_from_slice(from));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Example;
    use crate::ops::check;
    use crate::pack::pack;
    use weights::Family;

    /// Llama, and a made-up relative with everything that the others have: biases, norms of heads,
    /// an untied head, three query heads on one key-value head.
    fn architectures() -> [Architecture; 2] {
        let small = Architecture { width: 32, head_dim: 8, hidden: 40, vocab: 272, ..Architecture::tiny() };
        let all = Architecture {
            family: Family::Qwen3,
            heads: 3,
            kv_heads: 1,
            qkv_bias: true,
            qk_norm: true,
            tied_head: false,
            ..small.clone()
        };
        [small, all]
    }

    fn model(architecture: Architecture, rank: usize) -> (Model, Vec<f32>) {
        let base = Checkpoint::random(architecture, 3).expect("works");
        let layout = Layout::new(&base.architecture, rank, 2.0 * rank as f32, Projection::ALL.into());
        let parameters = check::noise(5, layout.length).iter().map(|x| x * 0.2).collect();
        (Model::new(&base, layout, 100, 2).expect("works"), parameters)
    }

    fn examples() -> Vec<Example> {
        let one = |(length, learned_from): (usize, usize)| Example {
            id: String::new(),
            tokens: [7, 8, 9].into_iter().chain((3..length).map(|t| (t * 31 + length * 17) as u32 % 272)).collect(),
            learned_from,
        };
        [(40, 5), (9, 6), (12, 4), (4, 3)].map(one).into()
    }

    #[test]
    fn gradients_of_every_pair_match_finite_differences() {
        for architecture in architectures() {
            let (model, parameters) = model(architecture, 2);
            let mut tape = model.tape(100);
            let rows = pack(&examples().iter().collect::<Vec<_>>(), 2, 100);
            assert_eq!(rows.len(), 1);
            let mut gradient = vec![0.0; parameters.len()];
            let loss = model.gradient(&parameters, &rows[0], 1.0, &mut tape, &mut gradient);
            assert_eq!(loss.to_bits(), model.loss(&parameters, &rows[0], &mut tape).to_bits());
            for low_rank in model.layout.blocks.iter().flatten() {
                let places = std::iter::once(&low_rank.a).chain(low_rank.members.iter().map(|m| &m.b));
                for place in places {
                    // Every third number of each matrix, to stay quick; three divides no width here.
                    let chosen: Vec<usize> = place.clone().step_by(3).collect();
                    let pick = |from: &[f32]| chosen.iter().map(|&i| from[i]).collect::<Vec<f32>>();
                    let mut moved = parameters.clone();
                    check::gradient(&pick(&parameters), &pick(&gradient), |values| {
                        chosen.iter().zip(values).for_each(|(&i, &value)| moved[i] = value);
                        model.loss(&moved, &rows[0], &mut tape)
                    });
                }
            }
        }
    }

    #[test]
    fn packing_behind_a_shared_prefix_changes_nothing() {
        for architecture in architectures() {
            let (model, parameters) = model(architecture, 3);
            let mut tape = model.tape(100);
            let examples = examples();
            let run = |rows: &[Row], tape: &mut Tape| {
                let mut gradient = vec![0.0; parameters.len()];
                let losses = rows.iter().map(|row| model.gradient(&parameters, row, 0.1, tape, &mut gradient));
                (losses.sum::<f64>(), gradient)
            };
            let packed = run(&pack(&examples.iter().collect::<Vec<_>>(), 2, 100), &mut tape);
            let alone: Vec<Row> = examples.iter().map(|e| Row::single(&e.tokens, e.learned_from)).collect();
            let alone = run(&alone, &mut tape);
            assert!((packed.0 / alone.0 - 1.0).abs() < 1e-6, "{} {}", packed.0, alone.0);
            let largest = alone.1.iter().fold(0f32, |m, g| m.max(g.abs()));
            let apart = packed.1.iter().zip(&alone.1).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(apart < 1e-5 * largest, "gradients differ by {apart} of {largest}");
        }
    }

    #[test]
    fn a_token_depends_on_nothing_after_it_or_beside_it() {
        let (model, parameters) = model(architectures()[1].clone(), 3);
        let mut tape = model.tape(100);
        let tokens: Vec<u32> = (0..30).map(|t| t * 7 % 272).collect();
        let mut other = tokens.clone();
        other[20] = 3;
        let alone = model.logits(&parameters, &Row::prompt(&tokens), &[19, 29], &mut tape);
        let beside = model.logits(&parameters, &Row::prompts(&[&other, &tokens]), &[19, 39], &mut tape);
        let vocab = model.architecture.vocab;
        let apart =
            |at: usize| (0..vocab).map(|i| (alone[at * vocab + i] - beside[at * vocab + i]).abs()).fold(0.0, f32::max);
        // Row 19 of both is the shared prefix; row 29 of the first is row 39 of the second.
        assert!(apart(0) < 1e-5 && apart(1) < 1e-5, "{} {}", apart(0), apart(1));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let base = Checkpoint::random(Architecture::tiny(), 3).expect("works");
        let run = |threads| {
            let layout = Layout::new(&base.architecture, 4, 8.0, Projection::ALL.into());
            let parameters: Vec<f32> = check::noise(5, layout.length).iter().map(|x| x * 0.2).collect();
            let model = Model::new(&base, layout, 256, threads).expect("works");
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("works");
            pool.install(|| {
                let tokens: Vec<u32> = (0..200).map(|t| t * 13 % 320).collect();
                let mut gradient = vec![0.0; parameters.len()];
                let row = Row::single(&tokens, 1);
                (model.gradient(&parameters, &row, 1.0, &mut model.tape(256), &mut gradient), gradient)
            })
        };
        assert!(run(1) == run(2) && run(1) == run(3));
    }
}
