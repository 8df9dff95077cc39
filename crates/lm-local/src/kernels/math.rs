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
        p.mul(n.power())
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

/// Sum of the lanes, as a tree.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn sum<V: Lanes>(x: V) -> f32 {
    unsafe { fold(x, |a, b| a + b) }
}

/// Largest lane.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
pub(crate) unsafe fn largest<V: Lanes>(x: V) -> f32 {
    unsafe { fold(x, |a, b| if a > b { a } else { b }) }
}

#[inline(always)]
unsafe fn fold<V: Lanes>(x: V, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut v = [0f32; 16];
    // SAFETY: `v` holds sixteen values.
    unsafe { x.store(v.as_mut_ptr()) };
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            v[i] = f(v[i], v[i + half]);
        }
    }
    v[0]
}
