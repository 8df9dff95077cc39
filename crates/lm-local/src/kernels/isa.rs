use super::activations::Block;

/// Sixteen f32 in registers, with the few operations that the decoder needs.
///
/// Every operation is one IEEE operation a lane in the same order on every path; only
/// [`Lanes::fma`] may round once (hardware) or twice (plain).
///
/// # Safety
/// Each method may use the instructions of its path, so it may only run where
/// [`super::Kernels::available`] says so; pointers must be valid for sixteen values.
pub(crate) trait Lanes: Copy {
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    unsafe fn max(self, other: Self) -> Self;
    unsafe fn min(self, other: Self) -> Self;
    /// `self · factor + term`.
    unsafe fn fma(self, factor: Self, term: Self) -> Self;
    /// To the nearest integer, halves to even.
    unsafe fn round(self) -> Self;
    /// `self · 2^exponent`; the exponent is an integer in −126..=127.
    unsafe fn scale(self, exponent: Self) -> Self;
    /// Sum of the lanes: halves, quarters, eighths, then both (the same tree on every path).
    unsafe fn sum(self) -> f32;
    /// The largest lane.
    unsafe fn largest(self) -> f32;
    /// Sixteen integers in −127..=127 as bytes.
    unsafe fn store_i8(self, to: *mut i8);
}

/// Weights of one or two neighbouring tiles and where the next ones begin.
#[derive(Clone, Copy)]
pub(crate) struct Strip {
    /// First byte of the first tile.
    pub tiles: *const u8,
    /// Bytes from one tile to the next.
    pub stride: usize,
    /// Blocks of 32 inputs.
    pub blocks: usize,
    /// Whether to fetch the tiles that follow into the cache.
    pub ahead: bool,
}

/// Results of two tiles for eight rows: `[row][tile · 16 + lane]`.
#[repr(C, align(64))]
pub(crate) struct Results(pub [[f32; 32]; 8]);

/// One instruction set's inner products. `T` tiles times `R` rows stand in registers.
///
/// For each output: `y = Σ over blocks: scale_a · (d · Σ q a + m · Σ a)`, the blocks in order, the
/// inner sums exact in i32; so a row's result never depends on the other rows.
///
/// # Safety
/// As [`Lanes`]; the strip must hold `T` tiles of `blocks` blocks (and the allocation goes on or
/// ends there; prefetching past it is harmless), the activations `blocks` blocks.
pub(crate) trait Isa {
    type V: Lanes;
    /// Whether there are registers for 24 sums and more.
    const WIDE: bool;
    /// Sixteen pairs of bf16; of each the later one in memory is the high one.
    type Pairs: Copy;
    unsafe fn load_pairs(from: *const u32) -> Self::Pairs;
    unsafe fn splat_pair(pair: u32) -> Self::Pairs;
    /// Bit by bit; a pair is masked by setting bits.
    unsafe fn mask(pairs: Self::Pairs, bits: u32) -> Self::Pairs;
    /// `(sum + high · high) + low · low`, rounded after each of the two additions; so a half that is
    /// zero changes nothing.
    unsafe fn dot(sum: Self::V, a: Self::Pairs, b: Self::Pairs) -> Self::V;
    /// To sixteen bf16, to nearest, halves to even. With `TURN` the halves of each pair change places.
    unsafe fn store_bf16<const TURN: bool>(v: Self::V, to: *mut u16);
    /// Asks for a cache line that will be read soon; any address is harmless.
    #[inline(always)]
    fn fetch<A>(_line: *const A) {}
    unsafe fn q8<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results);
    unsafe fn q4<const T: usize, const R: usize>(strip: Strip, input: *const Block, out: &mut Results);
    unsafe fn f32<const T: usize, const R: usize>(strip: Strip, input: *const [f32; 256], out: &mut Results);
}
