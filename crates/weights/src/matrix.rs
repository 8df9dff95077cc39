use half::f16;

/// Weights per block of Q4_1 and Q8_0.
pub const BLOCK: usize = 32;
/// Bytes of a Q4_1 block: f16 scale d, f16 minimum m, 16 bytes of codes. w = d·code + m; byte i
/// holds the codes of weights i (low nibble) and i + 16 (high nibble).
pub const Q4_1_BYTES: usize = 20;
/// Bytes of a Q8_0 block: f16 scale d, 32 signed codes. w = d·code.
pub const Q8_0_BYTES: usize = 34;

/// A weight matrix, row-major: y = W·x, one row an output. Vectors have one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// The weights.
    pub storage: Storage,
}

/// How weights lie in memory. Every other type of a file is dequantised to F32 when read.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// rows·cols numbers.
    F32(Vec<f32>),
    /// GGUF block bytes, row after row, [`Q4_1_BYTES`] for each [`BLOCK`] inputs.
    Q4_1(Vec<u8>),
    /// GGUF block bytes, row after row, [`Q8_0_BYTES`] for each [`BLOCK`] inputs.
    Q8_0(Vec<u8>),
}

impl Storage {
    /// Bytes (F32: numbers) that a row of `cols` inputs takes.
    fn stride(&self, cols: usize) -> usize {
        match self {
            Self::F32(_) => cols,
            Self::Q4_1(_) => cols / BLOCK * Q4_1_BYTES,
            Self::Q8_0(_) => cols / BLOCK * Q8_0_BYTES,
        }
    }
}

fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

impl Matrix {
    /// A matrix of F32 weights; `data` holds rows·cols numbers.
    pub fn f32(rows: usize, cols: usize, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), rows * cols, "a {rows} × {cols} matrix");
        Self { rows, cols, storage: Storage::F32(data) }
    }

    /// Writes row `row` as numbers into `out`, which is `cols` long.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let stride = self.storage.stride(self.cols);
        match &self.storage {
            Storage::F32(data) => out.copy_from_slice(&data[row * stride..(row + 1) * stride]),
            Storage::Q4_1(data) => {
                let blocks = data[row * stride..(row + 1) * stride].chunks_exact(Q4_1_BYTES);
                for (block, out) in blocks.zip(out.chunks_exact_mut(BLOCK)) {
                    let (d, m) = (half_at(block, 0), half_at(block, 2));
                    for (i, codes) in block[4..].iter().enumerate() {
                        out[i] = d * f32::from(codes & 15) + m;
                        out[i + 16] = d * f32::from(codes >> 4) + m;
                    }
                }
            }
            Storage::Q8_0(data) => {
                let blocks = data[row * stride..(row + 1) * stride].chunks_exact(Q8_0_BYTES);
                for (block, out) in blocks.zip(out.chunks_exact_mut(BLOCK)) {
                    let d = half_at(block, 0);
                    for (out, code) in out.iter_mut().zip(&block[2..]) {
                        *out = d * f32::from(*code as i8);
                    }
                }
            }
        }
    }

    /// All weights as numbers, row after row.
    pub fn to_f32(&self) -> Vec<f32> {
        if let Storage::F32(data) = &self.storage {
            return data.clone();
        }
        let mut out = vec![0.0; self.rows * self.cols];
        for (row, out) in out.chunks_exact_mut(self.cols).enumerate() {
            self.row(row, out);
        }
        out
    }

    /// The same weights as owned numbers, without a copy where they are numbers already.
    pub fn into_f32(self) -> Vec<f32> {
        match self.storage {
            Storage::F32(data) => data,
            _ => self.to_f32(),
        }
    }

    /// Whether every number is finite; for quantised rows, every scale and minimum.
    pub(crate) fn is_finite(&self) -> bool {
        match &self.storage {
            Storage::F32(data) => data.iter().all(|w| w.is_finite()),
            Storage::Q4_1(data) => {
                data.chunks_exact(Q4_1_BYTES).all(|b| half_at(b, 0).is_finite() && half_at(b, 2).is_finite())
            }
            Storage::Q8_0(data) => data.chunks_exact(Q8_0_BYTES).all(|b| half_at(b, 0).is_finite()),
        }
    }

    /// Row r of the result is row `source(r)` of this one. Works on quantised rows, because blocks
    /// never cross rows; a vector (one row) is permuted by its elements.
    pub(crate) fn permuted(self, source: impl Fn(usize) -> usize) -> Self {
        fn gather<T: Copy>(data: &[T], stride: usize, rows: usize, source: impl Fn(usize) -> usize) -> Vec<T> {
            let mut out = Vec::with_capacity(data.len());
            for row in 0..rows {
                let from = source(row) * stride;
                out.extend_from_slice(&data[from..from + stride]);
            }
            out
        }
        let stride = self.storage.stride(self.cols);
        let (rows, stride) = if self.rows == 1 { (self.cols, stride / self.cols) } else { (self.rows, stride) };
        let storage = match &self.storage {
            Storage::F32(data) => Storage::F32(gather(data, stride, rows, source)),
            Storage::Q4_1(data) => Storage::Q4_1(gather(data, stride, rows, source)),
            Storage::Q8_0(data) => Storage::Q8_0(gather(data, stride, rows, source)),
        };
        Self { storage, ..self }
    }
}

