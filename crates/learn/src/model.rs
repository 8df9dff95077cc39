use std::time::Instant;

use weights::{Architecture, Checkpoint, Part};

use crate::block::Pass;
use crate::layout::{INPUTS, Layout};
use crate::ops::head::{CHUNK, Head, Wanted};
use crate::ops::linear::{Linear, Trained};
use crate::ops::rms_norm;
use crate::ops::rope::{Angles, Heads};
use crate::pack::Row;
use crate::places::Places;
use crate::tape::{Scratch, Tape};
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
    pub(crate) heads: Heads,
    pub(crate) angles: Angles,
    pub(crate) places: Places,
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

    /// Buffers for rows of up to `capacity` tokens; a longer row makes them grow. With `recompute` they
    /// take less memory and a step more time.
    pub fn tape(&self, capacity: usize, recompute: bool) -> Tape {
        Tape::new(&self.architecture, &self.layout, capacity, recompute)
    }

    pub(crate) fn weights<'a>(&'a self, parameters: &'a [f32]) -> &'a [f32] {
        if self.layout.whole { parameters } else { &self.frozen }
    }

    pub(crate) fn linear<'a>(&'a self, block: usize, input: usize, parameters: &'a [f32]) -> Linear<'a> {
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
    pub(crate) fn head_norms<'a>(&'a self, block: usize, parameters: &'a [f32]) -> Option<rms_norm::HeadNorms<'a>> {
        let place = self.places.blocks[block].head_norms.clone()?;
        let (query, key) = self.weights(parameters)[place].split_at(self.heads.dim);
        let (query_heads, key_heads) = (self.architecture.heads, self.architecture.kv_heads);
        Some(rms_norm::HeadNorms { stride: self.heads.row(), query, key, query_heads, key_heads })
    }

    /// Runs all blocks over a row; the last one's output stands behind all inputs of the tape.
    fn forward(&self, parameters: &[f32], row: &Row, tape: &mut Tape) {
        let (tokens, width, begin) = (row.tokens.len(), self.architecture.width, Instant::now());
        if tokens > tape.capacity {
            let (spent, recompute) = (tape.spent, tape.recompute);
            // The old buffers go before the new ones come.
            *tape = self.tape(0, recompute);
            *tape = Tape { spent, ..self.tape(tokens, recompute) };
        }
        let embedding = &self.weights(parameters)[self.places.embedding.clone()];
        for (x, &token) in tape.inputs[0].chunks_exact_mut(width).zip(&row.tokens) {
            x.copy_from_slice(&embedding[token as usize * width..][..width]);
        }
        for block in 0..self.architecture.blocks {
            let (before, after) = tape.inputs.split_at_mut(block + 1);
            let kept = &mut tape.blocks[if tape.recompute { 0 } else { block }];
            let out = Some(&mut after[0][..]);
            let pass = Pass { block, x: &before[block], parameters, row };
            self.forward_block(pass, kept, &mut tape.scratch, out);
        }
        tape.spent.forward += begin.elapsed();
    }

    /// Gathers and normalises the rows that carry loss, after [`Model::forward`].
    fn gather(&self, parameters: &[f32], row: &Row, tape: &mut Tape) {
        let (width, count) = (self.architecture.width, row.learned.len());
        let Scratch { gathered, d_gathered, d_normed, normed, inverse, targets, losses, logits, .. } =
            &mut tape.scratch;
        // A place where sequences part has several targets, so there can be more of them than tokens.
        for buffer in [&mut *gathered, d_gathered, d_normed, normed] {
            grow(buffer, count * width);
        }
        grow(inverse, count);
        grow(logits, CHUNK.min(count) * self.architecture.vocab);
        losses.clear();
        losses.resize(count, 0.0);
        targets.clear();
        targets.extend(row.learned.iter().map(|learned| learned.target));
        let x = &tape.inputs[self.architecture.blocks];
        for (to, learned) in gathered.chunks_exact_mut(width).zip(&row.learned) {
            to.copy_from_slice(&x[learned.at as usize * width..][..width]);
        }
        let gain = &self.weights(parameters)[self.places.final_norm.clone()];
        let (gathered, normed) = (&gathered[..count * width], &mut normed[..count * width]);
        rms_norm::forward(gathered, gain, self.architecture.norm_eps, normed, &mut inverse[..count]);
    }

    /// Losses of the gathered rows, left in the scratch.
    fn losses(&self, parameters: &[f32], row: &Row, tape: &mut Tape) {
        let begin = Instant::now();
        self.gather(parameters, row, tape);
        let Scratch { normed, targets, losses, logits, .. } = &mut tape.scratch;
        let normed = &normed[..row.learned.len() * self.architecture.width];
        self.head(parameters).losses(normed, targets, logits, None, losses);
        tape.spent.head += begin.elapsed();
    }

    /// As [`Model::losses`], and the gradient of the gathered rows and, where trained, of head and norm.
    fn head_gradient(&self, parameters: &[f32], row: &Row, weigh: Weigh<'_>, tape: &mut Tape, gradient: &mut [f32]) {
        let (width, count, whole) = (self.architecture.width, row.learned.len(), self.layout.whole);
        let (weights, scales) = match weigh {
            Weigh::By(weights) => (weights.to_vec(), None),
            // Weights of tokens that are known only after their losses: where the head is trained, it runs a
            // second time with them; else the gradient of each row is its weight times that of weight 1.
            Weigh::After(weigh) if whole => {
                self.losses(parameters, row, tape);
                (weigh(&tape.scratch.losses), None)
            }
            Weigh::After(weigh) => (vec![1.0; count], Some(weigh)),
        };
        assert_eq!(weights.len(), count, "a weight for each learned token");
        let begin = Instant::now();
        self.gather(parameters, row, tape);
        let Scratch { gathered, d_gathered, d_normed, normed, inverse, targets, losses, logits, .. } =
            &mut tape.scratch;
        let (gathered, normed) = (&gathered[..count * width], &normed[..count * width]);
        let (inverse, dy) = (&inverse[..count], &mut d_normed[..count * width]);
        let dw = if whole { Some(&mut gradient[self.places.head.clone()]) } else { None };
        let wanted = Wanted { weights: &weights, dx: &mut *dy, dw };
        self.head(parameters).losses(normed, targets, logits, Some(wanted), losses);
        if let Some(weigh) = scales {
            let weights = weigh(losses);
            assert_eq!(weights.len(), count, "a weight for each learned token");
            let rows = dy.chunks_exact_mut(width).zip(weights);
            rows.for_each(|(dy, weight)| dy.iter_mut().for_each(|dy| *dy *= weight));
        }
        let dx = &mut d_gathered[..count * width];
        dx.fill(0.0);
        let gain = &self.weights(parameters)[self.places.final_norm.clone()];
        if whole {
            rms_norm::backward_gain(gathered, inverse, dy, &mut gradient[self.places.final_norm.clone()]);
        }
        rms_norm::backward(gathered, inverse, gain, dy, dx);
        tape.spent.head += begin.elapsed();
    }

    /// From the gradient of the gathered rows down to that of the embedding.
    fn backward(&self, parameters: &[f32], row: &Row, tape: &mut Tape, gradient: &mut [f32]) {
        let (tokens, width, begin) = (row.tokens.len(), self.architecture.width, Instant::now());
        let Tape { inputs, blocks, scratch, recompute, spent, .. } = tape;
        scratch.dx[..tokens * width].fill(0.0);
        for (from, learned) in scratch.d_gathered.chunks_exact(width).zip(&row.learned) {
            let to = &mut scratch.dx[learned.at as usize * width..][..width];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
        for (block, x) in inputs[..self.architecture.blocks].iter().enumerate().rev() {
            let kept = &mut blocks[if *recompute { 0 } else { block }];
            let pass = Pass { block, x, parameters, row };
            if *recompute {
                self.forward_block(pass, kept, scratch, None);
            }
            self.backward_block(pass, kept, scratch, gradient);
        }
        if self.layout.whole {
            let embedding = &mut gradient[self.places.embedding.clone()];
            for (dx, &token) in scratch.dx.chunks_exact(width).zip(&row.tokens) {
                let to = &mut embedding[token as usize * width..][..width];
                to.iter_mut().zip(dx).for_each(|(to, dx)| *to += dx);
            }
        }
        spent.backward += begin.elapsed();
    }

    /// Logarithm of the probability of each learned token, in nats.
    pub fn log_probabilities(&self, parameters: &[f32], row: &Row, tape: &mut Tape) -> Vec<f32> {
        self.forward(parameters, row, tape);
        self.losses(parameters, row, tape);
        tape.scratch.losses.iter().map(|loss| -loss).collect()
    }

    /// Sum of the losses of all answers' targets, in nats; a target that answers share counts for each.
    pub fn loss(&self, parameters: &[f32], row: &Row, tape: &mut Tape) -> f64 {
        self.forward(parameters, row, tape);
        self.losses(parameters, row, tape);
        total(&row.shares(), &tape.scratch.losses)
    }

    /// As [`Model::loss`]; adds the gradient of `weight` · that sum to `gradient` (as long as the layout).
    pub fn gradient(&self, parameters: &[f32], row: &Row, weight: f32, tape: &mut Tape, gradient: &mut [f32]) -> f64 {
        let shares = row.shares();
        let weights: Vec<f32> = shares.iter().map(|share| weight * share).collect();
        self.forward(parameters, row, tape);
        self.head_gradient(parameters, row, Weigh::By(&weights), tape, gradient);
        self.backward(parameters, row, tape, gradient);
        total(&shares, &tape.scratch.losses)
    }

    /// Adds the gradient of any function of a row's losses to `gradient`: `weigh` is given the loss of
    /// each learned token (−log p, in nats) and says the derivative of the function with respect to it.
    pub fn gradient_by(
        &self,
        parameters: &[f32],
        row: &Row,
        weigh: &mut dyn FnMut(&[f32]) -> Vec<f32>,
        tape: &mut Tape,
        gradient: &mut [f32],
    ) {
        self.forward(parameters, row, tape);
        self.head_gradient(parameters, row, Weigh::After(weigh), tape, gradient);
        self.backward(parameters, row, tape, gradient);
    }

    /// Logits of the rows `at` of a packed row, `at.len()` × vocab.
    pub fn logits(&self, parameters: &[f32], row: &Row, at: &[usize], tape: &mut Tape) -> Vec<f32> {
        self.forward(parameters, row, tape);
        let (width, x) = (self.architecture.width, &tape.inputs[self.architecture.blocks]);
        let gathered: Vec<f32> = at.iter().flat_map(|&t| x[t * width..][..width].iter().copied()).collect();
        let (mut normed, mut inverse) = (vec![0.0; gathered.len()], vec![0.0; at.len()]);
        let gain = &self.weights(parameters)[self.places.final_norm.clone()];
        rms_norm::forward(&gathered, gain, self.architecture.norm_eps, &mut normed, &mut inverse);
        let mut logits = vec![0.0; at.len() * self.architecture.vocab];
        self.head(parameters).logits(&normed, &mut logits);
        logits
    }
}

/// The weights of learned tokens.
enum Weigh<'a> {
    /// Known beforehand.
    By(&'a [f32]),
    /// Computed from the losses.
    After(&'a mut dyn FnMut(&[f32]) -> Vec<f32>),
}

fn total(shares: &[f32], losses: &[f32]) -> f64 {
    shares.iter().zip(losses).map(|(&share, &loss)| f64::from(share) * f64::from(loss)).sum()
}

fn grow(buffer: &mut Vec<f32>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check;
    use crate::pack::Sequence;
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

    /// A question with two answers and with a step from which two others go on, one of them learning the
    /// step too; and a sequence that shares nothing: segments of three levels.
    fn sequences() -> Vec<(Vec<u32>, usize)> {
        let run = |seed: u32, length: u32| (0..length).map(move |t| (t * 31 + seed * 17) % 272);
        let question: Vec<u32> = run(1, 12).collect();
        let step: Vec<u32> = question.iter().copied().chain(run(2, 10)).collect();
        let with = |before: &[u32], seed, length| before.iter().copied().chain(run(seed, length)).collect::<Vec<u32>>();
        vec![
            (with(&question, 3, 35), 12),
            (with(&question, 4, 6), 12),
            (with(&step, 5, 9), 12),
            (with(&step, 6, 1), 22),
            (with(&[], 7, 9), 3),
        ]
    }

    fn row(sequences: &[(Vec<u32>, usize)]) -> Row {
        let all = sequences.iter().map(|(tokens, from)| Sequence { tokens, learned_from: *from, group: 0 });
        Row::sequences(&all.collect::<Vec<_>>())
    }

    /// A function of losses that is not linear, and its derivatives.
    fn bend(losses: &[f32]) -> f64 {
        losses.iter().map(|&loss| 0.5 * f64::from(loss).powi(2)).sum()
    }

    fn losses(model: &Model, parameters: &[f32], row: &Row, tape: &mut Tape) -> Vec<f32> {
        model.log_probabilities(parameters, row, tape).iter().map(|log| -log).collect()
    }

    #[test]
    fn gradients_of_every_pair_match_finite_differences() {
        for architecture in architectures() {
            let (model, parameters) = model(architecture, 2);
            let (mut tape, row) = (model.tape(100, false), row(&sequences()));
            let mut gradient = vec![0.0; parameters.len()];
            model.gradient_by(&parameters, &row, &mut <[f32]>::to_vec, &mut tape, &mut gradient);
            for low_rank in model.layout.blocks.iter().flatten() {
                let places = std::iter::once(&low_rank.a).chain(low_rank.members.iter().map(|m| &m.b));
                for place in places {
                    // Every third number of each matrix, to stay quick; three divides no width here.
                    let chosen: Vec<usize> = place.clone().step_by(3).collect();
                    let pick = |from: &[f32]| chosen.iter().map(|&i| from[i]).collect::<Vec<f32>>();
                    let mut moved = parameters.clone();
                    check::gradient(&pick(&parameters), &pick(&gradient), |values| {
                        chosen.iter().zip(values).for_each(|(&i, &value)| moved[i] = value);
                        bend(&losses(&model, &moved, &row, &mut tape))
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
            let (mut tape, row) = (model.tape(100, false), row(&sequences()));
            let mut gradient = vec![0.0; parameters.len()];
            model.gradient_by(&parameters, &row, &mut <[f32]>::to_vec, &mut tape, &mut gradient);
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
                    bend(&losses(&model, &moved, &row, &mut tape))
                });
            }
        }
    }

    #[test]
    fn a_tree_learns_what_its_sequences_learn_apart() {
        for architecture in architectures() {
            for whole in [false, true] {
                let (pairs, values) = model(architecture.clone(), 3);
                let base = Checkpoint::random(architecture.clone(), 3).expect("works");
                let all = Model::new(&base, Layout::whole(&base.architecture), 100, 2).expect("works");
                let (model, parameters) =
                    if whole { (&all, all.places.read(&base).expect("works")) } else { (&pairs, values) };
                let mut tape = model.tape(10, false);
                let mut run = |rows: &[Row]| {
                    let mut gradient = vec![0.0; parameters.len()];
                    let losses = rows.iter().map(|row| model.gradient(&parameters, row, 0.1, &mut tape, &mut gradient));
                    (losses.sum::<f64>(), gradient)
                };
                let sequences = sequences();
                let tree = row(&sequences);
                assert_eq!((tree.tokens.len(), tree.segments.all().len()), (12 + 10 + 34 + 5 + 8 + 8, 6));
                let packed = run(&[tree]);
                let alone = run(&sequences.iter().map(|(tokens, from)| Row::single(tokens, *from)).collect::<Vec<_>>());
                assert!((packed.0 / alone.0 - 1.0).abs() < 1e-6, "{} {}", packed.0, alone.0);
                let largest = alone.1.iter().fold(0f32, |m, g| m.max(g.abs()));
                let apart = packed.1.iter().zip(&alone.1).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(apart < 1e-5 * largest, "gradients differ by {apart} of {largest}");
            }
        }
    }

    #[test]
    fn weights_known_before_and_after_give_the_same_gradient() {
        let (model, parameters) = model(architectures()[0].clone(), 3);
        let (mut tape, row) = (model.tape(100, false), row(&sequences()));
        let (mut before, mut after) = (vec![0.0; parameters.len()], vec![0.0; parameters.len()]);
        let loss = model.gradient(&parameters, &row, 0.3, &mut tape, &mut before);
        assert_eq!(loss.to_bits(), model.loss(&parameters, &row, &mut tape).to_bits());
        let mut seen = Vec::new();
        let mut weigh = |losses: &[f32]| {
            seen = losses.to_vec();
            vec![0.3; losses.len()]
        };
        model.gradient_by(&parameters, &row, &mut weigh, &mut tape, &mut after);
        assert_eq!(seen, losses(&model, &parameters, &row, &mut tape));
        let largest = before.iter().fold(0f32, |m, g| m.max(g.abs()));
        assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-5 * largest));
    }

    #[test]
    fn blocks_that_are_computed_again_change_no_bit() {
        for architecture in architectures() {
            for whole in [false, true] {
                let base = Checkpoint::random(architecture.clone(), 3).expect("works");
                let pairs = Layout::new(&architecture, 3, 6.0, Projection::ALL.into());
                let layout = if whole { Layout::whole(&architecture) } else { pairs };
                let model = Model::new(&base, layout, 100, 2).expect("works");
                let parameters: Vec<f32> = check::noise(5, model.layout.length).iter().map(|x| x * 0.2).collect();
                let run = |recompute| {
                    let mut gradient = vec![0.0; parameters.len()];
                    let (mut tape, row) = (model.tape(90, recompute), row(&sequences()));
                    let loss = model.gradient(&parameters, &row, 0.1, &mut tape, &mut gradient);
                    model.gradient_by(&parameters, &row, &mut <[f32]>::to_vec, &mut tape, &mut gradient);
                    (loss, gradient)
                };
                assert!(run(false) == run(true));
                let bytes = |recompute| Tape::bytes(&architecture, &model.layout, 90, recompute);
                assert!(bytes(true) < bytes(false));
            }
        }
    }

    #[test]
    fn packed_sequences_do_not_see_each_other() {
        let (model, parameters) = model(architectures()[1].clone(), 3);
        let mut tape = model.tape(100, false);
        let sequences = sequences();
        let mut logits = |row: &Row, at: usize| {
            let logits = model.logits(&parameters, row, &[at], &mut tape);
            logits.iter().map(|logit| logit.to_bits()).collect::<Vec<u32>>()
        };
        let tree = row(&sequences);
        // Which sequences get another token at a place, and all that see it: no others may change a bit.
        let changes: [(&[usize], usize); 6] =
            [(&[0], 40), (&[1], 14), (&[2], 26), (&[4], 5), (&[2, 3], 15), (&[3], 22)];
        for (changed, place) in changes {
            let mut others = sequences.clone();
            changed.iter().for_each(|&sequence| others[sequence].0[place] += 1);
            let other = row(&others);
            assert_eq!((&other.segments, &other.ends, &other.sequences), (&tree.segments, &tree.ends, &tree.sequences));
            for (&sequence, &end) in tree.sequences.iter().zip(&tree.ends) {
                let same = logits(&tree, end) == logits(&other, end);
                // The last change is one of a target, which is not read.
                let sees = changed.contains(&sequence) && place + 1 < sequences[sequence].0.len();
                assert_eq!(same, !sees, "sequence {sequence} after a change of {changed:?} at {place}");
            }
        }
    }

    #[test]
    fn a_place_may_have_more_targets_than_a_row_has_tokens() {
        let (model, parameters) = model(architectures()[0].clone(), 2);
        let sequences: Vec<(Vec<u32>, usize)> = (0..20).map(|last| (vec![1, 2, 3, last], 3)).collect();
        let tree = row(&sequences);
        assert_eq!((tree.tokens.len(), tree.learned.len()), (3, 20));
        let (mut tape, mut gradient) = (model.tape(3, false), vec![0.0; parameters.len()]);
        let together = model.gradient(&parameters, &tree, 1.0, &mut tape, &mut gradient);
        let alone =
            sequences.iter().map(|(tokens, from)| model.loss(&parameters, &Row::single(tokens, *from), &mut tape));
        assert!((together / alone.sum::<f64>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_token_depends_on_nothing_after_it() {
        let (model, parameters) = model(architectures()[1].clone(), 3);
        let mut tape = model.tape(100, false);
        let mut tokens: Vec<u32> = (0..30).map(|t| t * 7 % 272).collect();
        let before = model.logits(&parameters, &Row::prompt(&tokens), &[19, 29], &mut tape);
        tokens[20] = 3;
        let after = model.logits(&parameters, &Row::prompt(&tokens), &[19, 29], &mut tape);
        let vocab = model.architecture.vocab;
        assert!(before[..vocab] == after[..vocab] && before[vocab..] != after[vocab..]);
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
                (model.gradient(&parameters, &row, 1.0, &mut model.tape(256, false), &mut gradient), gradient)
            })
        };
        for whole in [false, true] {
            assert!(run(1, whole) == run(2, whole) && run(1, whole) == run(3, whole));
        }
    }
}
