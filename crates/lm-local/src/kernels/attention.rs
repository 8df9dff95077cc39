// Constant counts over several arrays at once; the compiler turns them into registers.
#![allow(clippy::needless_range_loop)]

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
/// `[16][head_dim]`. In bf16 keys are pairs of dimensions `[head_dim / 2][16][2]` and values pairs of
/// positions `[8][head_dim][2]`, the first of which is the high one; queries and weights are rounded
/// to bf16 as well, products are exact and sums are f32. Scores, softmax and sum run over positions
/// in order, so the result doesn't depend on how positions are spread over pages nor on what other
/// rows are there.
#[derive(Clone, Copy)]
pub(crate) struct Attention<'a> {
    pub rows: &'a [Row],
    /// Rows that are worked on together, those that share pages read them once.
    pub groups: &'a [Group],
    /// For each group its work, by [`list`].
    pub items: &'a [Vec<Item>],
    /// How many parts the queries of a kv head are worked on in: 1, or each alone where rows are few.
    pub parts: usize,
    /// Rows of q, k and v, `stride` values each.
    pub qkv: &'a Shared<f32>,
    pub stride: usize,
    /// Where keys and values begin in such a row.
    pub keys: usize,
    pub values: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Halves of values if `exact`, else bf16.
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

/// Rows of one octet that attention works on together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    pub first: usize,
    pub count: usize,
    pub octet: usize,
}

impl Attention<'_> {
    /// Values of scratch for groups of `rows` rows over `context` positions.
    pub fn scratch_len(rows: usize, heads: usize, kv_heads: usize, head_dim: usize, context: usize) -> usize {
        rows * heads / kv_heads * (2 * head_dim + context.next_multiple_of(LANES) + LANES)
    }

    /// Units of work: (kv head, group, part of the queries).
    pub fn units(&self) -> usize {
        self.groups.len() * self.kv_heads * self.parts
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

/// A page's work for some neighbouring vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    segment: Segment,
    first: usize,
    count: usize,
}

/// Where a kv head's keys and values lie.
#[derive(Clone, Copy)]
struct Head<'a>(&'a Attention<'a>, usize);

impl Head<'_> {
    fn block(self, segment: Segment) -> *const u16 {
        self.0.block(segment.page, self.1).cast_const()
    }
}

/// How many vectors a kernel takes at most, of `left`.
fn bite<I: Isa>(left: usize) -> usize {
    match left {
        12.. if I::WIDE => 12,
        6.. => 6,
        3.. => 3,
        left => left,
    }
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
    let mut short = [0u16; 1024];
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
                        I::store_bf16::<false>(I::V::load(key.as_ptr().add(d)), short.as_mut_ptr().add(d));
                    }
                    let keys = block.cast::<u32>().add(lane);
                    for (i, pair) in short[..dim].as_chunks::<2>().0.iter().enumerate() {
                        *keys.add(i * LANES) = u32::from(pair[0]) | u32::from(pair[1]) << 16;
                    }
                    for d in (0..dim).step_by(16) {
                        I::store_bf16::<false>(I::V::load(value.as_ptr().add(d)), short.as_mut_ptr().add(d));
                    }
                    // The other half of a pair may be another thread's.
                    let values = block.add(LANES * dim + lane / 2 * 2 * dim + (lane + 1) % 2);
                    for (d, value) in short[..dim].iter().enumerate() {
                        *values.add(2 * d) = *value;
                    }
                }
            }
        }
    }
}

/// Computes some units; `thread` says which part of the scratch is free.
///
/// # Safety
/// As [`Lanes`]; nobody writes pages meanwhile.
#[inline(always)]
pub(super) unsafe fn attend<I: Isa>(task: &Attention<'_>, span: std::ops::Range<usize>, thread: usize) {
    for unit in span {
        let at = unit % task.groups.len();
        let (group, items) = (task.groups[at], &task.items[at]);
        let (head, part) = (unit / task.groups.len() / task.parts, unit / task.groups.len() % task.parts);
        let queries = task.heads / task.kv_heads / task.parts;
        let heads = head * task.heads / task.kv_heads + part * queries..;
        // SAFETY: units are disjoint, and so are threads' parts of the scratch.
        unsafe {
            let heads = heads.start..heads.start + queries;
            let scratch = thread * task.scratch_len;
            match (task.exact, task.head_dim) {
                (true, _) => attend_group::<I, true, 0>(task, group, head, heads, scratch, items),
                // The commonest size as a constant, so that addresses are.
                (false, 64) => attend_group::<I, false, 64>(task, group, head, heads, scratch, items),
                (false, _) => attend_group::<I, false, 0>(task, group, head, heads, scratch, items),
            }
        }
    }
}

