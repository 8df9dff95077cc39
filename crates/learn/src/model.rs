use rayon::prelude::*;
use weights::{Architecture, Checkpoint, Part};

use crate::layout::{INPUTS, Layout};
use crate::ops::head::{Head, Wanted};
use crate::ops::linear::{Linear, Trained};
use crate::ops::matrix::Store;
use crate::ops::rope::{Angles, Heads};
use crate::ops::{ROWS, attention, rms_norm, rope, swiglu};
use crate::pack::Row;
use crate::places::Places;
use crate::tape::{Kept, Scratch, Tape};
use crate::{Error, Result};

/// A decoder of the Llama family: frozen f32 weights with low-rank pairs beside the projections, or
/// weights that are themselves the parameters, as the layout has it.
///
/// x = E_token; a block adds O·attention(RoPE(q), RoPE(k), v) with q, k, v of RMSNorm(x), then
/// Down·(silu(gate) ∘ up) with gate, up of RMSNorm(x); logits = Head·RMSNorm(x).
pub struct Model {
    /// The numbers of the model.
    pub architecture: Architecture,
    /// What is trained, and where it stands in the vector of parameters.
    pub layout: Layout,
    threads: usize,
    heads: Heads,
    angles: Angles,
    places: Places,
    /// All weights; empty where the parameters are the weights.
    frozen: Vec<f32>,
}

impl Model {
    /// Takes frozen weights out of `base` as f32. `positions` is the longest sequence that will be fed,
    /// `threads` those of the rayon pool in which the model will run.
    pub fn new(base: &Checkpoint, layout: Layout, positions: usize, threads: usize) -> Result<Self> {
        let architecture = base.architecture.clone();
        if positions > architecture.context {
            let problem = format!("is {positions}, but the model's context has {} tokens", architecture.context);
            return Err(Error::Setting { setting: "row_tokens", problem });
        }
        let heads = Heads {
            kv: architecture.kv_heads,
            group: architecture.heads / architecture.kv_heads,
            dim: architecture.head_dim,
        };
        let places = Places::new(&architecture);
        Ok(Self {
            angles: Angles::new(&architecture.rope.frequencies(architecture.head_dim), positions),
            frozen: if layout.whole { Vec::new() } else { places.read(base)? },
            architecture,
            layout,
            threads,
            heads,
            places,
        })
    }

    /// Buffers for rows of up to `capacity` tokens.
    pub fn tape(&self, capacity: usize) -> Tape {
        Tape::new(&self.architecture, &self.layout, capacity)
    }

    fn weights<'a>(&'a self, parameters: &'a [f32]) -> &'a [f32] {
        if self.layout.whole { parameters } else { &self.frozen }
    }

    fn linear<'a>(&'a self, block: usize, input: usize, parameters: &'a [f32]) -> Linear<'a> {
        let shape = |&p| self.architecture.shape(Part::Projection(block, p));
        let (weights, place) = (self.weights(parameters), &self.places.blocks[block]);
        let (matrix, bias) = (&place.matrices[input], place.bias.as_ref().filter(|_| input == 0));
        let trained = Trained { weight: matrix.start, bias: bias.map(|bias| bias.start) };
        Linear {
            weight: &weights[matrix.clone()],
            trained: self.layout.whole.then_some(trained),
            inputs: shape(&INPUTS[input][0]).1,
            outputs: INPUTS[input].iter().map(|p| shape(p).0).sum(),
            bias: bias.map(|bias| &weights[bias.clone()]),
            low_rank: &self.layout.blocks[block][input],
            parameters,
            threads: self.threads,
        }
    }

    fn head<'a>(&'a self, parameters: &'a [f32]) -> Head<'a> {
        Head {
            weight: &self.weights(parameters)[self.places.head.clone()],
            vocab: self.architecture.vocab,
            width: self.architecture.width,
            threads: self.threads,
        }
    }

    /// Norms of query and key heads, where the model has such.
    fn head_norms<'a>(&'a self, block: usize, parameters: &'a [f32]) -> Option<rms_norm::HeadNorms<'a>> {
        let place = self.places.blocks[block].head_norms.clone()?;
        let (query, key) = self.weights(parameters)[place].split_at(self.heads.dim);
        let (query_heads, key_heads) = (self.architecture.heads, self.architecture.kv_heads);
        Some(rms_norm::HeadNorms { stride: self.heads.row(), query, key, query_heads, key_heads })
    }

