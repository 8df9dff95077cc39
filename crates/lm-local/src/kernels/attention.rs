use super::isa::{Isa, Lanes};
use super::math;
use crate::pool::Shared;

/// Positions of a page: one lane each.
pub(crate) const LANES: usize = 16;

/// A stretch of a sequence that lies in one page: position `start + i` in lane `start % 16 + i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Segment {
    pub page: u32,
    pub start: u32,
    pub len: u32,
}

/// A row of a step: one position of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub token: u32,
    pub position: u32,
    /// Which path of the step it lies on.
    pub path: u32,
    /// Page that its keys and values go to; none if they are there already.
    pub page: Option<u32>,
    /// Whether its logits are needed.
    pub logits: bool,
    /// Which adapter of the step.
    pub adapter: Option<u32>,
}

/// Attention of one layer.
///
/// A page holds, for each layer and kv head, keys transposed `[head_dim][16]`, then values
/// `[16][head_dim]`. Scores, softmax and sum run over positions in order, so the result doesn't
/// depend on how positions are spread over pages nor on what other rows are there.
pub(crate) struct Attention<'a> {
    pub rows: &'a [Row],
    pub paths: &'a [Vec<Segment>],
    /// Rows that are worked on together, as (first, count); those that share pages read them once.
    pub groups: &'a [(usize, usize)],
    /// Rows of q, k and v, `stride` values each.
    pub qkv: &'a Shared<f32>,
    pub stride: usize,
    /// Where keys and values begin in such a row.
    pub keys: usize,
    pub values: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Halves of values if `exact`, else f16.
    pub pages: &'a Shared<u16>,
    /// Whether keys and values are f32.
    pub exact: bool,
    /// Values of a page, and where this layer begins in it.
    pub page: usize,
    pub layer: usize,
    /// cos and sin of the rotary angles, `[position][head_dim / 2]`.
    pub cos: &'a [f32],
    pub sin: &'a [f32],
    /// Weights of the norms over query and key heads, and their eps.
    pub norms: Option<(&'a [f32], &'a [f32], f32)>,
    pub to: &'a Shared<f32>,
    pub to_stride: usize,
    /// A part of `scratch_len` values for each thread.
    pub scratch: &'a Shared<f32>,
    pub scratch_len: usize,
}

impl Attention<'_> {
    /// Values of scratch for groups of `rows` rows over `context` positions.
    pub fn scratch_len(rows: usize, heads: usize, kv_heads: usize, head_dim: usize, context: usize) -> usize {
        rows * heads / kv_heads * (2 * head_dim + context.next_multiple_of(LANES) + LANES)
    }

    /// Units of work: (kv head, group).
    pub fn units(&self) -> usize {
        self.groups.len() * self.kv_heads
    }

    fn block(&self, page: u32, head: usize) -> *mut u16 {
        let at = page as usize * self.page + self.layer + head * 2 * self.head_dim * LANES;
        self.pages.at(if self.exact { 2 * at } else { at })
    }

    /// How many values a page has for one layer.
    pub fn layer_len(kv_heads: usize, head_dim: usize) -> usize {
        kv_heads * 2 * head_dim * LANES
    }
}

/// Sixteen keys or values from a page.
#[inline(always)]
unsafe fn read<I: Isa, const EXACT: bool>(block: *const u16, at: usize) -> I::V {
    unsafe { if EXACT { I::V::load(block.cast::<f32>().add(at)) } else { I::V::load_f16(block.add(at)) } }
}

/// Calls a kernel whose number of vectors is a constant.
macro_rules! by_count {
    ($count:expr, $kernel:ident::<I, $exact:ident, $dim:ident>($($argument:expr),*)) => {
        match $count {
            1 => $kernel::<I, $exact, $dim, 1>($($argument),*),
            2 => $kernel::<I, $exact, $dim, 2>($($argument),*),
            3 => $kernel::<I, $exact, $dim, 3>($($argument),*),
            4 => $kernel::<I, $exact, $dim, 4>($($argument),*),
            5 => $kernel::<I, $exact, $dim, 5>($($argument),*),
            6 => $kernel::<I, $exact, $dim, 6>($($argument),*),
            7 => $kernel::<I, $exact, $dim, 7>($($argument),*),
            _ => $kernel::<I, $exact, $dim, 8>($($argument),*),
        }
    };
}

