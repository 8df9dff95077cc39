//! Causal attention over a packed row, segment by segment.
//!
//! A row begins with a prefix that all its samples share (it may be empty); each sample attends to
//! the prefix and to itself. Scores exist only for keys that a block of queries may see, in two
//! products: one with the prefix, one with the sample's own keys up to the end of the block.
//!
//! o = softmax(q Kᵀ / √d) V. The backward pass computes the probabilities P again from the kept
//! logarithm of each row's sum: dV = Pᵀ do, dS = P ∘ (do Vᵀ − rowsum(do ∘ o)), dq = dS K / √d,
//! dK = dSᵀ q / √d.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::matrix::{Store, View, ViewMut, multiply};
use super::rope::{ByHead, Heads};
use super::wide::{exp, sum_of, wide};

/// Which tokens of a row belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segments {
    /// Tokens at the head of the row that every sample sees.
    pub prefix: usize,
    /// The samples' own tokens, one after the other from `prefix` on, without gaps.
    pub samples: Vec<Range<usize>>,
}

/// Tokens of one stretch of queries that see the first `prefix` tokens and `from..` up to themselves.
#[derive(Debug, Clone)]
struct Piece {
    prefix: usize,
    from: usize,
    queries: Range<usize>,
}

impl Segments {
    /// All tokens of the row.
    pub fn tokens(&self) -> usize {
        self.samples.last().map_or(self.prefix, |last| last.end)
    }

    fn all(&self) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
        let prefix = (self.prefix > 0).then_some((0, 0..self.prefix));
        prefix.into_iter().chain(self.samples.iter().map(|sample| (self.prefix, sample.clone())))
    }

    /// Blocks of at most `most` queries; all tokens of the row in order.
    fn pieces(&self, most: usize) -> Vec<Piece> {
        let cut = |(prefix, segment): (usize, Range<usize>)| {
            segment.clone().step_by(most).map(move |at| Piece {
                prefix,
                from: segment.start,
                queries: at..(at + most).min(segment.end),
            })
        };
        self.all().flat_map(cut).collect()
    }
}

impl Piece {
    fn own(&self) -> Range<usize> {
        self.from..self.queries.end
    }
    fn keys(&self) -> usize {
        self.prefix + self.queries.end - self.from
    }
}

/// Queries in a block: with their group they make about 96 rows of a product.
fn block(heads: Heads) -> usize {
    (96 / heads.group).max(16)
}

/// Groups of samples whose gradients of the prefix are summed apart. The number is fixed, so the
/// order of the sum does not depend on threads.
const GROUPS: usize = 8;

thread_local! {
    /// Scores and the like of one block, kept because fresh memory is slow.
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

fn with_scratch<const N: usize>(sizes: [usize; N], body: impl FnOnce([&mut [f32]; N])) {
    SCRATCH.with_borrow_mut(|scratch| {
        let all: usize = sizes.iter().sum();
        if scratch.len() < all {
            scratch.resize(all, 0.0);
        }
        let mut rest = &mut scratch[..all];
        body(sizes.map(|size| {
            let (part, tail) = std::mem::take(&mut rest).split_at_mut(size);
            rest = tail;
            part
        }));
    });
}

wide! {
    /// Turns scores into probabilities, zero beyond what each query sees, and writes the logarithm of each
    /// row's sum. Row r is query r / group, which sees `seen + r / group` keys.
    fn softmax(scores: &mut [f32], keys: usize, group: usize, seen: usize, log_sums: &mut [f32]) {
        for (r, row) in scores.chunks_exact_mut(keys).enumerate() {
            let (visible, hidden) = row.split_at_mut(seen + r / group);
            let larger = |m: f32, x: f32| if x > m { x } else { m };
            let mut lanes = [f32::NEG_INFINITY; 16];
            let chunks = visible.chunks_exact(16);
            let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |m, &x| larger(m, x));
            for chunk in chunks {
                for i in 0..16 {
                    lanes[i] = larger(lanes[i], chunk[i]);
                }
            }
            let most = lanes.iter().fold(rest, |m, &x| larger(m, x));
            visible.iter_mut().for_each(|s| *s = exp(*s - most));
            let sum = sum_of(visible, visible, |a, _| a);
            let inverse = 1.0 / sum;
            visible.iter_mut().for_each(|s| *s *= inverse);
            hidden.fill(0.0);
            log_sums[r] = most + sum.ln();
        }
    }
}