/// Computes query heads `heads`, which share a kv head, for the rows of a group. `DIM` is the size
/// of a head, or 0 if it is not known before.
#[inline(always)]
unsafe fn attend_group<I: Isa, const EXACT: bool, const DIM: usize>(
    task: &Attention<'_>,
    Group { first, count, .. }: Group,
    kv_head: usize,
    heads: std::ops::Range<usize>,
    scratch: usize,
    items: &[Item],
) {
    let dim = if DIM == 0 { task.head_dim } else { DIM };
    let head = Head(task, kv_head);
    let queries = heads.len();
    let vectors = count * queries;
    let rows = &task.rows[first..first + count];
    let longest = rows.iter().map(|row| row.position as usize + 1).max().unwrap_or(0);
    let stride = longest.next_multiple_of(LANES) + LANES;
    // Of bf16 the first half of a place is taken.
    let q = task.scratch.at(scratch);
    let mut turned = [0f32; 1024];
    let sums = task.scratch.at(scratch + vectors * dim);
    let scores = task.scratch.at(scratch + 2 * vectors * dim);
    // SAFETY: the scratch holds these three arrays by `scratch_len`; see the callers.
    unsafe {
        for (i, row) in rows.iter().enumerate() {
            let angle = row.position as usize * dim / 2;
            let (cos, sin) = (&task.cos[angle..angle + dim / 2], &task.sin[angle..angle + dim / 2]);
            let from = task.qkv.slice((first + i) * task.stride..(first + i + 1) * task.stride);
            for (j, head) in heads.clone().enumerate() {
                let norm = task.norms.map(|(weight, _, eps)| (weight, eps));
                let to = q.add((i * queries + j) * dim);
                rotate(&from[head * dim..][..dim], &mut turned[..dim], norm, cos, sin, 1.0 / (dim as f32).sqrt());
                for d in (0..dim).step_by(16) {
                    let v = I::V::load(turned.as_ptr().add(d));
                    if EXACT { v.store(to.add(d)) } else { I::store_bf16::<false>(v, to.cast::<u16>().add(d)) }
                }
            }
        }
        let mut at = 0;
        while at < items.len() {
            at += score_next::<I, EXACT, DIM>(head, &items[at..], q, dim, scores, stride);
        }
        for v in 0..vectors {
            let len = rows[v / queries].position as usize + 1;
            let total = softmax::<I, EXACT>(scores.add(v * stride), len);
            let sums = std::slice::from_raw_parts_mut(sums.add(v * dim), dim);
            sums.fill(0.0);
            // Kept where the query stood, which is no longer needed.
            *q.add(v * dim) = 1.0 / total;
        }
        for run in items.chunk_by(|a, b| (a.first, a.count) == (b.first, b.count)) {
            let Item { first, count, .. } = run[0];
            let mut v = first;
            while v < first + count {
                let n = first + count - v;
                v += gather_some::<I, EXACT, DIM>(head, run, n, scores.add(v * stride), stride, dim, sums.add(v * dim));
            }
        }
        for v in 0..vectors {
            let factor = I::V::splat(*q.add(v * dim));
            let to = (first + v / queries) * task.to_stride + (heads.start + v % queries) * dim;
            for d in (0..dim).step_by(16) {
                I::V::load(sums.add(v * dim + d)).mul(factor).store(task.to.at(to + d));
            }
        }
    }
}

/// Lists a group's work: pages that all rows share, some vectors after the others, then the rest of
/// each row. For each vector the pages come in order of positions.
pub(super) fn list<I: Isa>(rows: &[Row], paths: &[Vec<Segment>], queries: usize) -> Vec<Item> {
    let path = |row: &Row| &paths[row.path as usize][..];
    let used = |row: &Row, s: usize| {
        path(row).get(s).filter(|segment| segment.start <= row.position).map(|segment| (segment.page, segment.start))
    };
    let mut common = 0;
    while let Some(segment) = used(&rows[0], common)
        && rows[1..].iter().all(|row| used(row, common) == Some(segment))
    {
        common += 1;
    }
    let len = |row: &Row, segment: &Segment| segment.len.min(row.position + 1 - segment.start);
    let mut items = Vec::new();
    let mut add = |segment: &Segment, first: usize, count: usize, len: u32| {
        items.push(Item { segment: Segment { len, ..*segment }, first, count });
    };
    let vectors = rows.len() * queries;
    let mut v = 0;
    while v < vectors {
        let n = bite::<I>(vectors - v);
        for s in 0..common {
            let lens = rows[v / queries..=(v + n - 1) / queries].iter().map(|row| len(row, &path(row)[s]));
            add(&path(&rows[0])[s], v, n, lens.max().unwrap_or(0));
        }
        v += n;
    }
    for (i, row) in rows.iter().enumerate() {
        let mut v = i * queries;
        while v < (i + 1) * queries {
            let n = bite::<I>((i + 1) * queries - v);
            for segment in path(row)[common..].iter().take_while(|segment| segment.start <= row.position) {
                add(segment, v, n, len(row, segment));
            }
            v += n;
        }
    }
    items
}