/// Normalises (if `weight`) and rotates one head from `from` to `to`, times `scale`.
#[inline(always)]
fn rotate(from: &[f32], to: &mut [f32], weight: Option<(&[f32], f32)>, cos: &[f32], sin: &[f32], scale: f32) {
    let half = from.len() / 2;
    to.copy_from_slice(from);
    if let Some((weight, eps)) = weight {
        let squares: f32 = from.iter().map(|x| x * x).sum();
        let factor = 1.0 / (squares / from.len() as f32 + eps).sqrt();
        for (to, weight) in to.iter_mut().zip(weight) {
            *to = *to * factor * weight;
        }
    }
    let (first, second) = to.split_at_mut(half);
    for (((a, b), c), s) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        (*a, *b) = ((*a * c - *b * s) * scale, (*b * c + *a * s) * scale);
    }
}

/// Writes keys and values of some rows into their pages.
///
/// # Safety
/// As [`Lanes`]; rows of different threads go to different lanes, nobody reads pages meanwhile.
#[inline(always)]
pub(super) unsafe fn keep<I: Isa>(task: &Attention<'_>, span: std::ops::Range<usize>) {
    let dim = task.head_dim;
    let mut key = [0f32; 1024];
    let mut half = [0u16; 1024];
    for r in span {
        let row = task.rows[r];
        let Some(page) = row.page else { continue };
        let lane = row.position as usize % LANES;
        let angle = row.position as usize * dim / 2;
        // SAFETY: q, k and v were written in an earlier phase; a lane belongs to one row.
        unsafe {
            let from = task.qkv.slice(r * task.stride..(r + 1) * task.stride);
            for head in 0..task.kv_heads {
                let block = task.block(page, head);
                let norm = task.norms.map(|(_, weight, eps)| (weight, eps));
                let (cos, sin) = (&task.cos[angle..angle + dim / 2], &task.sin[angle..angle + dim / 2]);
                rotate(&from[task.keys + head * dim..][..dim], &mut key[..dim], norm, cos, sin, 1.0);
                let value = &from[task.values + head * dim..][..dim];
                if task.exact {
                    let block = block.cast::<f32>();
                    for (d, key) in key[..dim].iter().enumerate() {
                        *block.add(d * LANES + lane) = *key;
                    }
                    block.add((LANES + lane) * dim).copy_from_nonoverlapping(value.as_ptr(), dim);
                } else {
                    for d in (0..dim).step_by(16) {
                        I::V::load(key.as_ptr().add(d)).store_f16(half.as_mut_ptr().add(d));
                        I::V::load(value.as_ptr().add(d)).store_f16(block.add((LANES + lane) * dim + d));
                    }
                    for (d, key) in half[..dim].iter().enumerate() {
                        *block.add(d * LANES + lane) = *key;
                    }
                }
            }
        }
    }
}

/// Computes some (kv head, group) units; `thread` says which part of the scratch is free.
///
/// # Safety
/// As [`Lanes`]; nobody writes pages meanwhile.
#[inline(always)]
pub(super) unsafe fn attend<I: Isa>(task: &Attention<'_>, span: std::ops::Range<usize>, thread: usize) {
    for unit in span {
        let (first, count) = task.groups[unit % task.groups.len()];
        // SAFETY: units are disjoint, and so are threads' parts of the scratch.
        unsafe {
            let (head, scratch) = (unit / task.groups.len(), thread * task.scratch_len);
            match (task.exact, task.head_dim) {
                (true, _) => attend_group::<I, true, 0>(task, first, count, head, scratch),
                // The commonest size as a constant, so that addresses are.
                (false, 64) => attend_group::<I, false, 64>(task, first, count, head, scratch),
                (false, _) => attend_group::<I, false, 0>(task, first, count, head, scratch),
            }
        }
    }
}

