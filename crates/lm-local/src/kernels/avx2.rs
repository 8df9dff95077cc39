//! Haswell and later: 256-bit registers, FMA and F16C; a tile is two halves of eight outputs.

// Constant counts over several arrays at once; the compiler turns them into registers.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

use super::activations::Block;
use super::isa::{Isa, Lanes, Results, Strip};

pub(crate) struct Avx2;

/// Sixteen lanes in two registers.
#[derive(Clone, Copy)]
pub(crate) struct Pair(__m256, __m256);

// SAFETY (all of this file): the functions run only where `Kernels::available` has found the
// features, and pointers obey the contracts of `Lanes` and `Isa`.
impl Lanes for Pair {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Self(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe {
            _mm256_storeu_ps(to, self.0);
            _mm256_storeu_ps(to.add(8), self.1);
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { Self(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { Self(_mm256_min_ps(self.0, other.0), _mm256_min_ps(self.1, other.1)) }
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, term: Self) -> Self {
        unsafe { Self(_mm256_fmadd_ps(self.0, factor.0, term.0), _mm256_fmadd_ps(self.1, factor.1, term.1)) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        unsafe {
            Self(
                _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0),
                _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self) -> Self {
        #[inline(always)]
        unsafe fn half(value: __m256) -> __m256 {
            unsafe {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(value), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
            }
        }
        unsafe { self.mul(Self(half(exponent.0), half(exponent.1))) }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { sum_eight(_mm256_add_ps(self.0, self.1)) }
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        unsafe { largest_eight(_mm256_max_ps(self.0, self.1)) }
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8) {
        let mut values = [0f32; 16];
        unsafe { self.store(values.as_mut_ptr()) };
        for (i, value) in values.into_iter().enumerate() {
            // SAFETY: `to` is valid for sixteen bytes by contract.
            unsafe { *to.add(i) = value.round_ties_even() as i8 };
        }
    }
}

/// Lane i + lane i+4, then i+2, then i+1.
#[inline(always)]
pub(super) unsafe fn sum_eight(v: __m256) -> f32 {
    unsafe {
        let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
        _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
    }
}

/// The same tree of maxima.
#[inline(always)]
pub(super) unsafe fn largest_eight(v: __m256) -> f32 {
    unsafe {
        let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
        _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps::<1>(v, v)))
    }
}

/// Halves of pairs as f32, the high ones first.
#[inline(always)]
unsafe fn halves(pairs: [__m256i; 2]) -> [Pair; 2] {
    unsafe {
        let high = |pairs| _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-0x1_0000)));
        let low = |pairs| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(pairs));
        [Pair(high(pairs[0]), high(pairs[1])), Pair(low(pairs[0]), low(pairs[1]))]
    }
}

/// Eight f32 rounded to bf16, in the low halves.
#[inline(always)]
unsafe fn round_bf16(v: __m256) -> __m256i {
    unsafe {
        let bits = _mm256_castps_si256(v);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
        let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(v, v));
        _mm256_srli_epi32::<16>(_mm256_blendv_epi8(sum, _mm256_set1_epi32(0x7fc0_0000), nan))
    }
}

impl Isa for Avx2 {
    type V = Pair;
    type Pairs = [__m256i; 2];
    #[inline(always)]
    unsafe fn load_pairs(from: *const u32) -> [__m256i; 2] {
        unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(8).cast())] }
    }
    #[inline(always)]
    unsafe fn splat_pair(pair: u32) -> [__m256i; 2] {
        unsafe { [_mm256_set1_epi32(pair.cast_signed()); 2] }
    }
    #[inline(always)]
    unsafe fn mask(pairs: [__m256i; 2], bits: u32) -> [__m256i; 2] {
        unsafe { pairs.map(|pairs| _mm256_and_si256(pairs, _mm256_set1_epi32(bits.cast_signed()))) }
    }
    #[inline(always)]
    unsafe fn dot(sum: Pair, a: [__m256i; 2], b: [__m256i; 2]) -> Pair {
        unsafe {
            let (a, b) = (halves(a), halves(b));
            a[1].fma(b[1], a[0].fma(b[0], sum))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16<const TURN: bool>(v: Pair, to: *mut u16) {
        unsafe {
            // Packing takes turns of four between its two sources.
            let short = _mm256_packus_epi32(round_bf16(v.0), round_bf16(v.1));
            let mut short = _mm256_permute4x64_epi64::<0b11_01_10_00>(short);
            if TURN {
                short = _mm256_or_si256(_mm256_slli_epi32::<16>(short), _mm256_srli_epi32::<16>(short));
            }
            _mm256_storeu_si256(to.cast(), short);
        }
    }
    const WIDE: bool = false;
    #[inline(always)]
    unsafe fn q8<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results) {
        unsafe { quantised::<T, R, false>(strip, input, out) }
    }
    #[inline(always)]
    unsafe fn q4<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results) {
        unsafe { quantised::<T, R, true>(strip, input, out) }
    }
    #[inline(always)]
    unsafe fn f32<const T: usize, const R: usize>(strip: Strip, input: *const [f32; 256], out: &mut Results) {
        unsafe { f32::<T, R>(strip, input, out) }
    }
}

