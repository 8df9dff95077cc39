//! Matrix views over slices, and their product by the `gemm` crate: the only place that calls it.

use gemm::Parallelism;

/// A read-only matrix over a slice: element (i, j) is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A matrix that is written, with the same layout as [`View`].
pub struct ViewMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

/// How many elements a matrix of this shape spans, so that every access below it is in bounds.
fn span(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row_stride + (columns - 1) * column_stride + 1 }
}

impl<'a> View<'a> {
    /// A dense row-major matrix, `rows × columns`, at the front of `data`.
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A row-major matrix whose rows begin `row_stride` elements apart.
    pub fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(span(rows, columns, row_stride, 1) <= data.len(), "matrix {rows}×{columns} exceeds its slice");
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// The same elements with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

impl<'a> ViewMut<'a> {
    /// A dense row-major matrix, `rows × columns`, at the front of `data`.
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// A row-major matrix whose rows begin `row_stride` elements apart.
    pub fn strided(data: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(columns <= row_stride || rows <= 1, "rows of a written matrix must not overlap");
        assert!(span(rows, columns, row_stride, 1) <= data.len(), "matrix {rows}×{columns} exceeds its slice");
        Self { data, rows, columns, row_stride }
    }
}

/// Whether a product replaces what stands in its destination or is added to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// `destination = product`
    Set,
    /// `destination += product`
    Add,
}

/// `destination (m × n) = or += scale · left (m × k) · right (k × n)`, over `threads` of the current
/// rayon pool. Each element is one sum over k in a fixed order, whatever the number of threads.
pub fn multiply(destination: ViewMut<'_>, into: Store, scale: f32, left: View<'_>, right: View<'_>, threads: usize) {
    assert_eq!(
        (destination.rows, destination.columns, left.columns),
        (left.rows, right.columns, right.rows),
        "shapes of a matrix product"
    );
    let parallelism = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    // SAFETY: the constructors of the views checked that every element lies in its slice, the
    // destination is borrowed mutably so it overlaps neither operand, and the shapes agree.
    unsafe {
        gemm::gemm(
            destination.rows,
            destination.columns,
            left.columns,
            destination.data.as_mut_ptr(),
            1,
            destination.row_stride as isize,
            into == Store::Add,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}