/// `DIM` is the size of a head, or 0 if it is not known before.
#[inline(always)]
unsafe fn attend_group<I: Isa, const EXACT: bool, const DIM: usize>(
    task: &Attention<'_>,
    first: usize,
    count: usize,
    head: usize,
    scratch: usize,
) {
    let dim = if DIM == 0 { task.head_dim } else { DIM };
    let queries = task.heads / task.kv_heads;
    let vectors = count * queries;
    let rows = &task.rows[first..first + count];
    let longest = rows.iter().map(|row| row.position as usize + 1).max().unwrap_or(0);
    let stride = longest.next_multiple_of(LANES) + LANES;
    let q = task.scratch.at(scratch);
    let sums = task.scratch.at(scratch + vectors * dim);
    let scores = task.scratch.at(scratch + 2 * vectors * dim);
    // SAFETY: the scratch holds these three arrays by `scratch_len`; see the callers.
    unsafe {
        for (i, row) in rows.iter().enumerate() {
            let angle = row.position as usize * dim / 2;
            let (cos, sin) = (&task.cos[angle..angle + dim / 2], &task.sin[angle..angle + dim / 2]);
            let from = task.qkv.slice((first + i) * task.stride..(first + i + 1) * task.stride);
            for j in 0..queries {
                let to = std::slice::from_raw_parts_mut(q.add((i * queries + j) * dim), dim);
                let norm = task.norms.map(|(weight, _, eps)| (weight, eps));
                let from = &from[(head * queries + j) * dim..][..dim];
                rotate(from, to, norm, cos, sin, 1.0 / (dim as f32).sqrt());
            }
        }
        let path = |row: &Row| &task.paths[row.path as usize];
        let used = |row: &Row, s: usize| {
            path(row)
                .get(s)
                .filter(|segment| segment.start <= row.position)
                .map(|segment| (segment.page, segment.start))
        };
        let mut common = 0;
        while let Some(segment) = used(&rows[0], common)
            && rows[1..].iter().all(|row| used(row, common) == Some(segment))
        {
            common += 1;
        }
        // Pages that all rows share, then the rest of each row: (segment, first vector, end).
        let mut work: Vec<(Segment, usize, usize)> = Vec::with_capacity(common + count * 2);
        for s in 0..common {
            let lens = rows.iter().map(|row| path(row)[s].len.min(row.position + 1 - path(row)[s].start));
            work.push((Segment { len: lens.max().unwrap_or(0), ..path(&rows[0])[s] }, 0, vectors));
        }
        for (i, row) in rows.iter().enumerate() {
            for segment in path(row)[common..].iter().take_while(|segment| segment.start <= row.position) {
                let len = segment.len.min(row.position + 1 - segment.start);
                work.push((Segment { len, ..*segment }, i * queries, (i + 1) * queries));
            }
        }
        for (segment, from, to) in &work {
            let keys = task.block(segment.page, head).cast_const();
            let mut v = *from;
            while v < *to {
                let n = (to - v).min(8);
                let (q, scores) = (q.add(v * dim), scores.add(v * stride + segment.start as usize));
                by_count!(n, score::<I, EXACT, DIM>(keys, q, dim, *segment, scores, stride));
                v += n;
            }
        }
        for v in 0..vectors {
            let len = rows[v / queries].position as usize + 1;
            let total = softmax::<I>(scores.add(v * stride), len);
            let sums = std::slice::from_raw_parts_mut(sums.add(v * dim), dim);
            sums.fill(0.0);
            // Kept where the query stood, which is no longer needed.
            *q.add(v * dim) = 1.0 / total;
        }
        for (segment, from, to) in &work {
            let values = task.block(segment.page, head).cast_const();
            let lane = segment.start as usize % LANES;
            let mut v = *from;
            while v < *to {
                let n = (to - v).min(8);
                let (sums, scores) = (sums.add(v * dim), scores.add(v * stride + segment.start as usize));
                by_count!(n, gather::<I, EXACT, DIM>(values, lane, scores, stride, segment.len as usize, dim, sums));
                v += n;
            }
        }
        for v in 0..vectors {
            let factor = I::V::splat(*q.add(v * dim));
            let to = (first + v / queries) * task.to_stride + (head * queries + v % queries) * dim;
            for d in (0..dim).step_by(16) {
                I::V::load(sums.add(v * dim + d)).mul(factor).store(task.to.at(to + d));
            }
        }
    }
}

