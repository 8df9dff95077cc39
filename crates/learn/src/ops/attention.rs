//! Causal attention over a packed row, which is a forest of segments.
//!
//! A segment is a stretch of tokens; it continues another one, its parent, which stands before it, or
//! begins a sequence. A token sees all tokens of its ancestors, and its own segment up to itself.
//! Scores exist only for keys that a block of queries may see, in one product for each stretch of
//! neighbouring keys: a chain of ancestors that stand one behind the other is one stretch.
//!
//! o = softmax(q Kᵀ / √d) V. The backward pass computes the probabilities P again from the kept
//! logarithm of each row's sum: dV = Pᵀ do, dS = P ∘ (do Vᵀ − rowsum(do ∘ o)), dq = dS K / √d,
//! dK = dSᵀ q / √d.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::matrix::{Store, View, ViewMut, multiply};
use super::rope::{ByHead, Heads};
use super::segments::{Bundle, Piece, Segments, bundles};
use super::wide::{exp, sum_of, wide};

/// Queries in a block: with their group they make about 96 rows of a product.
fn block(heads: Heads) -> usize {
    (96 / heads.group).max(16)
}

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

    /// scale · left · sideᵀ over the keys of a piece: q Kᵀ / √d, or do Vᵀ. Writes `rows` × keys.
    fn scores(self, to: &mut [f32], scale: f32, left: View<'_>, rows: usize, piece: &Piece) {
        let (stride, mut at) = (piece.count(), 0);
        for keys in &piece.keys {
            let part = ViewMut::strided(&mut to[at..], rows, keys.len(), stride);
            multiply(part, Store::Set, scale, left, self.view(keys.clone()).transposed(), 1);
            at += keys.len();
        }
    }

    /// weights · side over the keys of a piece: P V, or dS K. Writes `rows` × dim.
    fn mix(self, to: &mut [f32], weights: &[f32], rows: usize, piece: &Piece) {
        let (stride, mut at) = (piece.count(), 0);
        for keys in &piece.keys {
            let part = View::strided(&weights[at..], rows, keys.len(), stride);
            let into = if at == 0 { Store::Set } else { Store::Add };
            multiply(ViewMut::new(to, rows, self.dim), into, 1.0, part, self.view(keys.clone()), 1);
            at += keys.len();
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
        let (rows, keys, seen) = (piece.queries.len() * group, piece.count(), piece.seen());
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

/// One key-value head of a bundle: rows of the gradients that no other task writes.
struct Task<'a> {
    head: usize,
    bundle: &'a Bundle,
    dq: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
    outer_dk: &'a mut [f32],
    outer_dv: &'a mut [f32],
}

/// Writes the gradients of queries, keys and values to `dx`. `partial` is kept scratch: what each
/// bundle of queries adds to keys and values that stand before it, summed in the order of bundles.
pub fn backward(kept: &Kept<'_>, segments: &Segments, heads: Heads, dx: &mut ByHead, partial: &mut Vec<f32>) {
    let Heads { kv, group, dim } = heads;
    let capacity = dx.capacity;
    let bundles = bundles(segments.pieces(block(heads)));
    // Numbers of a head: dK and dV of the outer keys of each bundle in turn.
    let outer = 2 * dim * bundles.iter().map(Bundle::outer).sum::<usize>();
    if partial.len() < kv * outer {
        partial.resize(kv * outer, 0.0);
    }
    let mut tasks = Vec::with_capacity(kv * bundles.len());
    let mut parts = &mut partial[..kv * outer];
    let by_head = dx.q.chunks_mut(capacity * group * dim).zip(dx.k.chunks_mut(capacity * dim));
    for (head, ((mut q, mut k), mut v)) in by_head.zip(dx.v.chunks_mut(capacity * dim)).enumerate() {
        for bundle in &bundles {
            let (dq, dk, dv, outer_dk, outer_dv);
            (dq, q) = q.split_at_mut(bundle.rows.len() * group * dim);
            (dk, k) = k.split_at_mut(bundle.rows.len() * dim);
            (dv, v) = v.split_at_mut(bundle.rows.len() * dim);
            (outer_dk, parts) = parts.split_at_mut(bundle.outer() * dim);
            (outer_dv, parts) = parts.split_at_mut(bundle.outer() * dim);
            tasks.push(Task { head, bundle, dq, dk, dv, outer_dk, outer_dv });
        }
    }
    tasks.into_par_iter().with_max_len(1).for_each(|mut task| task.run(kept, heads));
    if outer == 0 {
        return;
    }
    let by_head = (dx.k.par_chunks_mut(capacity * dim), dx.v.par_chunks_mut(capacity * dim));
    (by_head, partial[..kv * outer].par_chunks(outer)).into_par_iter().for_each(|((dk, dv), mut from)| {
        for bundle in &bundles {
            for to in [&mut *dk, &mut *dv] {
                for keys in &bundle.before {
                    let part;
                    (part, from) = from.split_at(keys.len() * dim);
                    let to = &mut to[keys.start * dim..keys.end * dim];
                    to.iter_mut().zip(part).for_each(|(to, from)| *to += from);
                }
            }
        }
    });
}

impl Task<'_> {
    fn run(&mut self, kept: &Kept<'_>, heads: Heads) {
        for zero in [&mut self.dk, &mut self.dv, &mut self.outer_dk, &mut self.outer_dv] {
            zero.fill(0.0);
        }
        self.bundle.pieces.iter().for_each(|piece| self.piece(piece, kept, heads));
    }

    fn piece(&mut self, piece: &Piece, kept: &Kept<'_>, heads: Heads) {
        let Heads { kv, group, dim } = heads;
        let (width, all, first) = (heads.queries(), kv * group, self.bundle.rows.start);
        let (rows, count, at) = (piece.queries.len() * group, piece.count(), self.head * kept.x.capacity);
        let scale = 1.0 / (dim as f32).sqrt();
        let [keys_of, values_of] = [&kept.x.k, &kept.x.v].map(|all| Side::of(all, self.head, kept.x.capacity, dim));
        let q = View::new(&kept.x.q[(at + piece.queries.start) * group * dim..], rows, dim);
        with_scratch([rows * count, rows * count, rows * dim, 2 * rows], |[p, ds, d_out, sums]| {
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
            differentiate(p, ds, count, group, piece.seen(), scale, sums);
            keys_of.mix(&mut self.dq[(piece.queries.start - first) * group * dim..][..rows * dim], ds, rows, piece);
            let add = |of: &[f32], to: &mut [f32], right: View<'_>, skip: usize, keys: usize| {
                let left = View::strided(&of[skip..], rows, keys, count).transposed();
                multiply(ViewMut::new(to, keys, dim), Store::Add, 1.0, left, right, 1);
            };
            let mut skip = 0;
            for keys in &piece.keys {
                let cut = first.clamp(keys.start, keys.end);
                let (before, own) = (cut - keys.start, keys.end - cut);
                if before > 0 {
                    let to = self.bundle.place(keys.start) * dim;
                    add(p, &mut self.outer_dv[to..], d, skip, before);
                    add(ds, &mut self.outer_dk[to..], q, skip, before);
                }
                if own > 0 {
                    let to = (cut - first) * dim;
                    add(p, &mut self.dv[to..], d, skip + before, own);
                    add(ds, &mut self.dk[to..], q, skip + before, own);
                }
                skip += keys.len();
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
        // Two sequences' trees, one of four levels; a segment that is cut into two blocks of queries (32
        // each), one of a single token, and parents that stand next to their children and far from them.
        let mut segments = Segments::default();
        let root = segments.push(None, 3);
        let long = segments.push(Some(root), 34);
        segments.push(Some(long), 1);
        let middle = segments.push(Some(long), 5);
        segments.push(Some(middle), 2);
        segments.push(Some(root), 3);
        let other = segments.push(None, 2);
        segments.push(Some(other), 2);
        segments.push(Some(other), 3);
        segments
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
        for (at, segment) in segments.all().iter().enumerate() {
            let mut before = Vec::new();
            let mut parent = segments.all()[at].parent;
            while let Some(at) = parent {
                before.extend(segments.all()[at].tokens.clone());
                parent = segments.all()[at].parent;
            }
            for t in segment.tokens.clone() {
                let seen: Vec<usize> = before.iter().copied().chain(segment.tokens.start..t + 1).collect();
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
        let x = random(1, 55);
        let d_out = check::noise(9, segments().tokens() * HEADS.queries());
        let (out, dx) = both(&x, &d_out);
        for (ours, exact) in out.iter().zip(plain(&x, &segments())) {
            assert!((f64::from(*ours) - exact).abs() < 1e-6, "{ours} {exact}");
        }
        let scalar = |x: &ByHead| plain(x, &segments()).iter().zip(&d_out).map(|(o, &d)| o * f64::from(d)).sum();
        let with = |q: &[f32], k: &[f32], v: &[f32]| ByHead { q: q.into(), k: k.into(), v: v.into(), capacity: 55 };
        check::gradient(&x.q, &dx.q, |q| scalar(&with(q, &x.k, &x.v)));
        check::gradient(&x.k, &dx.k, |k| scalar(&with(&x.q, k, &x.v)));
        check::gradient(&x.v, &dx.v, |v| scalar(&with(&x.q, &x.k, v)));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let x = random(3, 55);
        let d_out = check::noise(5, segments().tokens() * HEADS.queries());
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("works");
            let (out, dx) = pool.install(|| both(&x, &d_out));
            (out, dx.q, dx.k, dx.v)
        };
        assert!(run(1) == run(2) && run(1) == run(3));
    }
}
