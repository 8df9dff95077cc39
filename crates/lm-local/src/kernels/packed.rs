use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use half::f16;
use weights::{Matrix, Storage};

/// How a packed matrix stores its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A line is one input of sixteen outputs, f32.
    F32,
    /// A line is four inputs of sixteen outputs as w/d + 128; the tile's f16 scales d follow.
    Q8,
    /// A line is two groups of four inputs in low and high nibbles, w = d·q + m; after four lines
    /// one with the block's d and m as f16.
    Q4,
}

/// A cache line of weights.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub [u8; 64]);

/// Weight matrices of the same input, repacked into tiles of sixteen outputs that a kernel reads
/// as one stream.
pub(crate) struct Packed {
    pub layout: Layout,
    /// Blocks of 32 inputs; the last one is filled up with zeros.
    pub blocks: usize,
    /// For each tile the part that it belongs to and its number within that part.
    pub tiles: Vec<(usize, usize)>,
    /// For each part its outputs.
    pub rows: Vec<usize>,
    lines: Vec<Line>,
}

/// Order of the parts' tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// One part after the other.
    Sequence,
    /// Tiles of two equal parts take turns, so that a pair of tiles holds both values of an output.
    Alternate,
}

impl Packed {
    /// Packs `parts`, which have the same number of columns. With `exact` everything becomes f32;
    /// otherwise Q4_1 stays what it is if all parts are Q4_1, and everything else becomes Q8.
    pub fn new(parts: &[&Matrix], order: Order, exact: bool) -> Self {
        let four = |m: &&Matrix| matches!(m.storage, Storage::Q4_1(_));
        let layout = match exact {
            true => Layout::F32,
            false if parts.iter().all(four) => Layout::Q4,
            false => Layout::Q8,
        };
        let counts: Vec<usize> = parts.iter().map(|m| m.rows.div_ceil(16)).collect();
        let tiles: Vec<(usize, usize)> = match order {
            Order::Sequence => {
                counts.iter().enumerate().flat_map(|(part, count)| (0..*count).map(move |tile| (part, tile))).collect()
            }
            Order::Alternate => (0..counts[0]).flat_map(|tile| [(0, tile), (1, tile)]).collect(),
        };
        let blocks = parts[0].cols.div_ceil(32);
        let rows = parts.iter().map(|m| m.rows).collect();
        let mut packed = Self { layout, blocks, tiles, rows, lines: Vec::new() };
        packed.lines = vec![Line([0; 64]); packed.tiles.len() * packed.tile_lines()];
        let stride = packed.tile_lines();
        let mut row = vec![0f32; blocks * 32];
        for (t, (part, tile)) in packed.tiles.iter().enumerate() {
            let matrix = parts[*part];
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut packed.lines[t * stride..(t + 1) * stride]);
            for lane in 0..16 {
                let at = tile * 16 + lane;
                if at >= matrix.rows {
                    // Scales of a row that isn't there stay zero, so whatever its codes are counts nothing.
                    continue;
                }
                match (&layout, &matrix.storage) {
                    (Layout::Q4, Storage::Q4_1(data)) => {
                        let stride = matrix.cols / weights::BLOCK * weights::Q4_1_BYTES;
                        pack_q4(&data[at * stride..(at + 1) * stride], lane, bytes);
                    }
                    (Layout::Q8, Storage::Q8_0(data)) => {
                        let stride = matrix.cols / weights::BLOCK * weights::Q8_0_BYTES;
                        pack_q8(&data[at * stride..(at + 1) * stride], lane, blocks, bytes);
                    }
                    (Layout::F32, _) => {
                        matrix.row(at, &mut row[..matrix.cols]);
                        for (i, value) in row.iter().enumerate() {
                            bytes[i * 64 + lane * 4..][..4].copy_from_slice(&value.to_le_bytes());
                        }
                    }
                    _ => {
                        matrix.row(at, &mut row[..matrix.cols]);
                        quantise_q8(&row, lane, blocks, bytes);
                    }
                }
            }
        }
        packed
    }

    /// Lines of one tile.
    pub fn tile_lines(&self) -> usize {
        match self.layout {
            Layout::F32 => self.blocks * 32,
            Layout::Q8 => self.blocks * 8 + self.blocks.div_ceil(2),
            Layout::Q4 => self.blocks * 5,
        }
    }

    /// Lines of some tiles.
    pub fn lines(&self, tiles: Range<usize>) -> &[Line] {
        let stride = self.tile_lines();
        &self.lines[tiles.start * stride..tiles.end * stride]
    }

    /// Bytes that a step reads of this matrix.
    pub fn bytes(&self) -> usize {
        self.lines.len() * 64
    }

    /// Writes output `row` of a matrix of one part as numbers; `out` is at most `blocks · 32` long.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let bytes: &[u8] = bytemuck::cast_slice(self.lines(row / 16..row / 16 + 1));
        let lane = row % 16;
        let half = |at: usize| f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32();
        for (i, out) in out.iter_mut().enumerate() {
            let block = i / 32;
            *out = match self.layout {
                Layout::F32 => bytemuck::pod_read_unaligned(&bytes[i * 64 + lane * 4..][..4]),
                Layout::Q8 => {
                    let code = bytes[i / 4 * 64 + lane * 4 + i % 4];
                    half(self.blocks * 512 + block * 32 + lane * 2) * (f32::from(code) - 128.0)
                }
                Layout::Q4 => {
                    let pair = bytes[block * 320 + i % 32 / 8 * 64 + lane * 4 + i % 4];
                    let code = if i % 8 < 4 { pair & 15 } else { pair >> 4 };
                    half(block * 320 + 256 + lane * 2) * f32::from(code) + half(block * 320 + 288 + lane * 2)
                }
            };
        }
    }
}