wide! {
    /// Turns scores p and do·Vᵀ, in `ds`, into probabilities and dS · scale. Row r has its logarithm
    /// and its sum of do ∘ o in `sums[r]`, and sees `seen + r / group` keys.
    fn differentiate(
        p: &mut [f32],
        ds: &mut [f32],
        keys: usize,
        group: usize,
        seen: usize,
        scale: f32,
        sums: &[[f32; 2]],
    ) {
        let rows = p.chunks_exact_mut(keys).zip(ds.chunks_exact_mut(keys)).zip(sums);
        for (r, ((p, ds), &[log_sum, projected])) in rows.enumerate() {
            let (p, p_hidden) = p.split_at_mut(seen + r / group);
            let (ds, ds_hidden) = ds.split_at_mut(seen + r / group);
            for (p, ds) in p.iter_mut().zip(ds) {
                let probability = exp(*p - log_sum);
                *ds = probability * (*ds - projected) * scale;
                *p = probability;
            }
            p_hidden.fill(0.0);
            ds_hidden.fill(0.0);
        }
    }
}

wide! {
    /// Σ do ∘ o of a head.
    fn project(d_out: &[f32], out: &[f32]) -> f32 {
        sum_of(d_out, out, |a, b| a * b)
    }
}

/// The keys or values of one head.
#[derive(Clone, Copy)]
struct Side<'a> {
    rows: &'a [f32],
    dim: usize,
}

impl<'a> Side<'a> {
    fn of(all: &'a [f32], head: usize, capacity: usize, dim: usize) -> Self {
        Self { rows: &all[head * capacity * dim..(head + 1) * capacity * dim], dim }
    }

    fn view(self, range: Range<usize>) -> View<'a> {
        View::new(&self.rows[range.start * self.dim..range.end * self.dim], range.len(), self.dim)
    }

    /// scale · left · sideᵀ over the keys of a piece: q Kᵀ / √d, or do Vᵀ. Writes `rows` × keys, prefix
    /// first.
    fn scores(self, to: &mut [f32], scale: f32, left: View<'_>, rows: usize, piece: &Piece) {
        let (own, stride) = (piece.own(), piece.keys());
        if piece.prefix > 0 {
            let part = ViewMut::strided(to, rows, piece.prefix, stride);
            multiply(part, Store::Set, scale, left, self.view(0..piece.prefix).transposed(), 1);
        }
        let part = ViewMut::strided(&mut to[piece.prefix..], rows, own.len(), stride);
        multiply(part, Store::Set, scale, left, self.view(own).transposed(), 1);
    }

    /// weights · side over the keys of a piece: P V, or dS K. Writes `rows` × dim.
    fn mix(self, to: &mut [f32], weights: &[f32], rows: usize, piece: &Piece) {
        let (own, stride) = (piece.own(), piece.keys());
        let part = View::strided(&weights[piece.prefix..], rows, own.len(), stride);
        multiply(ViewMut::new(to, rows, self.dim), Store::Set, 1.0, part, self.view(own), 1);
        if piece.prefix > 0 {
            let part = View::strided(weights, rows, piece.prefix, stride);
            multiply(ViewMut::new(to, rows, self.dim), Store::Add, 1.0, part, self.view(0..piece.prefix), 1);
        }
    }
}