/// Scores the first items that one kernel can take; returns how many.
#[inline(always)]
unsafe fn score_next<I: Isa, const EXACT: bool, const DIM: usize>(
    head: Head<'_>,
    items: &[Item],
    q: *const f32,
    dim: usize,
    scores: *mut f32,
    stride: usize,
) -> usize {
    let n = items[0].count;
    let alike = |most: usize| items.iter().take(most).take_while(|item| item.count == n).count();
    unsafe {
        macro_rules! call {
            ($n:literal, $pages:literal) => {{
                score::<I, EXACT, DIM, $n, $pages>(head, items, q, dim, scores, stride);
                $pages
            }};
        }
        if !I::WIDE {
            return match n {
                1 => call!(1, 1),
                2 => call!(2, 1),
                3 => call!(3, 1),
                _ => call!(6, 1),
            };
        }
        match (n, alike(4)) {
            (1, 4) => call!(1, 4),
            (1, 2..) => call!(1, 2),
            (1, _) => call!(1, 1),
            (2, 4) => call!(2, 4),
            (2, 2..) => call!(2, 2),
            (2, _) => call!(2, 1),
            (3, 4) => call!(3, 4),
            (3, 2..) => call!(3, 2),
            (3, _) => call!(3, 1),
            (6, 2..) => call!(6, 2),
            (6, _) => call!(6, 1),
            (_, 2..) if items[0].first == items[1].first => call!(12, 2),
            _ => call!(12, 1),
        }
    }
}

/// q·k for N vectors of each of P pages; of twelve or more they must be the same vectors.
#[inline(always)]
unsafe fn score<I: Isa, const EXACT: bool, const DIM: usize, const N: usize, const P: usize>(
    head: Head<'_>,
    items: &[Item],
    q: *const f32,
    dim: usize,
    scores: *mut f32,
    stride: usize,
) {
    let dim = if DIM == 0 { dim } else { DIM };
    unsafe {
        let mut keys = [std::ptr::null(); P];
        let mut queries = [q; P];
        for p in 0..P {
            keys[p] = head.block(items[p].segment);
            queries[p] = q.add(items[p].first * dim);
        }
        let mut sums = [[I::V::splat(0.0); N]; P];
        for line in 0..if EXACT { dim } else { dim / 2 } {
            if EXACT {
                for p in 0..P {
                    let key = I::V::load(keys[p].cast::<f32>().add(line * LANES));
                    for v in 0..N {
                        sums[p][v] = key.fma(I::V::splat(*queries[p].add(v * dim + line)), sums[p][v]);
                    }
                }
                continue;
            }
            let mut key = [I::splat_pair(0); P];
            for p in 0..P {
                key[p] = I::load_pairs(keys[p].cast::<u32>().add(line * LANES));
                // The next head's page follows, and is worked on soon.
                I::fetch(keys[p].wrapping_add((line + dim) * 2 * LANES));
            }
            for v in 0..N {
                let mut query = I::splat_pair(*queries[0].cast::<u32>().add(v * dim + line));
                for p in 0..P {
                    if N < 12 && p > 0 {
                        query = I::splat_pair(*queries[p].cast::<u32>().add(v * dim + line));
                    }
                    sums[p][v] = I::dot(sums[p][v], key[p], query);
                }
            }
        }
        for p in 0..P {
            let Item { segment, first, .. } = items[p];
            let lane = segment.start as usize % LANES;
            for v in 0..N {
                let to = scores.add((first + v) * stride + segment.start as usize);
                if lane == 0 {
                    // What stands beyond the segment is written again by the next one or by softmax.
                    sums[p][v].store(to);
                } else {
                    let mut lanes = [0f32; LANES];
                    sums[p][v].store(lanes.as_mut_ptr());
                    to.copy_from_nonoverlapping(lanes[lane..].as_ptr(), segment.len as usize);
                }
            }
        }
    }
}

