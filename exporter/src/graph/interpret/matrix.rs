//! Matrix products.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};

use super::{Array, Real};
use crate::graph::Gemm;

/// A matrix in memory.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T>(ArrayView2<'a, T>);

impl<'a, T: Real> Matrix<'a, T> {
    /// Row after row of so many columns.
    pub(super) fn new(data: &'a [T], columns: usize) -> Self {
        let rows = data.len().checked_div(columns).unwrap_or(0);
        // The part of `data` that is whole rows has this shape.
        Self(ArrayView2::from_shape((rows, columns), &data[..rows * columns]).expect("whole rows"))
    }

    /// Rows as columns.
    pub(super) fn transposed(self) -> Self {
        Self(self.0.reversed_axes())
    }
}

/// Adds A B to the rows of `sums`, each `row` elements long, from column `at` on.
pub(super) fn add_product<T: Real>(a: Matrix<T>, b: Matrix<T>, sums: &mut [T], (row, at): (usize, usize)) {
    let (rows, columns) = (a.0.nrows(), b.0.ncols());
    if rows * columns == 0 {
        return;
    }
    let mut sums = ArrayViewMut2::from_shape((rows, row), sums).expect("a row for each of A's");
    general_mat_mul(T::one(), &a.0, &b.0, T::one(), &mut sums.slice_mut(s![.., at..at + columns]));
}

/// NumPy's `matmul`.
pub(super) fn matmul<T: Real>(a: &Array<T>, b: &Array<T>) -> Array<T> {
    // A vector counts as a row on the left and as a column on the right.
    let a_shape = if a.shape.len() == 1 { vec![1, a.shape[0]] } else { a.shape.clone() };
    let b_shape = if b.shape.len() == 1 { vec![b.shape[0], 1] } else { b.shape.clone() };
    let (a_outer, a_matrix) = a_shape.split_at(a_shape.len() - 2);
    let (b_outer, b_matrix) = b_shape.split_at(b_shape.len() - 2);
    let (rows, inner, columns) = (a_matrix[0], a_matrix[1], b_matrix[1]);
    let outer = common(a_outer, b_outer);
    let a_all =
        Array { shape: a_shape.clone(), data: a.data.clone() }.broadcast(&[&outer, a_matrix].concat());
    let b_all =
        Array { shape: b_shape.clone(), data: b.data.clone() }.broadcast(&[&outer, b_matrix].concat());
    let mut shape = outer.clone();
    if a.shape.len() > 1 {
        shape.push(rows);
    }
    if b.shape.len() > 1 {
        shape.push(columns);
    }
    let mut result = Array::zeros(shape);
    let count: usize = outer.iter().product();
    for matrix in 0..count {
        add_product(
            Matrix::new(&a_all.data[matrix * rows * inner..][..rows * inner], inner),
            Matrix::new(&b_all.data[matrix * inner * columns..][..inner * columns], columns),
            &mut result.data[matrix * rows * columns..][..rows * columns],
            (columns, 0),
        );
    }
    result
}

/// The shape that two broadcast to, which is known to exist.
pub(super) fn common(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let at =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    (0..rank).map(|axis| if at(a, axis) == 1 { at(b, axis) } else { at(a, axis) }).collect()
}

/// alpha A B + beta C.
pub(super) fn gemm<T: Real>(gemm: &Gemm, a: &Array<T>, b: &Array<T>, c: Option<&Array<T>>) -> Array<T> {
    let rows = if gemm.transpose_a { a.shape[1] } else { a.shape[0] };
    let columns = if gemm.transpose_b { b.shape[0] } else { b.shape[1] };
    let (alpha, beta) = (T::from_f64(gemm.alpha.into()), T::from_f64(gemm.beta.into()));
    let c = c.map(|c| c.broadcast(&[rows, columns]));
    let mut result = Array::zeros(vec![rows, columns]);
    let (mut left, mut right) = (Matrix::new(&a.data, a.shape[1]), Matrix::new(&b.data, b.shape[1]));
    if gemm.transpose_a {
        left = left.transposed();
    }
    if gemm.transpose_b {
        right = right.transposed();
    }
    add_product(left, right, &mut result.data, (columns, 0));
    for (at, sum) in result.data.iter_mut().enumerate() {
        *sum = alpha * *sum + c.as_ref().map_or(T::default(), |c| beta * c.data[at]);
    }
    result
}
