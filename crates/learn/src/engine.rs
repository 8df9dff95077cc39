use std::ops::Range;

use rayon::ThreadPool;
use rayon::prelude::*;
use weights::Checkpoint;

use crate::adamw::{AdamW, norm};
use crate::batch::{Batch, Judged};
use crate::example::Example;
use crate::pack::{Row, Sequence, pack};
use crate::{Course, Error, Layout, Model, Result, Tape};

/// The model with its buffers and threads.
pub(crate) struct Engine {
    pool: ThreadPool,
    pub model: Model,
    lanes: Vec<Lane>,
    row_tokens: usize,
}

/// What one share of a step's rows needs to itself.
struct Lane {
    tape: Tape,
    gradient: Vec<f32>,
    loss: f64,
    judged: Vec<Judged>,
    sums: Vec<(usize, f64)>,
}

/// How a batch stood.
pub(crate) struct Measured {
    pub loss: f64,
    /// Its cases, in the order of rows; empty where the loss knows only samples.
    pub judged: Vec<Judged>,
}

/// Numbers in one unit of adding lanes.
const BLOCK: usize = 1 << 14;

impl Engine {
    /// `longest` is the longest sequence that it will be given.
    pub fn new(base: &Checkpoint, layout: Layout, course: &Course, longest: usize) -> Result<Self> {
        let threads = match course.threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|source| Error::Threads { threads, source })?;
        let (capacity, within) = (course.row_tokens.max(longest), if course.lanes > 1 { 1 } else { threads });
        let length = layout.length;
        let model = Model::new(base, layout, longest.min(base.architecture.context), within)?;
        let lane = |_| Lane {
            tape: model.tape(capacity, course.recompute),
            gradient: vec![0.0; length],
            loss: 0.0,
            judged: Vec::new(),
            sums: Vec::new(),
        };
        let lanes = (0..course.lanes).map(lane).collect();
        Ok(Self { pool, model, lanes, row_tokens: course.row_tokens })
    }

    /// Loss of a batch and the length of its gradient, which stands in the first lane afterwards.
    pub fn gradient(&mut self, parameters: &[f32], batch: &Batch<'_>) -> (Measured, f64) {
        let point = self.point(parameters, batch);
        let Self { pool, model, lanes, .. } = self;
        let count = lanes.len();
        pool.install(|| {
            let work = |(first, lane): (usize, &mut Lane)| {
                lane.clear();
                let Lane { tape, gradient, loss, judged, .. } = lane;
                gradient.fill(0.0);
                for row in batch.rows.iter().skip(first).step_by(count) {
                    if batch.even {
                        let weight = 1.0 / batch.divisor as f32;
                        *loss += model.gradient(parameters, row, weight, tape, gradient);
                        continue;
                    }
                    let mut weigh = |losses: &[f32]| {
                        let (found, weights) = batch.judge(row, losses, point);
                        judged.extend(found);
                        weights
                    };
                    model.gradient_by(parameters, row, &mut weigh, tape, gradient);
                }
            };
            lanes.par_iter_mut().enumerate().with_max_len(1).for_each(work);
            let (sum, others) = lanes.split_at_mut(1);
            sum[0].gradient.par_chunks_mut(BLOCK).enumerate().for_each(|(block, sum)| {
                for other in &*others {
                    let more = &other.gradient[block * BLOCK..][..sum.len()];
                    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
                }
            });
        });
        let length = self.pool.install(|| norm(&self.lanes[0].gradient));
        (self.collect(batch), length)
    }

    /// Moves `parameters` along the gradient that [`Engine::gradient`] left, times `shrink`.
    pub fn step(
        &self,
        moments: &mut AdamW,
        parameters: &mut [f32],
        shrink: f64,
        rate: f64,
        step: u64,
        course: &Course,
    ) {
        let decayed = self.model.layout.decayed;
        let gradient = &self.lanes[0].gradient;
        self.pool.install(|| moments.step((parameters, decayed), (gradient, shrink), rate, step, course));
    }

    /// Loss of a batch.
    pub fn measure(&mut self, parameters: &[f32], batch: &Batch<'_>) -> Measured {
        let point = self.point(parameters, batch);
        self.rows(&batch.rows, |model, row, lane| {
            if batch.even {
                lane.loss += model.loss(parameters, row, &mut lane.tape);
                return;
            }
            let losses: Vec<f32> =
                model.log_probabilities(parameters, row, &mut lane.tape).into_iter().map(|log| -log).collect();
            lane.judged.extend(batch.judge(row, &losses, point).0);
        });
        self.collect(batch)
    }

    /// Loss of the answers' tokens, each weighted by its id: Σ w ℓ / Σ |w|, in nats; 0 where no token of
    /// theirs has a weight.
    pub fn weighted(&mut self, parameters: &[f32], rows: &[Row], weights: &[f32]) -> f64 {
        // Place among a row's targets, and weight, of each token of each answer.
        let each = |row: &Row| -> Vec<(usize, f64)> {
            let places = row.answers.iter().flatten().flat_map(Range::clone);
            places.map(|at| (at, f64::from(weights[row.learned[at].target as usize]))).collect()
        };
        self.rows(rows, |model, row, lane| {
            let logs = model.log_probabilities(parameters, row, &mut lane.tape);
            lane.loss -= each(row).iter().map(|&(at, weight)| weight * f64::from(logs[at])).sum::<f64>();
        });
        let size: f64 = rows.iter().flat_map(each).map(|(_, weight)| weight.abs()).sum();
        if size == 0.0 { 0.0 } else { self.lanes.iter().map(|lane| lane.loss).sum::<f64>() / size }
    }

    /// Log-probability of each example's learned tokens, summed.
    pub fn sums(&mut self, parameters: &[f32], examples: &[&Example]) -> Vec<f64> {
        let sequences: Vec<_> =
            examples.iter().enumerate().map(|(group, example)| Sequence::of(example, group)).collect();
        self.row_sums(parameters, &pack(&sequences, self.row_tokens, self.lanes.len()), examples.len())
    }

    /// The number that a batch's pairs share.
    fn point(&mut self, parameters: &[f32], batch: &Batch<'_>) -> f64 {
        if batch.mismatched.is_empty() {
            return batch.point(&[]);
        }
        batch.point(&self.row_sums(parameters, &batch.mismatched, batch.mismatched_references.len()))
    }

    fn row_sums(&mut self, parameters: &[f32], rows: &[Row], sequences: usize) -> Vec<f64> {
        self.rows(rows, |model, row, lane| {
            let logs = model.log_probabilities(parameters, row, &mut lane.tape);
            for (&sequence, ranges) in row.sequences.iter().zip(&row.answers) {
                let sum = ranges.iter().flat_map(|range| &logs[range.clone()]).map(|&log| f64::from(log)).sum();
                lane.sums.push((sequence, sum));
            }
        });
        let mut sums = vec![0.0; sequences];
        self.lanes.iter().flat_map(|lane| &lane.sums).for_each(|&(sequence, sum)| sums[sequence] = sum);
        sums
    }

    /// Does something with each row, lanes side by side.
    fn rows(&mut self, rows: &[Row], work: impl Fn(&Model, &Row, &mut Lane) + Sync) {
        let Self { pool, model, lanes, .. } = self;
        let count = lanes.len();
        pool.install(|| {
            lanes.par_iter_mut().enumerate().with_max_len(1).for_each(|(first, lane)| {
                lane.clear();
                rows.iter().skip(first).step_by(count).for_each(|row| work(model, row, lane));
            });
        });
    }

    fn collect(&mut self, batch: &Batch<'_>) -> Measured {
        let judged: Vec<Judged> = self.lanes.iter_mut().flat_map(|lane| std::mem::take(&mut lane.judged)).collect();
        let even = self.lanes.iter().map(|lane| lane.loss).sum::<f64>() / batch.divisor;
        Measured { loss: even + judged.iter().map(|case| case.loss).sum::<f64>(), judged }
    }
}