/// e^(s − max) in place, zeros up to a whole line; returns the sum. Unless `EXACT` the results are
/// bf16 in as many bytes at the beginning of the place, the first position of a pair the high one.
#[inline(always)]
unsafe fn softmax<I: Isa, const EXACT: bool>(scores: *mut f32, len: usize) -> f32 {
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
            let mut e = math::exp(I::V::load(scores.add(i)).sub(most));
            if i + LANES > len {
                let mut last = [0f32; LANES];
                e.store(last.as_mut_ptr());
                last[len - i..].fill(0.0);
                e = I::V::load(last.as_ptr());
            }
            sum = sum.add(e);
            if EXACT { e.store(scores.add(i)) } else { I::store_bf16::<true>(e, scores.cast::<u16>().add(i)) }
        }
        sum.sum()
    }
}

/// Adds Σ p·v over the positions of some pages, for n vectors or fewer; returns how many.
#[inline(always)]
unsafe fn gather_some<I: Isa, const EXACT: bool, const DIM: usize>(
    head: Head<'_>,
    run: &[Item],
    n: usize,
    scores: *const f32,
    stride: usize,
    dim: usize,
    sums: *mut f32,
) -> usize {
    let dim = if DIM == 0 { dim } else { DIM };
    unsafe {
        macro_rules! call {
            ($n:literal) => {{
                let mut d = 0;
                while I::WIDE && d + 64 <= dim {
                    gather::<I, EXACT, DIM, $n, 4>(head, run, scores, stride, dim, d, sums);
                    d += 64;
                }
                while d < dim {
                    gather::<I, EXACT, DIM, $n, 1>(head, run, scores, stride, dim, d, sums);
                    d += 16;
                }
                $n
            }};
        }
        match n {
            12.. if I::WIDE && !EXACT && dim % 32 == 0 => {
                for d in (0..dim).step_by(32) {
                    gather::<I, EXACT, DIM, 12, 2>(head, run, scores, stride, dim, d, sums);
                }
                12
            }
            1 => call!(1),
            2 => call!(2),
            3..6 => call!(3),
            _ => call!(6),
        }
    }
}

/// The same for N vectors and C · 16 dimensions from `d` on.
#[inline(always)]
unsafe fn gather<I: Isa, const EXACT: bool, const DIM: usize, const N: usize, const C: usize>(
    head: Head<'_>,
    run: &[Item],
    scores: *const f32,
    stride: usize,
    dim: usize,
    d: usize,
    sums: *mut f32,
) {
    let dim = if DIM == 0 { dim } else { DIM };
    unsafe {
        let mut y = [[I::V::splat(0.0); C]; N];
        for v in 0..N {
            for c in 0..C {
                y[v][c] = I::V::load(sums.add(v * dim + d + c * 16));
            }
        }
        for Item { segment, .. } in run {
            let block = head.block(*segment);
            let (start, end) = (segment.start as usize, (segment.start + segment.len) as usize);
            // Where the page's first lane would stand.
            let base = start / LANES * LANES;
            if EXACT {
                for at in start..end {
                    let mut values = [I::V::splat(0.0); C];
                    for c in 0..C {
                        values[c] = I::V::load(block.cast::<f32>().add((LANES + at - base) * dim + d + c * 16));
                    }
                    for v in 0..N {
                        let weight = I::V::splat(*scores.add(v * stride + at));
                        for c in 0..C {
                            y[v][c] = values[c].fma(weight, y[v][c]);
                        }
                    }
                }
                continue;
            }
            for pair in start / 2..end.div_ceil(2) {
                let line = block.cast::<u32>().add((LANES / 2 + pair - base / 2) * dim + d);
                let mut values = [I::splat_pair(0); C];
                for c in 0..C {
                    values[c] = I::load_pairs(line.add(c * 16));
                    I::fetch(line.wrapping_add(c * 16 + LANES * dim));
                }
                // A half that is not this segment's may be anything, also no number.
                let high = if pair * 2 < start { 0 } else { 0xffff_0000 };
                let low = if pair * 2 + 1 < end { 0xffff } else { 0 };
                if high | low != u32::MAX {
                    for value in &mut values {
                        *value = I::mask(*value, high | low);
                    }
                }
                for v in 0..N {
                    let weights = I::splat_pair(*scores.add(v * stride).cast::<u32>().add(pair));
                    for c in 0..C {
                        y[v][c] = I::dot(y[v][c], values[c], weights);
                    }
                }
            }
        }
        for v in 0..N {
            for c in 0..C {
                y[v][c].store(sums.add(v * dim + d + c * 16));
            }
        }
    }
}
