//! Small mathematics over sixteen lanes, the same on every path.

use super::isa::Lanes;

/// e to the power of `x`, relative error below 2e-7; `x` is first clamped to −87..=88.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn exp<V: Lanes>(x: V) -> V {
    unsafe {
        let x = x.max(V::splat(-87.0)).min(V::splat(88.0));
        let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
        // ln 2 in two parts, the first exact in few bits, so that x − n·ln 2 keeps its digits.
        let r = n.fma(V::splat(-0.693_359_4), x);
        let r = n.fma(V::splat(2.121_944_4e-4), r);
        let mut p = V::splat(1.0 / 720.0);
        for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            p = p.fma(r, V::splat(c));
        }
        // 2^127 is the largest power of two, and n reaches 127 at most by the clamp.
        p.scale(n)
    }
}

/// `x / (1 + e^−x)`.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn silu<V: Lanes>(x: V) -> V {
    unsafe { x.div(exp(V::splat(0.0).sub(x)).add(V::splat(1.0))) }
}