    /// Runs all blocks over a row; the last one's output stands in `tape.x`.
    fn forward(&self, parameters: &[f32], row: &Row, tape: &mut Tape) {
        let (tokens, width) = (row.tokens.len(), self.architecture.width);
        assert!(tokens <= tape.capacity, "a row of {tokens} tokens needs a longer tape");
        let first = match tape.blocks.first_mut() {
            Some(block) => &mut block.x,
            None => &mut tape.x,
        };
        let embedding = &self.weights(parameters)[self.places.embedding.clone()];
        for (x, &token) in first.chunks_exact_mut(width).zip(&row.tokens) {
            x.copy_from_slice(&embedding[token as usize * width..][..width]);
        }
        for block in 0..self.architecture.blocks {
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
        let (a, place, tokens) = (&self.architecture, &self.places.blocks[n], row.tokens.len());
        let (all, weights) = (tokens * a.width, self.weights(parameters));
        let (x, normed) = (&kept.x[..all], &mut scratch.normed[..all]);
        let [u_qkv, u_o, u_gate_up, u_down] = &mut kept.u;

        let gain = &weights[place.attention_norm.clone()];
        rms_norm::forward(x, gain, a.norm_eps, normed, &mut kept.inverse[..tokens]);
        let rows = &mut scratch.rows[..tokens * self.heads.row()];
        self.linear(n, 0, parameters).forward(normed, Store::Set, rows, u_qkv);
        if let Some(norms) = self.head_norms(n, parameters) {
            let inverse = &mut kept.head_inverse[..tokens * (a.heads + a.kv_heads)];
            norms.forward(rows, a.norm_eps, &mut kept.raw, inverse);
        }
        rope::forward(rows, &row.positions, &self.angles, self.heads, &mut kept.by_head);
        let attended = &mut kept.attention[..tokens * self.heads.queries()];
        attention::forward(&kept.by_head, &row.segments, self.heads, attended, &mut kept.log_sums);
        let middle = &mut kept.middle[..all];
        copy(x, middle);
        self.linear(n, 1, parameters).forward(attended, Store::Add, middle, u_o);

        let gain = &weights[place.feed_forward_norm.clone()];
        rms_norm::forward(middle, gain, a.norm_eps, normed, &mut kept.middle_inverse[..tokens]);
        let gate_up = &mut kept.gate_up[..tokens * 2 * a.hidden];
        self.linear(n, 2, parameters).forward(normed, Store::Set, gate_up, u_gate_up);
        let hidden = &mut scratch.hidden[..tokens * a.hidden];
        swiglu::forward(gate_up, hidden, a.hidden);
        copy(middle, out);
        self.linear(n, 3, parameters).forward(hidden, Store::Add, out, u_down);
    }

    /// Gathers the rows that carry loss, normalises them, and leaves their losses in the scratch; with
    /// `gradient`, also the gradient of the gathered rows and, where trained, of head and norm.
    fn head_losses(
        &self,
        parameters: &[f32],
        row: &Row,
        weight: f32,
        tape: &mut Tape,
        mut gradient: Option<&mut [f32]>,
    ) -> f64 {
        let (width, count) = (self.architecture.width, row.learned.len());
        let gain = &self.weights(parameters)[self.places.final_norm.clone()];
        let Scratch { gathered, d_gathered, d_normed, normed, inverse, targets, losses, logits, .. } =
            &mut tape.scratch;
        targets.clear();
        targets.extend(row.learned.iter().map(|learned| learned.target));
        for (to, learned) in gathered.chunks_exact_mut(width).zip(&row.learned) {
            to.copy_from_slice(&tape.x[learned.at as usize * width..][..width]);
        }
        let (gathered, normed) = (&gathered[..count * width], &mut normed[..count * width]);
        let (inverse, losses, dy) = (&mut inverse[..count], &mut losses[..count], &mut d_normed[..count * width]);
        rms_norm::forward(gathered, gain, self.architecture.norm_eps, normed, inverse);
        let wanted = gradient.as_deref_mut().map(|gradient| Wanted {
            dx: &mut *dy,
            dw: if self.layout.whole { Some(&mut gradient[self.places.head.clone()]) } else { None },
        });
        self.head(parameters).losses(normed, targets, weight, logits, wanted, losses);
        if let Some(gradient) = gradient {
            let dx = &mut d_gathered[..count * width];
            dx.fill(0.0);
            if self.layout.whole {
                rms_norm::backward_gain(gathered, inverse, dy, &mut gradient[self.places.final_norm.clone()]);
            }
            rms_norm::backward(gathered, inverse, gain, dy, dx);
        }
        losses.iter().map(|&loss| f64::from(loss)).sum()
    }

    /// Sum of the losses of a row's learned tokens, in nats.
    pub fn loss(&self, parameters: &[f32], row: &Row, tape: &mut Tape) -> f64 {
        self.forward(parameters, row, tape);
        self.head_losses(parameters, row, 1.0, tape, None)
    }

    /// Sum of the losses of a row's learned tokens; adds the gradient of `weight` · that sum to
    /// `gradient` (as long as the layout).
    pub fn gradient(&self, parameters: &[f32], row: &Row, weight: f32, tape: &mut Tape, gradient: &mut [f32]) -> f64 {
        self.forward(parameters, row, tape);
        let loss = self.head_losses(parameters, row, weight, tape, Some(gradient));
        let (tokens, width) = (row.tokens.len(), self.architecture.width);
        let Tape { blocks, scratch, .. } = tape;
        scratch.dx[..tokens * width].fill(0.0);
        for (from, learned) in scratch.d_gathered.chunks_exact(width).zip(&row.learned) {
            scratch.dx[learned.at as usize * width..][..width].copy_from_slice(from);
        }
        for (n, kept) in blocks.iter_mut().enumerate().rev() {
            self.backward_block(n, parameters, row, kept, scratch, gradient);
        }
        if self.layout.whole {
            let embedding = &mut gradient[self.places.embedding.clone()];
            for (dx, &token) in scratch.dx.chunks_exact(width).zip(&row.tokens) {
                let to = &mut embedding[token as usize * width..][..width];
                to.iter_mut().zip(dx).for_each(|(to, dx)| *to += dx);
            }
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
        let (a, place, tokens) = (&self.architecture, &self.places.blocks[n], row.tokens.len());
        let (all, weights, whole) = (tokens * a.width, self.weights(parameters), self.layout.whole);
        let [u_qkv, u_o, u_gate_up, u_down] = &kept.u;
        let Scratch { normed, rows, hidden, dx, d_normed, d_attention, d_by_head, partial, e, .. } = scratch;
        let (normed, dx, d_normed) = (&mut normed[..all], &mut dx[..all], &mut d_normed[..all]);

        let (down, hidden) = (self.linear(n, 3, parameters), &mut hidden[..tokens * a.hidden]);
        down.backward(dx, u_down, e, Some((Store::Set, hidden)), gradient);
        let gate_up = &mut kept.gate_up[..tokens * 2 * a.hidden];
        swiglu::backward(gate_up, hidden, a.hidden);
        down.backward_weights(hidden, dx, e, gradient);

        let (middle, inverse) = (&kept.middle[..all], &kept.middle_inverse[..tokens]);
        let linear = self.linear(n, 2, parameters);
        linear.backward(gate_up, u_gate_up, e, Some((Store::Set, d_normed)), gradient);
        let gain = &weights[place.feed_forward_norm.clone()];
        rms_norm::again(middle, inverse, gain, normed);
        linear.backward_weights(normed, gate_up, e, gradient);
        if whole {
            rms_norm::backward_gain(middle, inverse, d_normed, &mut gradient[place.feed_forward_norm.clone()]);
        }
        rms_norm::backward(middle, inverse, gain, d_normed, dx);

        let linear = self.linear(n, 1, parameters);
        let attended = tokens * self.heads.queries();
        linear.backward(dx, u_o, e, Some((Store::Set, &mut d_attention[..attended])), gradient);
        linear.backward_weights(&kept.attention[..attended], dx, e, gradient);
        let forward = attention::Kept {
            x: &kept.by_head,
            out: &kept.attention[..attended],
            log_sums: &kept.log_sums,
            d_out: &d_attention[..attended],
        };
        attention::backward(&forward, &row.segments, self.heads, d_by_head, partial);
        let rows = &mut rows[..tokens * self.heads.row()];
        rope::backward(d_by_head, &row.positions, &self.angles, self.heads, rows);
        if let Some(norms) = self.head_norms(n, parameters) {
            if let Some(place) = place.head_norms.clone().filter(|_| whole) {
                norms.backward_gains(rows, &kept.raw, &kept.head_inverse, &mut gradient[place]);
            }
            norms.backward(rows, &kept.raw, &kept.head_inverse);
        }
        let linear = self.linear(n, 0, parameters);
        let (x, inverse) = (&kept.x[..all], &kept.inverse[..tokens]);
        // Only a trained embedding, norm or lower block needs the gradient of the block's input.
        let below = n > 0 || whole;
        let to = below.then_some((Store::Set, &mut *d_normed));
        linear.backward(rows, u_qkv, e, to, gradient);
        let gain = &weights[place.attention_norm.clone()];
        rms_norm::again(x, inverse, gain, normed);
        linear.backward_weights(normed, rows, e, gradient);
        if whole {
            rms_norm::backward_gain(x, inverse, d_normed, &mut gradient[place.attention_norm.clone()]);
        }
        if below {
            rms_norm::backward(x, inverse, gain, d_normed, dx);
        }
    }

    /// Logits of the rows `at` of a packed row, `at.len()` × vocab.
    pub fn logits(&self, parameters: &[f32], row: &Row, at: &[usize], tape: &mut Tape) -> Vec<f32> {
        self.forward(parameters, row, tape);
        let width = self.architecture.width;
        let gathered: Vec<f32> = at.iter().flat_map(|&t| tape.x[t * width..][..width].iter().copied()).collect();
        let (mut normed, mut inverse) = (vec![0.0; gathered.len()], vec![0.0; at.len()]);
        let gain = &self.weights(parameters)[self.places.final_norm.clone()];
        rms_norm::forward(&gathered, gain, self.architecture.norm_eps, &mut normed, &mut inverse);
        let mut logits = vec![0.0; at.len() * self.architecture.vocab];
        self.head(parameters).logits(&normed, &mut logits);
        logits
    }
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
    use weights::{Family, Projection};

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
    fn gradients_of_every_tensor_match_finite_differences() {
        for architecture in architectures() {
            let base = Checkpoint::random(architecture, 3).expect("works");
            let model = Model::new(&base, Layout::whole(&base.architecture), 100, 1).expect("works");
            let parameters = model.places.read(&base).expect("works");
            let mut tape = model.tape(100);
            let rows = pack(&examples().iter().collect::<Vec<_>>(), 2, 100);
            let mut gradient = vec![0.0; parameters.len()];
            let loss = model.gradient(&parameters, &rows[0], 1.0, &mut tape, &mut gradient);
            assert_eq!(loss.to_bits(), model.loss(&parameters, &rows[0], &mut tape).to_bits());
            for (part, matrix) in model.places.tensors(&model.architecture, &gradient) {
                // Some numbers of each tensor, those of the largest gradients among them.
                let all = matrix.into_f32();
                let place = model.places.place(part);
                let mut order: Vec<usize> = (0..all.len()).collect();
                order.sort_by(|&a, &b| all[b].abs().total_cmp(&all[a].abs()));
                let few = all.len().div_ceil(24).max(8);
                let chosen: Vec<usize> = order.into_iter().step_by(few.min(all.len() / 8).max(1)).collect();
                let pick = |from: &[f32]| chosen.iter().map(|&i| from[place.start + i]).collect::<Vec<f32>>();
                let mut moved = parameters.clone();
                check::gradient(&pick(&parameters), &pick(&gradient), |values| {
                    chosen.iter().zip(values).for_each(|(&i, &value)| moved[place.start + i] = value);
                    model.loss(&moved, &rows[0], &mut tape)
                });
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
        let run = |threads, whole| {
            let pairs = Layout::new(&base.architecture, 4, 8.0, Projection::ALL.into());
            let layout = if whole { Layout::whole(&base.architecture) } else { pairs };
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
        for whole in [false, true] {
            assert!(run(1, whole) == run(2, whole) && run(1, whole) == run(3, whole));
        }
    }
}