/// Where Hugging Face row `row` of q or k lies in interleaved order. Hugging Face keeps the first
/// coordinates of all pairs of a head, then the second ones; interleaved order keeps pairs together.
pub(crate) fn interleaved(row: usize, head_dim: usize) -> usize {
    let (head, within) = (row / head_dim, row % head_dim);
    let (half, pair) = (within / (head_dim / 2), within % (head_dim / 2));
    head * head_dim + 2 * pair + half
}

/// The inverse of [`interleaved`].
pub(crate) fn rotate_half(row: usize, head_dim: usize) -> usize {
    let (head, within) = (row / head_dim, row % head_dim);
    head * head_dim + (within % 2) * (head_dim / 2) + within / 2
}

/// Little-endian bytes as numbers.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

/// Quantises rows of numbers to Q8_0 bytes: d = max|w|/127 as f16, code = round(w/d).
pub(crate) fn to_q8_0(data: &[f32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() / BLOCK * Q8_0_BYTES);
    for block in data.chunks_exact(BLOCK) {
        let d = block.iter().fold(0.0f32, |most, w| most.max(w.abs())) / 127.0;
        let inverse = if d > 0.0 { 1.0 / d } else { 0.0 };
        out.extend_from_slice(&f16::from_f32(d).to_le_bytes());
        out.extend(block.iter().map(|w| (w * inverse).round() as i8 as u8));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutations_are_inverse_and_stay_in_the_head() {
        for row in 0..96 {
            assert_eq!(rotate_half(interleaved(row, 32), 32), row);
            assert_eq!(interleaved(row, 32) / 32, row / 32);
        }
        assert_eq!((0..8).map(|r| interleaved(r, 8)).collect::<Vec<_>>(), [0, 2, 4, 6, 1, 3, 5, 7]);
    }

    #[test]
    fn quantised_rows_permute_as_their_numbers_do() {
        let data: Vec<f32> = (0..4 * 64).map(|i| (i as f32 * 0.37).sin()).collect();
        let matrix = Matrix { rows: 4, cols: 64, storage: Storage::Q8_0(to_q8_0(&data)) };
        let numbers = matrix.to_f32();
        assert!(numbers.iter().zip(&data).all(|(a, b)| (a - b).abs() < 0.005));
        let permuted = matrix.permuted(|row| interleaved(row, 4));
        let expected = Matrix::f32(4, 64, numbers).permuted(|row| interleaved(row, 4));
        assert_eq!(permuted.to_f32(), expected.to_f32());
    }

    #[test]
    fn q4_1_blocks_read_as_specified() {
        let mut block = Vec::new();
        block.extend_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block.extend_from_slice(&f16::from_f32(-2.0).to_le_bytes());
        block.extend((0..16u8).map(|i| i | ((15 - i) << 4)));
        let numbers = Matrix { rows: 1, cols: 32, storage: Storage::Q4_1(block) }.to_f32();
        for i in 0..16 {
            assert_eq!(numbers[i], 0.5 * i as f32 - 2.0);
            assert_eq!(numbers[i + 16], 0.5 * (15 - i) as f32 - 2.0);
        }
    }
}
