//! Any processor: the meaning of the other paths, written out.

use half::f16;

use super::activations::Block;
use super::isa::{Isa, Lanes, Results, Strip};

pub(crate) struct Plain;

/// Sixteen lanes, no register promised.
#[derive(Clone, Copy)]
pub(crate) struct Sixteen([f32; 16]);

impl Sixteen {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(f))
    }
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY (all of this file): no special instruction is used; pointers obey the contracts of
// `Lanes` and `Isa`.
impl Lanes for Sixteen {
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 16])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { from.cast::<[f32; 16]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; 16]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn fma(self, factor: Self, term: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + term.0[i]))
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        self.map(f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn scale(self, exponent: Self) -> Self {
        self.zip(exponent, |value, exponent| value * f32::from_bits(((exponent as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        fold(self.0, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        fold(self.0, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut i8) {
        unsafe { to.cast::<[i8; 16]>().write_unaligned(self.0.map(|v| v.round_ties_even() as i8)) }
    }
}

#[inline(always)]
fn fold(mut v: [f32; 16], f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            v[i] = f(v[i], v[i + half]);
        }
    }
    v[0]
}

impl Isa for Plain {
    type V = Sixteen;
    const WIDE: bool = false;
    type Pairs = [u32; 16];
    #[inline(always)]
    unsafe fn load_pairs(from: *const u32) -> [u32; 16] {
        unsafe { from.cast::<[u32; 16]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn splat_pair(pair: u32) -> [u32; 16] {
        [pair; 16]
    }
    #[inline(always)]
    unsafe fn mask(pairs: [u32; 16], bits: u32) -> [u32; 16] {
        pairs.map(|pair| pair & bits)
    }
    #[inline(always)]
    unsafe fn dot(sum: Sixteen, a: [u32; 16], b: [u32; 16]) -> Sixteen {
        let high = |pair: u32| f32::from_bits(pair & 0xffff_0000);
        let low = |pair: u32| f32::from_bits(pair << 16);
        Sixteen(std::array::from_fn(|i| sum.0[i] + high(a[i]) * high(b[i]) + low(a[i]) * low(b[i])))
    }
    #[inline(always)]
    unsafe fn store_bf16<const TURN: bool>(v: Sixteen, to: *mut u16) {
        for (i, value) in v.0.into_iter().enumerate() {
            // SAFETY: `to` is valid for sixteen values by contract.
            unsafe { *to.add(i ^ usize::from(TURN)) = half::bf16::from_f32(value).to_bits() };
        }
    }
    unsafe fn q8<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results) {
        for t in 0..T {
            for r in 0..R {
                let mut y = [0f32; 16];
                for b in 0..strip.blocks {
                    let block = unsafe { &*input.add(b) };
                    let codes = unsafe { bytes(&strip, t, b * 512, 512) };
                    let scales = unsafe { bytes(&strip, t, strip.blocks * 512 + b * 32, 32) };
                    for (lane, y) in y.iter_mut().enumerate() {
                        let mut dot = block.offset[r];
                        for input in 0..32 {
                            let code = codes[input / 4 * 64 + lane * 4 + input % 4];
                            dot += i32::from(code) * i32::from(block.codes[r][input]);
                        }
                        *y += dot as f32 * (half(scales, lane) * block.scale[r]);
                    }
                }
                out.0[r][16 * t..16 * t + 16].copy_from_slice(&y);
            }
        }
    }
    unsafe fn q4<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results) {
        for t in 0..T {
            for r in 0..R {
                let mut y = [0f32; 16];
                for b in 0..strip.blocks {
                    let block = unsafe { &*input.add(b) };
                    let codes = unsafe { bytes(&strip, t, b * 320, 320) };
                    for (lane, y) in y.iter_mut().enumerate() {
                        let mut dot = 0;
                        for input in 0..32 {
                            let pair = codes[input / 8 * 64 + lane * 4 + input % 4];
                            let code = if input % 8 < 4 { pair & 15 } else { pair >> 4 };
                            dot += i32::from(code) * i32::from(block.codes[r][input]);
                        }
                        *y += dot as f32 * (half(&codes[256..], lane) * block.scale[r]);
                        *y += half(&codes[288..], lane) * block.sum[r];
                    }
                }
                out.0[r][16 * t..16 * t + 16].copy_from_slice(&y);
            }
        }
    }
    unsafe fn f32<const T: usize, const R: usize>(strip: Strip, input: *const [f32; 256], out: &mut Results) {
        for t in 0..T {
            for r in 0..R {
                let mut y = [0f32; 16];
                for i in 0..strip.blocks * 32 {
                    let weights = unsafe { &*strip.tiles.add(t * strip.stride + i * 64).cast::<[f32; 16]>() };
                    let a = unsafe { (&(*input.add(i / 32)))[i % 32 * 8 + r] };
                    for (y, w) in y.iter_mut().zip(weights) {
                        *y += w * a;
                    }
                }
                out.0[r][16 * t..16 * t + 16].copy_from_slice(&y);
            }
        }
    }
}

unsafe fn bytes(strip: &Strip, tile: usize, from: usize, count: usize) -> &[u8] {
    unsafe { std::slice::from_raw_parts(strip.tiles.add(tile * strip.stride + from), count) }
}

fn half(scales: &[u8], lane: usize) -> f32 {
    f16::from_le_bytes([scales[2 * lane], scales[2 * lane + 1]]).to_f32()
}