/// Adds `Σ code · a` over groups of four bytes. `vpmaddubsw` saturates at 16 bits for codes above
/// 127, so an 8-bit code goes in as two nibbles; the sum stays exact.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add_dot(sum: __m256i, low: __m256i, high: __m256i, a: __m256i) -> __m256i {
    let sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(low, a), _mm256_set1_epi16(1)));
    _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(high, a), _mm256_set1_epi16(16)))
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn quantised<const T: usize, const R: usize, const FOUR: bool>(
    strip: Strip,
    input: *const Block,
    out: &mut Results,
) {
    let nibble = _mm256_set1_epi8(15);
    let ones = _mm256_set1_epi16(1);
    unsafe {
        for t in 0..T {
            for half in 0..2 {
                let tile = strip.tiles.add(t * strip.stride);
                let mut y = [_mm256_setzero_ps(); R];
                for b in 0..strip.blocks {
                    let block = input.add(b);
                    let codes = (*block).codes.as_ptr().cast::<i8>();
                    let mut dot = [_mm256_setzero_si256(); R];
                    if !FOUR {
                        for r in 0..R {
                            dot[r] = _mm256_set1_epi32((*block).offset[r]);
                        }
                    }
                    for g in 0..if FOUR { 4 } else { 8 } {
                        let line = tile.add((b * if FOUR { 5 } else { 8 } + g) * 64 + half * 32);
                        let w = _mm256_load_si256(line.cast());
                        let low = _mm256_and_si256(w, nibble);
                        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(w), nibble);
                        for r in 0..R {
                            if FOUR {
                                let a = codes.add(r * 32 + g * 8).cast::<i32>();
                                let first = _mm256_set1_epi32(a.read_unaligned());
                                let second = _mm256_set1_epi32(a.add(1).read_unaligned());
                                let pairs = _mm256_add_epi16(
                                    _mm256_maddubs_epi16(low, first),
                                    _mm256_maddubs_epi16(high, second),
                                );
                                dot[r] = _mm256_add_epi32(dot[r], _mm256_madd_epi16(pairs, ones));
                            } else {
                                let a = _mm256_set1_epi32(codes.add(r * 32 + g * 4).cast::<i32>().read_unaligned());
                                dot[r] = add_dot(dot[r], low, high, a);
                            }
                        }
                    }
                    let scales = if FOUR { tile.add((b * 5 + 4) * 64) } else { tile.add(strip.blocks * 512 + b * 32) };
                    let d = _mm256_cvtph_ps(_mm_load_si128(scales.add(half * 16).cast()));
                    for r in 0..R {
                        let factor = _mm256_mul_ps(d, _mm256_set1_ps((*block).scale[r]));
                        y[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r]), factor, y[r]);
                        if FOUR {
                            let m = _mm256_cvtph_ps(_mm_load_si128(scales.add(32 + half * 16).cast()));
                            y[r] = _mm256_fmadd_ps(m, _mm256_set1_ps((*block).sum[r]), y[r]);
                        }
                    }
                }
                for r in 0..R {
                    _mm256_storeu_ps(out.0[r].as_mut_ptr().add(16 * t + 8 * half), y[r]);
                }
            }
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn f32<const T: usize, const R: usize>(strip: Strip, input: *const [f32; 256], out: &mut Results) {
    unsafe {
        let input = input.cast::<f32>();
        for t in 0..T {
            let tile = strip.tiles.add(t * strip.stride).cast::<f32>();
            let mut y = [[_mm256_setzero_ps(); R]; 2];
            for i in 0..strip.blocks * 32 {
                let w = [_mm256_load_ps(tile.add(i * 16)), _mm256_load_ps(tile.add(i * 16 + 8))];
                for r in 0..R {
                    let a = _mm256_set1_ps(*input.add(i * 8 + r));
                    y[0][r] = _mm256_fmadd_ps(w[0], a, y[0][r]);
                    y[1][r] = _mm256_fmadd_ps(w[1], a, y[1][r]);
                }
            }
            for r in 0..R {
                _mm256_storeu_ps(out.0[r].as_mut_ptr().add(16 * t), y[0][r]);
                _mm256_storeu_ps(out.0[r].as_mut_ptr().add(16 * t + 8), y[1][r]);
            }
        }
    }
}