/// Attention of every token of the row. `out` is tokens × (kv · group · dim), `log_sums` tokens ×
/// (kv · group).
pub fn forward(x: &ByHead, segments: &Segments, heads: Heads, out: &mut [f32], log_sums: &mut [f32]) {
    let Heads { kv, group, dim } = heads;
    let (width, all) = (heads.queries(), kv * group);
    let scale = 1.0 / (dim as f32).sqrt();
    let (mut out, mut log_sums) = (out, log_sums);
    let mut tasks = Vec::new();
    for piece in segments.pieces(block(heads)) {
        let (o, l);
        (o, out) = out.split_at_mut(piece.queries.len() * width);
        (l, log_sums) = log_sums.split_at_mut(piece.queries.len() * all);
        tasks.push((piece, o, l));
    }
    tasks.into_par_iter().with_max_len(1).for_each(|(piece, out, log_sums)| {
        let (rows, keys) = (piece.queries.len() * group, piece.keys());
        let seen = piece.prefix + piece.queries.start - piece.from + 1;
        with_scratch([rows * keys, rows * dim, rows], |[p, o, sums]| {
            for head in 0..kv {
                let at = head * x.capacity;
                let q = View::new(&x.q[(at + piece.queries.start) * group * dim..], rows, dim);
                Side::of(&x.k, head, x.capacity, dim).scores(p, scale, q, rows, &piece);
                softmax(p, keys, group, seen, sums);
                for (sums, log_sums) in sums.chunks_exact(group).zip(log_sums.chunks_exact_mut(all)) {
                    log_sums[head * group..][..group].copy_from_slice(sums);
                }
                Side::of(&x.v, head, x.capacity, dim).mix(o, p, rows, &piece);
                for (o, out) in o.chunks_exact(group * dim).zip(out.chunks_exact_mut(width)) {
                    out[head * group * dim..][..group * dim].copy_from_slice(o);
                }
            }
        });
    });
}

/// What [`forward`] read and wrote, and the gradient of its output.
pub struct Kept<'a> {
    /// Queries, keys and values.
    pub x: &'a ByHead,
    /// The output, tokens × (kv · group · dim).
    pub out: &'a [f32],
    /// The logarithms, tokens × (kv · group).
    pub log_sums: &'a [f32],
    /// The gradient of `out`.
    pub d_out: &'a [f32],
}

/// One key-value head of some neighbouring segments: rows of the gradients that no other task writes.
struct Task<'a> {
    head: usize,
    first: usize,
    segments: Vec<(usize, Range<usize>)>,
    dq: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
    prefix_dk: &'a mut [f32],
    prefix_dv: &'a mut [f32],
}

/// Writes the gradients of queries, keys and values to `dx`. `partial` is kept scratch; it grows to
/// 2 · kv · 8 · prefix · dim at most.
pub fn backward(kept: &Kept<'_>, segments: &Segments, heads: Heads, dx: &mut ByHead, partial: &mut Vec<f32>) {
    let Heads { kv, group, dim } = heads;
    let capacity = dx.capacity;
    let shared = segments.prefix * dim;
    let all: Vec<_> = segments.all().collect();
    let bundles: Vec<_> = all.chunks(all.len().div_ceil(GROUPS).max(1)).collect();
    let needed = 2 * kv * bundles.len() * shared;
    if partial.len() < needed {
        partial.resize(needed, 0.0);
    }
    let mut tasks = Vec::with_capacity(kv * bundles.len());
    let mut parts = &mut partial[..needed];
    let by_head = dx.q.chunks_mut(capacity * group * dim).zip(dx.k.chunks_mut(capacity * dim));
    for (head, ((mut q, mut k), mut v)) in by_head.zip(dx.v.chunks_mut(capacity * dim)).enumerate() {
        for bundle in &bundles {
            let rows = bundle[0].1.start..bundle[bundle.len() - 1].1.end;
            let (dq, dk, dv, prefix_dk, prefix_dv);
            (dq, q) = q.split_at_mut(rows.len() * group * dim);
            (dk, k) = k.split_at_mut(rows.len() * dim);
            (dv, v) = v.split_at_mut(rows.len() * dim);
            (prefix_dk, parts) = parts.split_at_mut(shared);
            (prefix_dv, parts) = parts.split_at_mut(shared);
            let segments = bundle.to_vec();
            tasks.push(Task { head, first: rows.start, segments, dq, dk, dv, prefix_dk, prefix_dv });
        }
    }
    tasks.into_par_iter().with_max_len(1).for_each(|mut task| task.run(kept, heads));
    for (head, (dk, dv)) in dx.k.chunks_mut(capacity * dim).zip(dx.v.chunks_mut(capacity * dim)).enumerate() {
        for bundle in 0..bundles.len() {
            let at = (head * bundles.len() + bundle) * 2 * shared;
            let (from_k, from_v) = partial[at..at + 2 * shared].split_at(shared);
            dk.iter_mut().zip(from_k).for_each(|(to, from)| *to += from);
            dv.iter_mut().zip(from_v).for_each(|(to, from)| *to += from);
        }
    }
}

