//! Projections that share an input: y = x Wᵀ (+ bias) + s · (x Aᵀ) Bᵀ.
//!
//! W and the bias are frozen or trained; a frozen W gets no gradient. The projections of one input
//! (q, k and v; gate and up) are one matrix, and so are their A matrices; each has a B of its own.

use std::ops::Range;

use rayon::prelude::*;

use super::matrix::{Store, View, ViewMut, multiply};

/// Where one projection's low-rank pair stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its columns in y.
    pub columns: Range<usize>,
    /// Its B (outputs × rank, row-major) in the vector of parameters.
    pub b: Range<usize>,
}

/// The low-rank pairs of the projections that share an input.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    /// Rank of each pair.
    pub rank: usize,
    /// s = α / rank.
    pub scale: f32,
    /// All A matrices, one after the other (members · rank × inputs), in the vector of parameters.
    pub a: Range<usize>,
    /// The projections that are adapted; none is allowed.
    pub members: Vec<Member>,
}

impl LowRank {
    /// Columns of x Aᵀ.
    pub fn ranks(&self) -> usize {
        self.rank * self.members.len()
    }
}

/// Where a trained matrix and its bias stand in the vector of parameters.
#[derive(Debug, Clone, Copy)]
pub struct Trained {
    /// First number of W.
    pub weight: usize,
    /// First number of the bias, where there is one.
    pub bias: Option<usize>,
}

/// A matrix, outputs × inputs, with its low-rank pairs.
#[derive(Clone, Copy)]
pub struct Linear<'a> {
    /// W, row-major.
    pub weight: &'a [f32],
    /// Where the gradients of W and bias go; none where they are frozen.
    pub trained: Option<Trained>,
    /// Inputs.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Added to every row of y.
    pub bias: Option<&'a [f32]>,
    /// The pairs.
    pub low_rank: &'a LowRank,
    /// The vector of parameters in which the pairs stand.
    pub parameters: &'a [f32],
    /// Threads of the products.
    pub threads: usize,
}

