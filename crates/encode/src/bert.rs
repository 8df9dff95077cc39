use gemm::Parallelism;

/// `y = W x + b`.
pub(crate) struct Linear {
    /// Outputs × inputs, row-major.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// `y = (x − mean) / √(variance + ε) · scale + shift`.
pub(crate) struct Norm {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

/// Attention and feed-forward, each added to its input and normalised afterwards.
pub(crate) struct Block {
    /// Query, key and value: 3 · width outputs.
    pub attention: Linear,
    pub gather: Linear,
    pub attention_norm: Norm,
    pub up: Linear,
    pub down: Linear,
    pub norm: Norm,
}

/// The encoder of Devlin et al. 2018, with the mean of its last states as the text's vector.
pub(crate) struct Bert {
    pub width: usize,
    pub heads: usize,
    pub epsilon: f32,
    /// Vocabulary × width.
    pub words: Vec<f32>,
    /// Positions × width.
    pub positions: Vec<f32>,
    pub norm: Norm,
    pub blocks: Vec<Block>,
}

impl Bert {
    /// Length of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Tokens that a text may have.
    pub fn positions(&self) -> usize {
        self.positions.len() / self.width
    }

    /// Tokens that are known.
    pub fn vocabulary(&self) -> usize {
        self.words.len() / self.width
    }

    /// The text's unit vector. One text at a time and on one thread: all of its tokens are seen, so
    /// nothing needs a mask, and no sum depends on what else is encoded.
    pub fn forward(&self, ids: &[u32]) -> Vec<f32> {
        let (width, length) = (self.width, ids.len());
        let mut states = Vec::with_capacity(length * width);
        for (id, position) in ids.iter().zip(self.positions.chunks_exact(width)) {
            let word = &self.words[*id as usize * width..][..width];
            states.extend(word.iter().zip(position).map(|(x, y)| x + y));
        }
        self.norm.apply(&mut states, self.epsilon);
        for block in &self.blocks {
            block.apply(&mut states, self.heads, self.epsilon);
        }
        let mut vector = vec![0.0f32; width];
        for state in states.chunks_exact(width) {
            vector.iter_mut().zip(state).for_each(|(sum, x)| *sum += x);
        }
        // The length of the sum is the length of the mean times a constant, which goes out here.
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        vector
    }
}

impl Block {
    fn apply(&self, states: &mut [f32], heads: usize, epsilon: f32) {
        let width = self.gather.bias.len();
        let mixed = attend(&self.attention.apply(states), width, heads);
        add(states, &self.gather.apply(&mixed));
        self.attention_norm.apply(states, epsilon);
        let mut hidden = self.up.apply(states);
        hidden.iter_mut().for_each(|x| *x = gelu(*x));
        add(states, &self.down.apply(&hidden));
        self.norm.apply(states, epsilon);
    }
}

impl Linear {
    /// Rows of inputs to rows of outputs.
    fn apply(&self, inputs: &[f32]) -> Vec<f32> {
        let outputs = self.bias.len();
        let depth = self.weight.len() / outputs;
        let rows = inputs.len() / depth;
        let mut result = self.bias.repeat(rows);
        let weight = View { data: &self.weight, row: 1, column: depth };
        multiply(
            &mut result,
            outputs,
            View { data: inputs, row: depth, column: 1 },
            weight,
            [rows, outputs, depth],
            1.0,
        );
        result
    }
}

impl Norm {
    fn apply(&self, states: &mut [f32], epsilon: f32) {
        let width = self.scale.len();
        for state in states.chunks_exact_mut(width) {
            let mean = state.iter().sum::<f32>() / width as f32;
            let variance = state.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width as f32;
            let factor = 1.0 / (variance + epsilon).sqrt();
            for ((x, scale), shift) in state.iter_mut().zip(&self.scale).zip(&self.shift) {
                *x = (*x - mean) * factor * scale + shift;
            }
        }
    }
}

fn add(states: &mut [f32], change: &[f32]) {
    states.iter_mut().zip(change).for_each(|(x, y)| *x += y);
}

/// `softmax(Q Kᵀ / √d) V` for each head; rows of `projected` are query, key, value side by side.
fn attend(projected: &[f32], width: usize, heads: usize) -> Vec<f32> {
    let (row, depth) = (3 * width, width / heads);
    let length = projected.len() / row;
    let mut scores = vec![0.0; length * length];
    let mut mixed = vec![0.0; length * width];
    for head in 0..heads {
        let part = |index: usize| &projected[index * width + head * depth..];
        let queries = View { data: part(0), row, column: 1 };
        let keys = View { data: part(1), row: 1, column: row };
        scores.fill(0.0);
        multiply(&mut scores, length, queries, keys, [length, length, depth], 1.0 / (depth as f32).sqrt());
        for line in scores.chunks_exact_mut(length) {
            let most = line.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            line.iter_mut().for_each(|x| *x = (*x - most).exp());
            let sum: f32 = line.iter().sum();
            line.iter_mut().for_each(|x| *x /= sum);
        }
        let weights = View { data: &scores, row: length, column: 1 };
        let values = View { data: part(2), row, column: 1 };
        multiply(&mut mixed[head * depth..], width, weights, values, [length, depth, length], 1.0);
    }
    mixed
}

/// `x · Φ(x)`. The error function is Abramowitz & Stegun 7.1.26, off by 1.5e-7 at most.
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = [1.061_405_4, -1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6];
    let tail = series.iter().fold(0.0f32, |sum, factor| sum * t + factor) * t * (-z * z).exp();
    // Φ(−|x|) = tail / 2.
    if x < 0.0 { 0.5 * x * tail } else { x - 0.5 * x * tail }
}

/// Where row r and column c of a matrix stand: `data[r · row + c · column]`.
#[derive(Clone, Copy)]
struct View<'a> {
    data: &'a [f32],
    row: usize,
    column: usize,
}

