//! The values of an evaluation.

use super::Real;
use crate::graph::Tensor;

/// A tensor of floats, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The elements: as many as the product of `shape`.
    pub data: Vec<T>,
}

impl<T: Real> Array<T> {
    /// An array of zeros.
    pub fn zeros(shape: Vec<usize>) -> Array<T> {
        let count = shape.iter().product();
        Array { shape, data: vec![T::default(); count] }
    }

    /// The same elements in this float type.
    pub fn from_tensor(tensor: &Tensor) -> Array<T> {
        let data = match tensor.floats() {
            Some(floats) => floats.iter().map(|&value| T::from_f64(value.into())).collect(),
            None => tensor.doubles().into_iter().map(T::from_f64).collect(),
        };
        Array { shape: tensor.shape().to_vec(), data }
    }

    /// A function of every element.
    pub(super) fn map(&self, function: impl Fn(T) -> T) -> Array<T> {
        Array { shape: self.shape.clone(), data: self.data.iter().map(|&value| function(value)).collect() }
    }

    /// The same elements repeated along axes of length 1, and along new axes in front.
    pub(super) fn broadcast(&self, shape: &[usize]) -> Array<T> {
        if self.shape == shape {
            return self.clone();
        }
        // An axis along which the elements repeat has step 0.
        let mut steps = vec![0; shape.len()];
        let mut step = 1;
        for (axis, &length) in self.shape.iter().enumerate().rev() {
            if length != 1 {
                steps[axis + shape.len() - self.shape.len()] = step;
            }
            step *= length;
        }
        let mut result = Array::zeros(shape.to_vec());
        each_index(shape, |place, index| {
            let from: usize = index.iter().zip(&steps).map(|(&at, &step)| at * step).sum();
            result.data[place] = self.data[from];
        });
        result
    }

    /// How the axis `axis` lies in memory: how many blocks, its length, and how many elements from one to the next.
    pub(super) fn around(&self, axis: usize) -> (usize, usize, usize) {
        let outer = self.shape[..axis].iter().product();
        let inner = self.shape[axis + 1..].iter().product();
        (outer, self.shape[axis], inner)
    }
}

/// Calls `visit` with every index of a shape, the last axis fastest, and its place in memory.
pub(super) fn each_index(shape: &[usize], mut visit: impl FnMut(usize, &[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    let mut place = 0;
    loop {
        visit(place, &index);
        place += 1;
        // The last axis that is not at its end moves on; those after it begin again.
        let Some(axis) = (0..shape.len()).rev().find(|&axis| index[axis] + 1 < shape[axis]) else { return };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_repeats_elements() {
        let row = Array { shape: vec![3], data: vec![1.0f32, 2.0, 3.0] };
        assert_eq!(row.broadcast(&[2, 3]).data, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        let column = Array { shape: vec![2, 1], data: vec![1.0f32, 2.0] };
        assert_eq!(column.broadcast(&[2, 3]).data, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        let scalar = Array { shape: vec![], data: vec![5.0f32] };
        assert_eq!(scalar.broadcast(&[2, 2]).data, [5.0; 4]);
    }

    #[test]
    fn indices_count_up() {
        let all = |shape: &[usize]| {
            let mut all = Vec::new();
            each_index(shape, |place, index| all.push((place, index.to_vec())));
            all
        };
        assert_eq!(all(&[2, 2]), [(0, vec![0, 0]), (1, vec![0, 1]), (2, vec![1, 0]), (3, vec![1, 1])]);
        assert_eq!(all(&[]), [(0, vec![])]);
        assert_eq!(all(&[2, 0]), []);
    }
}
