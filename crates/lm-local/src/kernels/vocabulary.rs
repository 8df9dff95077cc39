use super::isa::{Isa, Lanes};
use super::math;

/// What a row of logits says at a glance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// Largest logit, and the first token that has it.
    pub largest: f32,
    pub token: u32,
    /// Whether every logit is a finite number.
    pub finite: bool,
}

/// Looks at a row of logits.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(super) unsafe fn summarise<I: Isa>(logits: &[f32]) -> Summary {
    unsafe {
        let zero = I::V::splat(0.0);
        let (lines, tail) = logits.as_chunks::<16>();
        // Several chains, so that they don't wait for each other.
        let mut most = [I::V::splat(f32::NEG_INFINITY); 4];
        let mut odd = [zero; 4];
        for four in lines.chunks(4) {
            for (i, line) in four.iter().enumerate() {
                let v = I::V::load(line.as_ptr());
                most[i] = most[i].max(v);
                odd[i] = v.fma(zero, odd[i]);
            }
        }
        let most = most[0].max(most[1]).max(most[2].max(most[3]));
        let odd = odd[0].add(odd[1]).add(odd[2].add(odd[3]));
        let largest = tail.iter().fold(most.largest(), |a, b| a.max(*b));
        let finite = odd.sum() == 0.0 && tail.iter().all(|v| v.is_finite());
        let line = lines.iter().position(|line| line.iter().fold(false, |any, v| any | (*v == largest)));
        let from = line.map_or(lines.len() * 16, |line| line * 16);
        let token = from + logits[from..].iter().position(|v| *v == largest).unwrap_or(0);
        Summary { largest, token: token as u32, finite }
    }
}

/// ln Σ e^logit, of logits of which `largest` is the largest.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(super) unsafe fn log_sum<I: Isa>(logits: &[f32], largest: f32) -> f32 {
    unsafe {
        let (lines, tail) = logits.as_chunks::<16>();
        let mut sum = I::V::splat(0.0);
        for line in lines {
            sum = sum.add(math::exp(I::V::load(line.as_ptr()).sub(I::V::splat(largest))));
        }
        let tail: f32 = tail.iter().map(|v| (v - largest).exp()).sum();
        largest + (sum.sum() + tail).ln()
    }
}

/// e^((logit − largest) · inverse) for each logit.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(super) unsafe fn exponentials<I: Isa>(logits: &[f32], largest: f32, inverse: f32, out: &mut [f32]) {
    unsafe {
        let (lines, tail) = logits.as_chunks::<16>();
        for (line, out) in lines.iter().zip(out.chunks_exact_mut(16)) {
            let x = I::V::load(line.as_ptr()).sub(I::V::splat(largest)).mul(I::V::splat(inverse));
            math::exp(x).store(out.as_mut_ptr());
        }
        for (x, out) in tail.iter().zip(&mut out[lines.len() * 16..]) {
            *out = ((x - largest) * inverse).exp();
        }
    }
}
