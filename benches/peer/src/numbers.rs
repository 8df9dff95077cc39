//! Comparing distributions, and summing up repeated measurements.

use crate::llama::likeliest;

/// Natural logarithm of the softmax, in double precision.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let sum: f64 = logits.iter().map(|x| f64::from(x - most).exp()).sum();
    let shift = f64::from(most) + sum.ln();
    logits.iter().map(|x| f64::from(*x) - shift).collect()
}

/// How two engines differ over the same positions.
#[derive(Default, Clone)]
pub struct Comparison {
    /// Positions compared.
    pub positions: usize,
    /// Positions where both have the same likeliest token.
    pub agree: usize,
    /// Sum of KL(reference ‖ other), nats.
    kl: f64,
    /// Largest KL at one position.
    pub worst_kl: f64,
    /// Largest difference of two log-probabilities whose reference is above e^−12.
    pub worst_logprob: f64,
    /// Positions that have a next token, and the sums of −log p of it.
    scored: usize,
    reference: f64,
    other: f64,
}

impl Comparison {
    /// Adds a position; `next` is the text's next token.
    pub fn add(&mut self, reference: &[f32], other: &[f32], next: Option<u32>) {
        let (p, q) = (log_softmax(reference), log_softmax(other));
        self.positions += 1;
        self.agree += usize::from(likeliest(reference) == likeliest(other));
        let kl: f64 = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
        self.kl += kl;
        self.worst_kl = self.worst_kl.max(kl);
        for (p, q) in p.iter().zip(&q).filter(|(p, _)| **p > -12.0) {
            self.worst_logprob = self.worst_logprob.max((p - q).abs());
        }
        if let Some(next) = next {
            self.scored += 1;
            self.reference -= p[next as usize];
            self.other -= q[next as usize];
        }
    }

    /// Adds another comparison's positions.
    pub fn merge(&mut self, other: &Self) {
        self.positions += other.positions;
        self.agree += other.agree;
        self.kl += other.kl;
        self.worst_kl = self.worst_kl.max(other.worst_kl);
        self.worst_logprob = self.worst_logprob.max(other.worst_logprob);
        self.scored += other.scored;
        self.reference += other.reference;
        self.other += other.other;
    }

    /// Share of positions with the same likeliest token.
    pub fn agreement(&self) -> f64 {
        self.agree as f64 / self.positions as f64
    }

    /// Mean KL in nats.
    pub fn mean_kl(&self) -> f64 {
        self.kl / self.positions as f64
    }

    /// Perplexities of the reference and the other.
    pub fn perplexities(&self) -> (f64, f64) {
        let n = self.scored as f64;
        ((self.reference / n).exp(), (self.other / n).exp())
    }
}

/// Median and an interval for it from order statistics, with the interval's coverage: the j-th
/// smallest to the j-th largest value cover the median with 1 − 2·P(Binomial(n, ½) < j).
pub fn median(values: &[f64]) -> (f64, f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let middle = if n % 2 == 1 { sorted[n / 2] } else { (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0 };
    let coverage = |j: usize| {
        let mut below = 0.0;
        let mut term = 0.5f64.powi(n as i32);
        for k in 0..j {
            below += term;
            term *= (n - k) as f64 / (k + 1) as f64;
        }
        1.0 - 2.0 * below
    };
    let j = (1..=n / 2).rev().find(|j| coverage(*j) >= 0.95).unwrap_or(1);
    (middle, sorted[j - 1], sorted[n - j], coverage(j))
}