impl Linear<'_> {
    /// Writes (or adds) y for the rows of `x`, and keeps u = s · x Aᵀ (tokens × ranks).
    pub fn forward(&self, x: &[f32], into: Store, y: &mut [f32], u: &mut [f32]) {
        let Self { inputs, outputs, threads, low_rank, .. } = *self;
        let tokens = x.len() / inputs;
        let weight = View::new(self.weight, outputs, inputs).transposed();
        multiply(ViewMut::new(y, tokens, outputs), into, 1.0, View::new(x, tokens, inputs), weight, threads);
        if let Some(bias) = self.bias {
            y.par_chunks_mut(outputs).for_each(|row| row.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
        }
        self.narrow(x, u);
        let ranks = low_rank.ranks();
        for (i, member) in low_rank.members.iter().enumerate() {
            let u = View::strided(&u[i * low_rank.rank..], tokens, low_rank.rank, ranks);
            let b = View::new(&self.parameters[member.b.clone()], member.columns.len(), low_rank.rank);
            let y = ViewMut::strided(&mut y[member.columns.start..], tokens, member.columns.len(), outputs);
            multiply(y, Store::Add, 1.0, u, b.transposed(), threads);
        }
    }

    /// Writes u = s · x Aᵀ alone, which is all that the backward pass needs of this product.
    pub fn narrow(&self, x: &[f32], u: &mut [f32]) {
        let Self { inputs, threads, low_rank, .. } = *self;
        let (tokens, ranks) = (x.len() / inputs, low_rank.ranks());
        if ranks > 0 {
            let a = View::new(&self.parameters[low_rank.a.clone()], ranks, inputs).transposed();
            let u = ViewMut::new(u, tokens, ranks);
            multiply(u, Store::Set, low_rank.scale, View::new(x, tokens, inputs), a, threads);
        }
    }

    /// First half of the backward pass: e = s · dy B (tokens × ranks), dB += dyᵀ u, and, where a `dx`
    /// is wanted, dx = (or +=) dy W + e A.
    pub fn backward(
        &self,
        dy: &[f32],
        u: &[f32],
        e: &mut [f32],
        dx: Option<(Store, &mut [f32])>,
        gradient: &mut [f32],
    ) {
        let Self { inputs, outputs, threads, low_rank, .. } = *self;
        let tokens = dy.len() / outputs;
        let ranks = low_rank.ranks();
        for (i, member) in low_rank.members.iter().enumerate() {
            let dy = View::strided(&dy[member.columns.start..], tokens, member.columns.len(), outputs);
            let b = View::new(&self.parameters[member.b.clone()], member.columns.len(), low_rank.rank);
            let part = ViewMut::strided(&mut e[i * low_rank.rank..], tokens, low_rank.rank, ranks);
            multiply(part, Store::Set, low_rank.scale, dy, b, threads);
            let db = ViewMut::new(&mut gradient[member.b.clone()], member.columns.len(), low_rank.rank);
            let u = View::strided(&u[i * low_rank.rank..], tokens, low_rank.rank, ranks);
            multiply(db, Store::Add, 1.0, dy.transposed(), u, threads);
        }
        let Some((into, dx)) = dx else { return };
        let weight = View::new(self.weight, outputs, inputs);
        multiply(ViewMut::new(dx, tokens, inputs), into, 1.0, View::new(dy, tokens, outputs), weight, threads);
        if ranks > 0 {
            let a = View::new(&self.parameters[low_rank.a.clone()], ranks, inputs);
            multiply(ViewMut::new(dx, tokens, inputs), Store::Add, 1.0, View::new(e, tokens, ranks), a, threads);
        }
    }

    /// Second half: dA += eᵀ x, and where W is trained dW += dyᵀ x and db += Σ dy. It stands apart
    /// because x may be computed again only after dx.
    pub fn backward_weights(&self, x: &[f32], dy: &[f32], e: &[f32], gradient: &mut [f32]) {
        let Self { inputs, outputs, threads, low_rank, .. } = *self;
        let (tokens, ranks) = (x.len() / inputs, low_rank.ranks());
        let right = View::new(x, tokens, inputs);
        if ranks > 0 {
            let da = ViewMut::new(&mut gradient[low_rank.a.clone()], ranks, inputs);
            multiply(da, Store::Add, 1.0, View::new(e, tokens, ranks).transposed(), right, threads);
        }
        let Some(trained) = self.trained else { return };
        let dw = ViewMut::new(&mut gradient[trained.weight..][..outputs * inputs], outputs, inputs);
        multiply(dw, Store::Add, 1.0, View::new(dy, tokens, outputs).transposed(), right, threads);
        if let Some(at) = trained.bias {
            let db = &mut gradient[at..][..outputs];
            dy.chunks_exact(outputs).for_each(|dy| db.iter_mut().zip(dy).for_each(|(db, dy)| *db += dy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check;

    #[test]
    fn gradients_of_input_and_pairs_match_finite_differences() {
        let (tokens, inputs, outputs, rank) = (3, 5, 9, 2);
        // The middle projection of three is not adapted.
        let low_rank = LowRank {
            rank,
            scale: 0.7,
            a: 0..20,
            members: vec![Member { columns: 0..4, b: 20..28 }, Member { columns: 6..9, b: 28..34 }],
        };
        let (weight, bias, parameters) = (check::noise(1, 45), check::noise(2, 9), check::noise(3, 34));
        let (x, dy) = (check::noise(4, tokens * inputs), check::noise(5, tokens * outputs));
        let run = |x: &[f32], parameters: &[f32]| {
            let linear = Linear {
                weight: &weight,
                trained: None,
                inputs,
                outputs,
                bias: Some(&bias),
                low_rank: &low_rank,
                parameters,
                threads: 1,
            };
            let (mut y, mut u, mut e) = (vec![0.0; tokens * outputs], vec![0.0; tokens * 4], vec![0.0; tokens * 4]);
            linear.forward(x, Store::Set, &mut y, &mut u);
            let (mut dx, mut gradient) = (vec![0.0; x.len()], vec![0.0; 34]);
            linear.backward(&dy, &u, &mut e, Some((Store::Set, &mut dx)), &mut gradient);
            linear.backward_weights(x, &dy, &e, &mut gradient);
            (check::dot(&y, &dy), dx, gradient)
        };
        let (_, dx, gradient) = run(&x, &parameters);
        check::gradient(&x, &dx, |x| run(x, &parameters).0);
        check::gradient(&parameters, &gradient, |p| run(&x, p).0);
    }

    #[test]
    fn gradients_of_matrix_and_bias_match_finite_differences() {
        let (tokens, inputs, outputs) = (4, 5, 3);
        let low_rank = LowRank { rank: 0, scale: 0.0, a: 0..0, members: Vec::new() };
        let (x, dy) = (check::noise(4, tokens * inputs), check::noise(5, tokens * outputs));
        // The matrix stands behind two other numbers, the bias behind one more.
        let run = |parameters: &[f32]| {
            let linear = Linear {
                weight: &parameters[2..17],
                trained: Some(Trained { weight: 2, bias: Some(18) }),
                inputs,
                outputs,
                bias: Some(&parameters[18..21]),
                low_rank: &low_rank,
                parameters,
                threads: 1,
            };
            let (mut y, mut gradient) = (vec![0.0; tokens * outputs], vec![0.0; parameters.len()]);
            linear.forward(&x, Store::Set, &mut y, &mut []);
            linear.backward_weights(&x, &dy, &[], &mut gradient);
            (check::dot(&y, &dy), gradient)
        };
        let parameters = check::noise(1, 21);
        let gradient = run(&parameters).1;
        assert!(gradient[0] == 0.0 && gradient[17] == 0.0);
        check::gradient(&parameters, &gradient, |p| run(p).0);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (tokens, inputs, outputs) = (150, 192, 320);
        let low_rank = LowRank {
            rank: 8,
            scale: 2.0,
            a: 0..8 * inputs,
            members: vec![Member { columns: 0..outputs, b: 8 * inputs..8 * (inputs + outputs) }],
        };
        let (weight, parameters) = (check::noise(1, inputs * outputs), check::noise(2, 8 * (inputs + outputs)));
        let (x, dy) = (check::noise(3, tokens * inputs), check::noise(4, tokens * outputs));
        let run = |threads| {
            let linear = Linear {
                weight: &weight,
                trained: None,
                inputs,
                outputs,
                bias: None,
                low_rank: &low_rank,
                parameters: &parameters,
                threads,
            };
            let (mut y, mut u, mut e) = (vec![0.0; tokens * outputs], vec![0.0; tokens * 8], vec![0.0; tokens * 8]);
            let (mut dx, mut gradient) = (vec![0.0; x.len()], vec![0.0; parameters.len()]);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("works");
            pool.install(|| {
                linear.forward(&x, Store::Set, &mut y, &mut u);
                linear.backward(&dy, &u, &mut e, Some((Store::Set, &mut dx)), &mut gradient);
                linear.backward_weights(&x, &dy, &e, &mut gradient);
            });
            (y, dx, gradient)
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3));
    }
}
