//! Zen 4 and later, Ice Lake and later: 512-bit registers and `vpdpbusd`.

// Constant counts over several arrays at once; the compiler turns them into registers.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

use super::activations::Block;
use super::avx2::{largest_eight, sum_eight};
use super::isa::{Isa, Lanes, Results, Strip};

/// With `BF16`, `vdpbf16ps` is there as well.
pub(crate) struct Avx512<const BF16: bool>;

// SAFETY (all of this file): the functions run only where `Kernels::available` has found the
// features, and pointers obey the contracts of `Lanes` and `Isa`.
impl Lanes for __m512 {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm512_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { _mm512_sub_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { _mm512_mul_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        unsafe { _mm512_div_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { _mm512_max_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        unsafe { _mm512_min_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, term: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, factor, term) }
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self) }
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self) -> Self {
        unsafe { _mm512_scalef_ps(self, exponent) }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { sum_eight(_mm256_add_ps(_mm512_castps512_ps256(self), high(self))) }
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        unsafe { largest_eight(_mm256_max_ps(_mm512_castps512_ps256(self), high(self))) }
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8) {
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(self))) }
    }
}

#[inline(always)]
unsafe fn high(v: __m512) -> __m256 {
    unsafe { _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v))) }
}

/// Halves of pairs as f32, the high ones first.
#[inline(always)]
unsafe fn halves(pairs: __m512i) -> [__m512; 2] {
    unsafe {
        let high = _mm512_and_si512(pairs, _mm512_set1_epi32(-0x1_0000));
        [_mm512_castsi512_ps(high), _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs))]
    }
}

