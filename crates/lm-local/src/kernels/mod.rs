//! The arithmetic of a step, once for each instruction set.
//!
//! `isa.rs` says what an instruction set must give (sixteen lanes and three inner products); the
//! rest is written once over it. [`Kernels`] is chosen at run time. Each path computes the same
//! integer sums and adds in the same order; f32 results differ in the last digits at most, because
//! the plain path has no fused multiply-add.
//!
//! This room and the pool are the only ones with `unsafe`. The functions here take work as units;
//! callers pass disjoint units of one phase to different threads, as [`crate::pool`] hands them out.

mod activations;
mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod isa;
mod math;
mod pack;
mod packed;
mod plain;
mod product;
mod vocabulary;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub(crate) use activations::{Activations, Octet};
pub(crate) use attention::{Attention, Group, Item, LANES, Row, Segment};
pub(crate) use pack::{Norm, Pack};
pub(crate) use packed::{Line, Order, Packed};
pub(crate) use product::{Delta, Finish, Inner, LowRank, PARTS, Pair, Product};
pub(crate) use vocabulary::Summary;

use crate::pool::{Shared, Worker};

/// An instruction set that the engine has kernels for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// AVX-512 with F, BW, VL, VNNI and BF16.
    Avx512Bf16,
    /// AVX-512 with F, BW, VL and VNNI.
    Avx512,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// Any processor.
    Plain,
}

impl Kernels {
    /// Every path, the fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512Bf16, Self::Avx512, Self::Avx2, Self::Plain];

    /// Whether this processor can run the path.
    pub fn available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Avx512Bf16 => is_x86_feature_detected!("avx512bf16") && Self::Avx512.available(),
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                    && Self::Avx2.available()
            }
            Self::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
            }
            Self::Plain => true,
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Plain
        }
    }

    /// The fastest path of this processor.
    pub fn detect() -> Self {
        Self::ALL.into_iter().find(|path| path.available()).unwrap_or(Self::Plain)
    }

    /// Name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512Bf16 => "avx512-vnni-bf16",
            Self::Avx512 => "avx512-vnni",
            Self::Avx2 => "avx2-fma",
            Self::Plain => "plain",
        }
    }
}

/// From rows, their paths and the query heads of a unit to the work of attention.
type List = fn(&[Row], &[Vec<Segment>], usize) -> Vec<Item>;