/// `destination (m × n, a row every `stride`) += scale · left (m × k) · right (k × n)`.
fn multiply(
    destination: &mut [f32],
    stride: usize,
    left: View<'_>,
    right: View<'_>,
    [m, n, k]: [usize; 3],
    scale: f32,
) {
    let last = |rows: usize, row: usize, columns: usize, column: usize| (rows - 1) * row + (columns - 1) * column;
    assert!(m > 0 && n > 0 && k > 0, "a product has rows, columns and depth");
    assert!(last(m, stride, n, 1) < destination.len() && n <= stride, "destination of a product");
    assert!(last(m, left.row, k, left.column) < left.data.len(), "left side of a product");
    assert!(last(k, right.row, n, right.column) < right.data.len(), "right side of a product");
    // SAFETY: the lines above checked that the last element of each side lies in its slice; the
    // destination is borrowed mutably, so it overlaps neither side, and its rows do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            destination.as_mut_ptr(),
            1,
            stride as isize,
            true,
            left.data.as_ptr(),
            left.column as isize,
            left.row as isize,
            right.data.as_ptr(),
            right.column as isize,
            right.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight digits of x · Φ(x), by the error function of the C library.
    #[test]
    fn gelu_is_x_times_the_normal_distribution() {
        for (x, expected) in [
            (-6.0, -5.919_526e-9),
            (-1.0, -0.158_655_25),
            (-0.3, -0.114_626_57),
            (0.0, 0.0),
            (0.5, 0.345_731_23),
            (2.5, 2.484_475_9),
            (40.0, 40.0),
        ] {
            assert!((gelu(x) - expected).abs() < 4e-7, "gelu({x}) = {}", gelu(x));
        }
    }

    #[test]
    fn attention_to_equal_keys_is_the_mean_of_the_values() {
        // Two heads of one number each, three tokens; the keys of head 0 are equal, those of head 1
        // let token 2 take all.
        let rows =
            [[1.0, 100.0, 7.0, 0.0, 1.0, 10.0], [2.0, 100.0, 7.0, 0.0, 2.0, 20.0], [3.0, 100.0, 7.0, 5.0, 6.0, 30.0]];
        let mixed = attend(&rows.concat(), 2, 2);
        for token in mixed.chunks_exact(2) {
            assert!((token[0] - 3.0).abs() < 1e-6 && (token[1] - 30.0).abs() < 1e-6, "{token:?}");
        }
    }
}