fn pack_q4(row: &[u8], lane: usize, tile: &mut [u8]) {
    for (b, block) in row.chunks_exact(weights::Q4_1_BYTES).enumerate() {
        for i in 0..32 {
            let code = if i < 16 { block[4 + i] & 15 } else { block[4 + i - 16] >> 4 };
            let shift = if i % 8 < 4 { 0 } else { 4 };
            tile[b * 320 + i / 8 * 64 + lane * 4 + i % 4] |= code << shift;
        }
        tile[b * 320 + 256 + lane * 2..][..2].copy_from_slice(&block[..2]);
        tile[b * 320 + 288 + lane * 2..][..2].copy_from_slice(&block[2..4]);
    }
}

fn pack_q8(row: &[u8], lane: usize, blocks: usize, tile: &mut [u8]) {
    for (b, block) in row.chunks_exact(weights::Q8_0_BYTES).enumerate() {
        for (i, code) in block[2..].iter().enumerate() {
            tile[b * 512 + i / 4 * 64 + lane * 4 + i % 4] = code.wrapping_add(128);
        }
        tile[blocks * 512 + b * 32 + lane * 2..][..2].copy_from_slice(&block[..2]);
    }
}

/// d = max|w|/127 as f16, code = round(w/d).
fn quantise_q8(row: &[f32], lane: usize, blocks: usize, tile: &mut [u8]) {
    for (b, block) in row.chunks_exact(32).enumerate() {
        let most = block.iter().fold(0f32, |most, w| most.max(w.abs()));
        let scale = f16::from_f32(most / 127.0);
        let inverse = if scale.to_f32() > 0.0 { 1.0 / scale.to_f32() } else { 0.0 };
        for (i, w) in block.iter().enumerate() {
            let code = (w * inverse).round_ties_even().clamp(-127.0, 127.0) as i32 + 128;
            tile[b * 512 + i / 4 * 64 + lane * 4 + i % 4] = code as u8;
        }
        tile[blocks * 512 + b * 32 + lane * 2..][..2].copy_from_slice(&scale.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of a ramp that no permutation leaves alone.
    pub(crate) fn ramp(rows: usize, cols: usize) -> Matrix {
        let data = (0..rows * cols).map(|i| ((i * 37 % 101) as f32 - 50.0) / 40.0).collect();
        Matrix::f32(rows, cols, data)
    }

    #[test]
    fn rows_come_back() {
        for (rows, cols) in [(16, 32), (33, 96), (5, 40)] {
            let matrix = ramp(rows, cols);
            for (exact, tolerance) in [(true, 0.0), (false, 1.5 / 127.0)] {
                let packed = Packed::new(&[&matrix], Order::Sequence, exact);
                let mut row = vec![0.0; cols];
                for at in 0..rows {
                    packed.row(at, &mut row);
                    let mut expected = vec![0.0; cols];
                    matrix.row(at, &mut expected);
                    for (a, b) in row.iter().zip(&expected) {
                        assert!((a - b).abs() <= tolerance, "{rows} × {cols}, row {at}: {a} against {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn four_bit_codes_are_kept() {
        let bytes: Vec<u8> = (0..16 * 2)
            .flat_map(|block| {
                let mut bytes = Vec::new();
                bytes.extend(f16::from_f32(0.01 * (block + 1) as f32).to_le_bytes());
                bytes.extend(f16::from_f32(-0.05 * block as f32).to_le_bytes());
                bytes.extend((0..16).map(|i| (block * 31 + i * 17) as u8));
                bytes
            })
            .collect();
        let matrix = Matrix { rows: 16, cols: 64, storage: Storage::Q4_1(bytes) };
        let packed = Packed::new(&[&matrix], Order::Sequence, false);
        assert_eq!(packed.layout, Layout::Q4);
        let (mut row, mut expected) = (vec![0.0; 64], vec![0.0; 64]);
        for at in 0..16 {
            packed.row(at, &mut row);
            matrix.row(at, &mut expected);
            assert_eq!(row, expected);
        }
    }
}