/// The functions of one path; only [`Table::new`] makes one, after looking at the processor.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    list: List,
    pack: unsafe fn(&Pack<'_>, Range<usize>),
    product: unsafe fn(&Product<'_>, Range<usize>),
    inner: unsafe fn(&Inner<'_>, Range<usize>),
    keep: unsafe fn(&Attention<'_>, Range<usize>),
    attend: unsafe fn(&Attention<'_>, Range<usize>, usize),
    summarise: unsafe fn(&[f32]) -> Summary,
    log_sum: unsafe fn(&[f32], f32) -> f32,
    exponentials: unsafe fn(&[f32], f32, f32, &mut [f32]),
}

macro_rules! table {
    ($name:ident, $isa:ty $(, $features:literal)?) => {
        mod $name {
            use super::*;
            fn list(rows: &[Row], paths: &[Vec<Segment>], queries: usize) -> Vec<Item> {
                super::attention::list::<$isa>(rows, paths, queries)
            }
            // SAFETY (all): what the generic function asks for; the features are enabled here.
            $(#[target_feature(enable = $features)])?
            unsafe fn pack(task: &Pack<'_>, span: Range<usize>) {
                unsafe { super::pack::pack::<$isa>(task, span) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn product(task: &Product<'_>, span: Range<usize>) {
                unsafe { super::product::product::<$isa>(task, span) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn inner(task: &Inner<'_>, span: Range<usize>) {
                unsafe { super::product::inner::<$isa>(task, span) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn keep(task: &Attention<'_>, span: Range<usize>) {
                unsafe { super::attention::keep::<$isa>(task, span) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn attend(task: &Attention<'_>, span: Range<usize>, thread: usize) {
                unsafe { super::attention::attend::<$isa>(task, span, thread) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn summarise(logits: &[f32]) -> Summary {
                unsafe { super::vocabulary::summarise::<$isa>(logits) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn log_sum(logits: &[f32], largest: f32) -> f32 {
                unsafe { super::vocabulary::log_sum::<$isa>(logits, largest) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn exponentials(logits: &[f32], largest: f32, inverse: f32, out: &mut [f32]) {
                unsafe { super::vocabulary::exponentials::<$isa>(logits, largest, inverse, out) }
            }
            pub(super) const TABLE: Table = Table { list, pack, product, inner, keep, attend, summarise, log_sum, exponentials };
        }
    };
}

#[cfg(target_arch = "x86_64")]
table!(with_bf16, super::avx512::Avx512<true>, "avx512f,avx512bw,avx512vl,avx512vnni,avx512bf16,avx2,f16c,fma");
#[cfg(target_arch = "x86_64")]
table!(with_avx512, super::avx512::Avx512<false>, "avx512f,avx512bw,avx512vl,avx512vnni,avx2,f16c,fma");
#[cfg(target_arch = "x86_64")]
table!(with_avx2, super::avx2::Avx2, "avx2,f16c,fma");
table!(without, super::plain::Plain);

// SAFETY (all methods): `new` has found the path's features; `Worker::each` gives every unit of a
// phase once, and no phase begins before all units of the last one are done. Where each thread keeps
// to rows of its own, nobody else touches them but to read keys and values after `Worker::meet`.
impl Table {
    /// The functions of a path, or none where the processor lacks it.
    pub fn new(kernels: Kernels) -> Option<Self> {
        if !kernels.available() {
            return None;
        }
        match kernels {
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx512Bf16 => Some(with_bf16::TABLE),
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx512 => Some(with_avx512::TABLE),
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx2 => Some(with_avx2::TABLE),
            _ => Some(without::TABLE),
        }
    }

    /// A phase: looks up the embeddings of rows; or of a thread's own ones. `to` is a buffer, its
    /// stride and the width of an embedding.
    pub fn embed(
        &self,
        worker: &mut Worker<'_>,
        own: Option<&[Octet]>,
        embedding: &Packed,
        rows: &[Row],
        (to, stride, width): (&Shared<f32>, usize, usize),
    ) {
        let look_up = |span: Range<usize>| {
            for row in span {
                let x = unsafe { std::slice::from_raw_parts_mut(to.at(row * stride), width) };
                embedding.row(rows[row].token as usize, x);
            }
        };
        match own {
            Some(octets) => worker.own(octets.len()).for_each(|i| look_up(octets[i].rows())),
            None => worker.each(rows.len(), usize::MAX, look_up),
        }
    }

    /// A phase: packs rows; or a thread's own ones.
    pub fn pack(&self, worker: &mut Worker<'_>, own: bool, task: &Pack<'_>) {
        if own {
            for octet in worker.own(task.octets.len()) {
                unsafe { (self.pack)(task, octet * task.blocks..(octet + 1) * task.blocks) }
            }
            return;
        }
        worker.each(task.units(), usize::MAX, |span| unsafe { (self.pack)(task, span) });
    }

    /// Products of a thread's own rows.
    pub fn product_own(&self, worker: &Worker<'_>, task: &Product<'_>) {
        let task = Product { turn: (worker.index, worker.count), ..*task };
        if worker.index < task.octets.len() {
            unsafe { (self.product)(&task, 0..task.units()) }
        }
    }

    /// A phase: computes products. With `pack` its rows are first packed into a place of this
    /// thread's own, once it holds a unit, for only then nobody changes them.
    pub fn product(&self, worker: &mut Worker<'_>, mut pack: Option<&Pack<'_>>, task: &Product<'_>) {
        worker.each(task.units(), usize::MAX, |span| unsafe {
            if let Some(pack) = pack.take() {
                (self.pack)(pack, 0..pack.units());
            }
            (self.product)(task, span);
        });
    }

    /// A phase: computes A·x of adapters; or those of a thread's own rows.
    pub fn inner(&self, worker: &mut Worker<'_>, own: Option<&[Octet]>, task: &Inner<'_>) {
        if let Some(octets) = own {
            for octet in worker.own(octets.len()) {
                unsafe { (self.inner)(task, octets[octet].rows()) }
            }
            return;
        }
        worker.each(task.low.rows.len(), usize::MAX, |span| unsafe { (self.inner)(task, span) });
    }

    /// A phase: writes keys and values; threads may keep to their own rows.
    pub fn keep(&self, worker: &mut Worker<'_>, own: Option<&[Octet]>, task: &Attention<'_>) {
        if let Some(octets) = own {
            for octet in worker.own(octets.len()) {
                unsafe { (self.keep)(task, octets[octet].rows()) }
            }
            // Rows may read what others have written.
            worker.meet();
            return;
        }
        worker.each(task.rows.len(), usize::MAX, |span| unsafe { (self.keep)(task, span) });
    }

    /// What attention does for rows that are worked on together, `queries` query heads at a time.
    pub fn list(&self, rows: &[Row], paths: &[Vec<Segment>], queries: usize) -> Vec<Item> {
        (self.list)(rows, paths, queries)
    }

    /// A phase: computes attention; or that of a thread's own rows.
    pub fn attend(&self, worker: &mut Worker<'_>, own: bool, task: &Attention<'_>) {
        let thread = worker.index;
        if own {
            for unit in 0..task.units() {
                if task.groups[unit % task.groups.len()].octet % worker.count == thread {
                    unsafe { (self.attend)(task, unit..unit + 1, thread) }
                }
            }
            return;
        }
        worker.each(task.units(), 1, |span| unsafe { (self.attend)(task, span, thread) });
    }

    /// Largest logit and its token.
    pub fn summarise(&self, logits: &[f32]) -> Summary {
        unsafe { (self.summarise)(logits) }
    }

    /// ln Σ e^logit, of logits of which `largest` is the largest.
    pub fn log_sum(&self, logits: &[f32], largest: f32) -> f32 {
        unsafe { (self.log_sum)(logits, largest) }
    }

    /// e^((logit − largest) · inverse) for each logit.
    pub fn exponentials(&self, logits: &[f32], largest: f32, inverse: f32, out: &mut [f32]) {
        assert_eq!(logits.len(), out.len(), "one result a logit");
        unsafe { (self.exponentials)(logits, largest, inverse, out) }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use weights::{Matrix, Storage};

    use super::*;
    use crate::pool::Pool;

    fn random(rng: &mut ChaCha8Rng, len: usize) -> Vec<f32> {
        (0..len).map(|_| rng.random_range(-2.0..2.0)).collect()
    }

    fn q4(rng: &mut ChaCha8Rng, rows: usize, cols: usize) -> Matrix {
        let block = |rng: &mut ChaCha8Rng| {
            let (d, m) = (rng.random_range(0.01..0.1), rng.random_range(-0.8..0.0));
            let mut bytes = half::f16::from_f32(d).to_le_bytes().to_vec();
            bytes.extend(half::f16::from_f32(m).to_le_bytes());
            bytes.extend((0..16).map(|_| rng.random_range(0..=255u8)));
            bytes
        };
        Matrix { rows, cols, storage: Storage::Q4_1((0..rows * cols / 32).flat_map(|_| block(rng)).collect()) }
    }

    /// y = W·x of every path for packed rows, and in f64 from the weights as stored.
    fn products(matrix: &Matrix, exact: bool, own: bool, rows: usize, x: &[f32]) -> (Vec<Vec<f32>>, Vec<f64>) {
        let packed = Packed::new(&[matrix], Order::Sequence, exact);
        let stride = matrix.cols.next_multiple_of(32);
        let mut from = Shared::new(0f32, rows * stride);
        for (to, x) in from.get_mut().chunks_exact_mut(stride).zip(x.chunks_exact(matrix.cols)) {
            to[..matrix.cols].copy_from_slice(x);
        }
        let width = packed.tiles.len() * 16;
        let mut all = Vec::new();
        for kernels in Kernels::ALL.into_iter().filter(|kernels| kernels.available()) {
            let table = Table::new(kernels).expect("available");
            let octets = Octet::split(rows, 1 + rows % 2);
            let to = Activations::new(octets.len(), packed.blocks, exact);
            let mut y = Shared::new(0f32, rows * width);
            let pack = Pack {
                from: &from,
                stride,
                octets: &octets,
                index: None,
                norm: None,
                blocks: packed.blocks,
                to: &to,
                copy: None,
            };
            let product = Product {
                weights: &packed,
                input: &to,
                octets: &octets,
                turn: (0, 1),
                bias: None,
                low: None,
                finish: Finish::Store,
                to: &y,
                stride: width,
            };
            Pool::new(2, 2).expect("threads start").run(&|worker| {
                table.pack(worker, own, &pack);
                if own { table.product_own(worker, &product) } else { table.product(worker, None, &product) }
            });
            all.push(y.get_mut().to_vec());
        }
        let mut expected = vec![0.0; rows * width];
        let mut weights = vec![0f32; matrix.cols];
        for row in 0..matrix.rows {
            packed.row(row, &mut weights);
            for (r, x) in x.chunks_exact(matrix.cols).enumerate() {
                expected[r * width + row] = weights.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            }
        }
        (all, expected)
    }

    #[test]
    fn every_path_computes_the_same_products() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for rows in (1..=9).chain([17]) {
            for (outputs, inputs) in [(48, 64), (37, 96), (20, 40)] {
                let x = random(&mut rng, rows * inputs);
                let plain = Matrix::f32(outputs, inputs, random(&mut rng, outputs * inputs));
                let mut cases = vec![(plain.clone(), true, 1e-4), (plain, false, 0.4)];
                if inputs % 32 == 0 {
                    cases.push((q4(&mut rng, outputs, inputs), false, 0.4));
                }
                for (matrix, exact, tolerance) in cases {
                    let (all, expected) = products(&matrix, exact, rows % 3 == 0, rows, &x);
                    for (y, expected) in all[0].iter().zip(&expected) {
                        // Activations of eight bits: 96 products with errors up to 2 · 2/254 each.
                        assert!((f64::from(*y) - expected).abs() < tolerance, "{y}, not {expected}");
                    }
                    for other in &all[1..] {
                        for (a, b) in all[0].iter().zip(other) {
                            assert!((a - b).abs() < 1e-4, "{outputs} × {inputs}, {rows} rows: {a} against {b}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_path_sees_the_same_in_logits() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for len in [1, 15, 16, 100, 333] {
            let logits: Vec<f32> = (0..len).map(|_| rng.random_range(-20.0..20.0)).collect();
            let sum: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
            let best = (0..len).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).expect("one at least");
            for kernels in Kernels::ALL.into_iter().filter(|kernels| kernels.available()) {
                let table = Table::new(kernels).expect("available");
                let summary = table.summarise(&logits);
                assert_eq!((summary.token as usize, summary.largest, summary.finite), (best, logits[best], true));
                let log_sum = table.log_sum(&logits, summary.largest);
                assert!((f64::from(log_sum) - sum.ln()).abs() < 1e-5, "{log_sum}, not {}", sum.ln());
                let mut out = vec![0.0; len];
                table.exponentials(&logits, summary.largest, 0.5, &mut out);
                for (found, logit) in out.iter().zip(&logits) {
                    let expected = (f64::from(logit - summary.largest) * 0.5).exp();
                    assert!((f64::from(*found) - expected).abs() < 1e-6 * expected.max(1e-3));
                }
                for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                    let mut logits = logits.clone();
                    logits[len / 2] = odd;
                    assert!(!table.summarise(&logits).finite, "{odd} in {len}");
                }
            }
        }
    }
}
