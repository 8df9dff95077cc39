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

pub(crate) use activations::Activations;
pub(crate) use attention::{Attention, LANES, Row, Segment};
pub(crate) use pack::{Norm, Pack};
pub(crate) use packed::{Line, Order, Packed};
pub(crate) use product::{Delta, Finish, Inner, LowRank, PARTS, Pair, Product};
pub(crate) use vocabulary::Summary;

use crate::pool::Worker;

/// An instruction set that the engine has kernels for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// AVX-512 with F, BW, VL and VNNI.
    Avx512,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// Any processor.
    Plain,
}

impl Kernels {
    /// Every path, the fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Plain];

    /// Whether this processor can run the path.
    pub fn available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        match self {
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                    && Self::Avx2.available()
            }
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
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
            Self::Avx512 => "avx512-vnni",
            Self::Avx2 => "avx2-fma",
            Self::Plain => "plain",
        }
    }
}

/// The functions of one path; only [`Table::new`] makes one, after looking at the processor.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pack: unsafe fn(&Pack<'_>, Range<usize>),
    product: unsafe fn(&Product<'_>, Range<usize>),
    inner: unsafe fn(&Inner<'_>, Range<usize>),
    keep: unsafe fn(&Attention<'_>, Range<usize>),
    attend: unsafe fn(&Attention<'_>, &Worker<'_>),
    summarise: unsafe fn(&[f32]) -> Summary,
    exponentials: unsafe fn(&[f32], f32, f32, &mut [f32]),
}

macro_rules! table {
    ($name:ident, $isa:ty $(, $features:literal)?) => {
        mod $name {
            use super::*;
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
            unsafe fn attend(task: &Attention<'_>, worker: &Worker<'_>) {
                unsafe { super::attention::attend::<$isa>(task, worker) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn summarise(logits: &[f32]) -> Summary {
                unsafe { super::vocabulary::summarise::<$isa>(logits) }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn exponentials(logits: &[f32], largest: f32, inverse: f32, out: &mut [f32]) {
                unsafe { super::vocabulary::exponentials::<$isa>(logits, largest, inverse, out) }
            }
            pub(super) const TABLE: Table = Table { pack, product, inner, keep, attend, summarise, exponentials };
        }
    };
}

#[cfg(target_arch = "x86_64")]
table!(with_avx512, super::avx512::Avx512, "avx512f,avx512bw,avx512vl,avx512vnni,avx2,f16c,fma");
#[cfg(target_arch = "x86_64")]
table!(with_avx2, super::avx2::Avx2, "avx2,f16c,fma");
table!(without, super::plain::Plain);

// SAFETY (all methods): `new` has found the path's features; units are disjoint between the
// threads of a phase, as the pool hands them out, and phases are parted by a meeting.
impl Table {
    /// The functions of a path, or none where the processor lacks it.
    pub fn new(kernels: Kernels) -> Option<Self> {
        if !kernels.available() {
            return None;
        }
        match kernels {
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx512 => Some(with_avx512::TABLE),
            #[cfg(target_arch = "x86_64")]
            Kernels::Avx2 => Some(with_avx2::TABLE),
            _ => Some(without::TABLE),
        }
    }

    /// Packs this thread's share of the rows.
    pub fn pack(&self, worker: &Worker<'_>, task: &Pack<'_>) {
        unsafe { (self.pack)(task, worker.part(task.units())) }
    }

    /// Packs all rows into a place of this thread's own.
    pub fn pack_all(&self, task: &Pack<'_>) {
        unsafe { (self.pack)(task, 0..task.units()) }
    }

    /// Computes this thread's share of the outputs.
    pub fn product(&self, worker: &Worker<'_>, task: &Product<'_>) {
        unsafe { (self.product)(task, worker.part(task.units())) }
    }

    /// Computes A·x for this thread's share of the rows.
    pub fn inner(&self, worker: &Worker<'_>, task: &Inner<'_>) {
        unsafe { (self.inner)(task, worker.part(task.low.rows.len())) }
    }

    /// Writes keys and values of this thread's share of the rows.
    pub fn keep(&self, worker: &Worker<'_>, task: &Attention<'_>) {
        unsafe { (self.keep)(task, worker.part(task.rows.len())) }
    }

    /// Computes attention together with the other threads.
    pub fn attend(&self, worker: &Worker<'_>, task: &Attention<'_>) {
        unsafe { (self.attend)(task, worker) }
    }

    /// Largest logit, its token and ln Σ e^logit.
    pub fn summarise(&self, logits: &[f32]) -> Summary {
        unsafe { (self.summarise)(logits) }
    }

    /// e^((logit − largest) · inverse) for each logit.
    pub fn exponentials(&self, logits: &[f32], largest: f32, inverse: f32, out: &mut [f32]) {
        assert_eq!(logits.len(), out.len(), "one result a logit");
        unsafe { (self.exponentials)(logits, largest, inverse, out) }
    }
}
