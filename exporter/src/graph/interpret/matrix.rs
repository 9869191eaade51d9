//! Matrix products.

use super::{Array, Real};
use crate::graph::Gemm;

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
        for row in 0..rows {
            for column in 0..columns {
                let mut sum = T::default();
                for k in 0..inner {
                    sum += a_all.data[(matrix * rows + row) * inner + k]
                        * b_all.data[(matrix * inner + k) * columns + column];
                }
                result.data[(matrix * rows + row) * columns + column] = sum;
            }
        }
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
    let (rows, inner) = if gemm.transpose_a { (a.shape[1], a.shape[0]) } else { (a.shape[0], a.shape[1]) };
    let columns = if gemm.transpose_b { b.shape[0] } else { b.shape[1] };
    let (alpha, beta) = (T::from_f64(gemm.alpha.into()), T::from_f64(gemm.beta.into()));
    let c = c.map(|c| c.broadcast(&[rows, columns]));
    let mut result = Array::zeros(vec![rows, columns]);
    // The left matrix by columns: all rows go on together, each summing in order.
    let left = |row: usize, k: usize| {
        if gemm.transpose_a { a.data[k * rows + row] } else { a.data[row * inner + k] }
    };
    let by_columns: Vec<T> = (0..inner).flat_map(|k| (0..rows).map(move |row| left(row, k))).collect();
    let mut sums = vec![T::default(); rows];
    for column in 0..columns {
        sums.fill(T::default());
        for (k, lefts) in by_columns.chunks_exact(rows.max(1)).enumerate() {
            let right =
                if gemm.transpose_b { b.data[column * inner + k] } else { b.data[k * columns + column] };
            for (sum, &left) in sums.iter_mut().zip(lefts) {
                *sum += left * right;
            }
        }
        for (row, &sum) in sums.iter().enumerate() {
            let at = row * columns + column;
            result.data[at] = alpha * sum + c.as_ref().map_or(T::default(), |c| beta * c.data[at]);
        }
    }
    result
}