impl Lane {
    fn clear(&mut self) {
        self.loss = 0.0;
        self.judged.clear();
        self.sums.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{Case, Completion};
    use crate::losses::{Kto, Loss};
    use crate::ops::check;
    use weights::{Architecture, Projection};

    /// Two pairs for each of two questions; the second pair of a question shares a step, which all its
    /// answers learn.
    fn cases() -> Vec<Case> {
        let words = |seed: u32, count: u32| (0..count).map(move |i| 1 + (seed * 97 + i * i * 31 + i * 7) % 250);
        let completion = |question: u32, answer: Vec<u32>, advantage: f64| {
            let prompt: Vec<u32> = words(question, 9).collect();
            let learned_from = prompt.len();
            let example = Example { id: "a".into(), tokens: [prompt, answer].concat(), learned_from };
            Some(Completion { reference: -4.0 * example.learned() as f64, ..Completion::new(example, advantage) })
        };
        let case = |number: u32| {
            let (question, second) = (number / 2, number % 2 == 1);
            let step: Vec<u32> = words(50, if second { 10 } else { 0 }).collect();
            let answer = |seed: u32, count: u32| step.iter().copied().chain(words(seed, count)).collect::<Vec<u32>>();
            let sides = [
                completion(question, answer(10 + number, 4 + number), 0.1),
                completion(question, answer(30 + number, 7), 0.4),
            ];
            Case { id: number.to_string(), question: question as usize, sides, weight: 1.0 + f64::from(number) }
        };
        (0..4).map(case).collect()
    }

    fn engine(lanes: usize, row_tokens: usize) -> (Engine, Course, Vec<f32>) {
        let small = Architecture { width: 32, head_dim: 8, hidden: 40, vocab: 272, ..Architecture::tiny() };
        let base = Checkpoint::random(small, 3).expect("works");
        let layout = Layout::new(&base.architecture, 2, 4.0, Projection::ALL.into());
        let parameters = check::noise(5, layout.length).iter().map(|x| x * 0.2).collect();
        let course = Course { lanes, row_tokens, ..crate::SftConfig::default().course(1) };
        (Engine::new(&base, layout, &course, 40).expect("works"), course, parameters)
    }

    #[test]
    fn gradients_of_every_loss_match_differences_through_shared_tokens() {
        let cases = cases();
        // With no mismatched answers KTO's reference point is 0, and so is its own derivative.
        for loss in Loss::list().into_iter().chain([Loss::Kto(Kto { undesirable: 3.0, ..Kto::default() })]) {
            let (mut engine, course, parameters) = engine(1, 50);
            let batch = Batch::new(&loss, cases.iter().collect(), &course);
            let apart: u64 = cases.iter().map(Case::tokens).sum();
            assert!(
                batch.rows.len() == 2 && batch.rows.iter().map(|r| r.tokens.len()).sum::<usize>() < apart as usize / 2
            );
            let (measured, _) = engine.gradient(&parameters, &batch);
            assert_eq!(measured.loss.to_bits(), engine.measure(&parameters, &batch).loss.to_bits());
            let gradient = engine.lanes[0].gradient.clone();
            let mut order: Vec<usize> = (0..gradient.len()).collect();
            order.sort_by(|&a, &b| gradient[b].abs().total_cmp(&gradient[a].abs()));
            let chosen: Vec<usize> = order.into_iter().step_by(gradient.len() / 40).collect();
            let pick = |from: &[f32]| chosen.iter().map(|&i| from[i]).collect::<Vec<f32>>();
            let mut moved = parameters.clone();
            check::gradient(&pick(&parameters), &pick(&gradient), |values| {
                chosen.iter().zip(values).for_each(|(&i, &value)| moved[i] = value);
                engine.measure(&moved, &batch).loss
            });
        }
    }

    #[test]
    fn rows_and_lanes_change_only_rounding() {
        let (cases, loss) = (cases(), Loss::parse("dpo").expect("known"));
        let mut found: Vec<(f64, Vec<f32>, usize)> = Vec::new();
        for (lanes, row_tokens) in [(1, 1000), (1, 20), (8, 1000)] {
            let (mut engine, course, parameters) = engine(lanes, row_tokens);
            let batch = Batch::new(&loss, cases.iter().collect(), &course);
            let (measured, _) = engine.gradient(&parameters, &batch);
            found.push((measured.loss, engine.lanes[0].gradient.clone(), batch.rows.len()));
        }
        // Pairs are never torn apart; a row takes those of a question, or one alone where it is too short.
        assert_eq!(found.iter().map(|f| f.2).collect::<Vec<_>>(), [1, 4, 2]);
        for (loss, gradient, _) in &found[1..] {
            assert!((loss / found[0].0 - 1.0).abs() < 1e-5);
            let largest = gradient.iter().fold(0f32, |most, g| most.max(g.abs()));
            assert!(gradient.iter().zip(&found[0].1).all(|(a, b)| (a - b).abs() < 1e-4 * largest));
        }
    }
}