impl<const BF16: bool> Isa for Avx512<BF16> {
    type V = __m512;
    type Pairs = __m512i;
    const WIDE: bool = true;
    #[inline(always)]
    unsafe fn load_pairs(from: *const u32) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat_pair(pair: u32) -> __m512i {
        unsafe { _mm512_set1_epi32(pair.cast_signed()) }
    }
    #[inline(always)]
    unsafe fn mask(pairs: __m512i, bits: u32) -> __m512i {
        unsafe { _mm512_and_si512(pairs, Self::splat_pair(bits)) }
    }
    #[inline(always)]
    unsafe fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        unsafe {
            if BF16 {
                return _mm512_dpbf16_ps(
                    sum,
                    std::mem::transmute::<__m512i, __m512bh>(a),
                    std::mem::transmute::<__m512i, __m512bh>(b),
                );
            }
            let (a, b) = (halves(a), halves(b));
            a[1].fma(b[1], a[0].fma(b[0], sum))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16<const TURN: bool>(v: __m512, to: *mut u16) {
        unsafe {
            let mut short = if BF16 {
                std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v))
            } else {
                let bits = _mm512_castps_si512(v);
                let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
                let sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
                let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
                let sum = _mm512_mask_mov_epi32(sum, nan, _mm512_set1_epi32(0x7fc0_0000));
                _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(sum))
            };
            if TURN {
                short = _mm256_rol_epi32::<16>(short);
            }
            _mm256_storeu_si256(to.cast(), short);
        }
    }
    #[inline(always)]
    fn fetch<A>(line: *const A) {
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }
    #[inline(always)]
    unsafe fn q8<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results) {
        unsafe { q8::<T, R>(strip, input, out) }
    }
    #[inline(always)]
    unsafe fn q4<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results) {
        unsafe { q4::<T, R>(strip, input, out) }
    }
    #[inline(always)]
    unsafe fn f32<const T: usize, const R: usize>(strip: Strip, input: *const [f32; 256], out: &mut Results) {
        unsafe { f32::<T, R>(strip, input, out) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma")]
unsafe fn save<const T: usize, const R: usize>(y: &[[__m512; R]; T], out: &mut Results) {
    for (t, tile) in y.iter().enumerate() {
        for (r, value) in tile.iter().enumerate() {
            unsafe { _mm512_storeu_ps(out.0[r].as_mut_ptr().add(16 * t), *value) };
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma")]
unsafe fn q8<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results) {
    unsafe {
        let mut y = [[_mm512_setzero_ps(); R]; T];
        for b in 0..strip.blocks {
            let block = input.add(b);
            let codes = (*block).codes.as_ptr().cast::<i8>();
            let mut dot = [[_mm512_setzero_si512(); R]; T];
            for r in 0..R {
                let offset = _mm512_set1_epi32((*block).offset[r]);
                for tile in &mut dot {
                    tile[r] = offset;
                }
            }
            for g in 0..8 {
                let mut w = [_mm512_setzero_si512(); T];
                for t in 0..T {
                    let line = strip.tiles.add(t * strip.stride + (b * 8 + g) * 64);
                    w[t] = _mm512_load_si512(line.cast());
                    if strip.ahead {
                        _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(T * strip.stride).cast());
                    }
                }
                for r in 0..R {
                    let a = _mm512_set1_epi32(codes.add(r * 32 + g * 4).cast::<i32>().read_unaligned());
                    for t in 0..T {
                        dot[t][r] = _mm512_dpbusd_epi32(dot[t][r], w[t], a);
                    }
                }
            }
            for t in 0..T {
                let scale = strip.tiles.add(t * strip.stride + strip.blocks * 512 + b * 32);
                let d = _mm512_cvtph_ps(_mm256_load_si256(scale.cast()));
                for r in 0..R {
                    let factor = _mm512_mul_ps(d, _mm512_set1_ps((*block).scale[r]));
                    y[t][r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t][r]), factor, y[t][r]);
                }
            }
        }
        save(&y, out);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma")]
unsafe fn q4<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results) {
    unsafe {
        let nibble = _mm512_set1_epi8(15);
        let mut y = [[_mm512_setzero_ps(); R]; T];
        for b in 0..strip.blocks {
            let block = input.add(b);
            let codes = (*block).codes.as_ptr().cast::<i8>();
            let mut dot = [[_mm512_setzero_si512(); R]; T];
            for g in 0..4 {
                let mut low = [_mm512_setzero_si512(); T];
                let mut high = [_mm512_setzero_si512(); T];
                for t in 0..T {
                    let line = strip.tiles.add(t * strip.stride + (b * 5 + g) * 64);
                    let w = _mm512_load_si512(line.cast());
                    low[t] = _mm512_and_si512(w, nibble);
                    high[t] = _mm512_and_si512(_mm512_srli_epi16::<4>(w), nibble);
                    if strip.ahead {
                        _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(T * strip.stride).cast());
                    }
                }
                for r in 0..R {
                    let a = codes.add(r * 32 + g * 8).cast::<i32>();
                    let first = _mm512_set1_epi32(a.read_unaligned());
                    let second = _mm512_set1_epi32(a.add(1).read_unaligned());
                    for t in 0..T {
                        dot[t][r] = _mm512_dpbusd_epi32(dot[t][r], low[t], first);
                        dot[t][r] = _mm512_dpbusd_epi32(dot[t][r], high[t], second);
                    }
                }
            }
            for t in 0..T {
                let line = strip.tiles.add(t * strip.stride + (b * 5 + 4) * 64);
                let d = _mm512_cvtph_ps(_mm256_load_si256(line.cast()));
                let m = _mm512_cvtph_ps(_mm256_load_si256(line.add(32).cast()));
                if strip.ahead {
                    _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(T * strip.stride).cast());
                }
                for r in 0..R {
                    let factor = _mm512_mul_ps(d, _mm512_set1_ps((*block).scale[r]));
                    let sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[t][r]), factor, y[t][r]);
                    y[t][r] = _mm512_fmadd_ps(m, _mm512_set1_ps((*block).sum[r]), sum);
                }
            }
        }
        save(&y, out);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma")]
unsafe fn f32<const T: usize, const R: usize>(strip: Strip, input: *const [f32; 256], out: &mut Results) {
    unsafe {
        let mut y = [[_mm512_setzero_ps(); R]; T];
        let input = input.cast::<f32>();
        for i in 0..strip.blocks * 32 {
            let mut w = [_mm512_setzero_ps(); T];
            for t in 0..T {
                let line = strip.tiles.add(t * strip.stride + i * 64);
                w[t] = _mm512_load_ps(line.cast());
                if strip.ahead {
                    _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(T * strip.stride).cast());
                }
            }
            for r in 0..R {
                let a = _mm512_set1_ps(*input.add(i * 8 + r));
                for t in 0..T {
                    y[t][r] = _mm512_fmadd_ps(w[t], a, y[t][r]);
                }
            }
        }
        save(&y, out);
    }
}