/// q·k for N queries and the lanes of a page.
#[inline(always)]
unsafe fn score<I: Isa, const EXACT: bool, const DIM: usize, const N: usize>(
    keys: *const u16,
    q: *const f32,
    dim: usize,
    segment: Segment,
    scores: *mut f32,
    stride: usize,
) {
    let dim = if DIM == 0 { dim } else { DIM };
    unsafe {
        let mut sums = [I::V::splat(0.0); N];
        for d in 0..dim {
            let key = read::<I, EXACT>(keys, d * LANES);
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = key.fma(I::V::splat(*q.add(v * dim + d)), *sum);
            }
        }
        let lane = segment.start as usize % LANES;
        for (v, sum) in sums.iter().enumerate() {
            if lane == 0 {
                // What stands beyond the segment is written again by the next one or by softmax.
                sum.store(scores.add(v * stride));
            } else {
                let mut lanes = [0f32; LANES];
                sum.store(lanes.as_mut_ptr());
                scores.add(v * stride).copy_from_nonoverlapping(lanes[lane..].as_ptr(), segment.len as usize);
            }
        }
    }
}

/// e^(s − max) in place, zeros up to a whole line; returns the sum.
#[inline(always)]
unsafe fn softmax<I: Isa>(scores: *mut f32, len: usize) -> f32 {
    let end = len.next_multiple_of(LANES);
    unsafe {
        for i in len..end {
            *scores.add(i) = f32::NEG_INFINITY;
        }
        let mut most = I::V::splat(f32::NEG_INFINITY);
        for i in (0..end).step_by(LANES) {
            most = most.max(I::V::load(scores.add(i)));
        }
        let most = I::V::splat(most.largest());
        let mut sum = I::V::splat(0.0);
        for i in (0..end).step_by(LANES) {
            let e = math::exp(I::V::load(scores.add(i)).sub(most));
            e.store(scores.add(i));
            if i + LANES == end {
                for i in len..end {
                    *scores.add(i) = 0.0;
                }
            }
            sum = sum.add(I::V::load(scores.add(i)));
        }
        sum.sum()
    }
}

/// Adds Σ p·v over the positions of a page, for N queries.
#[inline(always)]
unsafe fn gather<I: Isa, const EXACT: bool, const DIM: usize, const N: usize>(
    values: *const u16,
    first: usize,
    scores: *const f32,
    stride: usize,
    len: usize,
    dim: usize,
    sums: *mut f32,
) {
    let dim = if DIM == 0 { dim } else { DIM };
    unsafe {
        for d in (0..dim).step_by(16) {
            let mut v = [I::V::splat(0.0); N];
            for (i, v) in v.iter_mut().enumerate() {
                *v = I::V::load(sums.add(i * dim + d));
            }
            for lane in 0..len {
                let value = read::<I, EXACT>(values, (LANES + first + lane) * dim + d);
                for (i, v) in v.iter_mut().enumerate() {
                    *v = value.fma(I::V::splat(*scores.add(i * stride + lane)), *v);
                }
            }
            for (i, v) in v.iter().enumerate() {
                v.store(sums.add(i * dim + d));
            }
        }
    }
}
