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