impl Task<'_> {
    fn run(&mut self, kept: &Kept<'_>, heads: Heads) {
        for zero in [&mut self.dk, &mut self.dv, &mut self.prefix_dk, &mut self.prefix_dv] {
            zero.fill(0.0);
        }
        for (prefix, segment) in std::mem::take(&mut self.segments) {
            let step = block(heads);
            for start in segment.clone().step_by(step) {
                let queries = start..(start + step).min(segment.end);
                self.piece(&Piece { prefix, from: segment.start, queries }, kept, heads);
            }
        }
    }

    fn piece(&mut self, piece: &Piece, kept: &Kept<'_>, heads: Heads) {
        let Heads { kv, group, dim } = heads;
        let (width, all) = (heads.queries(), kv * group);
        let (rows, keys, at) = (piece.queries.len() * group, piece.keys(), self.head * kept.x.capacity);
        let scale = 1.0 / (dim as f32).sqrt();
        let seen = piece.prefix + piece.queries.start - piece.from + 1;
        let [keys_of, values_of] = [&kept.x.k, &kept.x.v].map(|all| Side::of(all, self.head, kept.x.capacity, dim));
        let q = View::new(&kept.x.q[(at + piece.queries.start) * group * dim..], rows, dim);
        with_scratch([rows * keys, rows * keys, rows * dim, 2 * rows], |[p, ds, d_out, sums]| {
            let sums: &mut [[f32; 2]] = bytemuck::cast_slice_mut(sums);
            for (i, token) in piece.queries.clone().enumerate() {
                let first = self.head * group;
                let columns = token * width + first * dim..token * width + (first + group) * dim;
                let (d, o) = (&kept.d_out[columns.clone()], &kept.out[columns]);
                d_out[i * group * dim..][..group * dim].copy_from_slice(d);
                for (g, (d, o)) in d.chunks_exact(dim).zip(o.chunks_exact(dim)).enumerate() {
                    sums[i * group + g] = [kept.log_sums[token * all + first + g], project(d, o)];
                }
            }
            let d = View::new(d_out, rows, dim);
            keys_of.scores(p, scale, q, rows, piece);
            values_of.scores(ds, 1.0, d, rows, piece);
            differentiate(p, ds, keys, group, seen, scale, sums);
            let first = (piece.queries.start - self.first) * group * dim;
            keys_of.mix(&mut self.dq[first..][..rows * dim], ds, rows, piece);
            let own = piece.own();
            let own_rows = (own.start - self.first) * dim..(own.end - self.first) * dim;
            let columns = |of: &[f32], to: &mut [f32], right: View<'_>, skip: usize, count: usize| {
                let left = View::strided(&of[skip..], rows, count, keys).transposed();
                multiply(ViewMut::new(to, count, dim), Store::Add, 1.0, left, right, 1);
            };
            columns(p, &mut self.dv[own_rows.clone()], d, piece.prefix, own.len());
            columns(ds, &mut self.dk[own_rows], q, piece.prefix, own.len());
            if piece.prefix > 0 {
                columns(p, self.prefix_dv, d, 0, piece.prefix);
                columns(ds, self.prefix_dk, q, 0, piece.prefix);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check;

    const HEADS: Heads = Heads { kv: 2, group: 3, dim: 4 };

    fn segments() -> Segments {
        // Long enough for two blocks of queries (32 each) in one sample; one sample of a single token.
        Segments { prefix: 3, samples: vec![3..40, 40..41, 41..46] }
    }

    fn random(seed: u64, capacity: usize) -> ByHead {
        let empty = ByHead::new(HEADS, capacity);
        ByHead {
            q: check::noise(seed, empty.q.len()).iter().map(|x| x * 2.0).collect(),
            k: check::noise(seed + 1, empty.k.len()),
            v: check::noise(seed + 2, empty.v.len()),
            capacity,
        }
    }

    /// The definition, in f64, token by token.
    fn plain(x: &ByHead, segments: &Segments) -> Vec<f64> {
        let Heads { kv, group, dim } = HEADS;
        let mut out = vec![0f64; segments.tokens() * HEADS.queries()];
        for (prefix, segment) in segments.all() {
            for t in segment.clone() {
                let seen: Vec<usize> = (0..prefix).chain(segment.start..t + 1).collect();
                for (head, g) in (0..kv).flat_map(|h| (0..group).map(move |g| (h, g))) {
                    let q = &x.q[((head * x.capacity + t) * group + g) * dim..][..dim];
                    let row = |of: &[f32], s: usize| of[(head * x.capacity + s) * dim..][..dim].to_vec();
                    let scores: Vec<f64> =
                        seen.iter().map(|&s| (check::dot(q, &row(&x.k, s)) / (dim as f64).sqrt()).exp()).collect();
                    let sum: f64 = scores.iter().sum();
                    for (&s, score) in seen.iter().zip(&scores) {
                        for (i, v) in row(&x.v, s).iter().enumerate() {
                            out[t * HEADS.queries() + (head * group + g) * dim + i] += score / sum * f64::from(*v);
                        }
                    }
                }
            }
        }
        out
    }

    fn both(x: &ByHead, d_out: &[f32]) -> (Vec<f32>, ByHead) {
        let segments = segments();
        let mut out = vec![0.0; segments.tokens() * HEADS.queries()];
        let mut log_sums = vec![0.0; segments.tokens() * HEADS.kv * HEADS.group];
        forward(x, &segments, HEADS, &mut out, &mut log_sums);
        let mut dx = ByHead::new(HEADS, x.capacity);
        let kept = Kept { x, out: &out, log_sums: &log_sums, d_out };
        backward(&kept, &segments, HEADS, &mut dx, &mut Vec::new());
        (out, dx)
    }

    #[test]
    fn output_and_gradients_match_the_definition() {
        let x = random(1, 50);
        let d_out = check::noise(9, segments().tokens() * HEADS.queries());
        let (out, dx) = both(&x, &d_out);
        for (ours, exact) in out.iter().zip(plain(&x, &segments())) {
            assert!((f64::from(*ours) - exact).abs() < 1e-6, "{ours} {exact}");
        }
        let scalar = |x: &ByHead| plain(x, &segments()).iter().zip(&d_out).map(|(o, &d)| o * f64::from(d)).sum();
        let with = |q: &[f32], k: &[f32], v: &[f32]| ByHead { q: q.into(), k: k.into(), v: v.into(), capacity: 50 };
        check::gradient(&x.q, &dx.q, |q| scalar(&with(q, &x.k, &x.v)));
        check::gradient(&x.k, &dx.k, |k| scalar(&with(&x.q, k, &x.v)));
        check::gradient(&x.v, &dx.v, |v| scalar(&with(&x.q, &x.k, v)));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let x = random(3, 46);
        let d_out = check::noise(5, segments().tokens() * HEADS.queries());
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("works");
            let (out, dx) = pool.install(|| both(&x, &d_out));
            (out, dx.q, dx.k, dx.v)
        };
        assert!(run(1) == run(2) && run(1) == run(3));
    }
}
