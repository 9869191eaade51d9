//! SeFa: directions from the weights of the first layer.

use nalgebra::{DMatrix, SymmetricEigen};

use super::{Directions, oriented};

/// Closed-form factorization (Y. Shen and B. Zhou, "Closed-Form Factorization of Latent Semantics in GANs", 2021): the
/// eigenvectors of `Aᵀ A` with the largest eigenvalues, `A` being the weight of the first affine layer. They are the
/// directions in which the first layer's output changes most.
///
/// `weight` has one row of `inputs` values for each output. At most `count` directions come back; none if a value is
/// not finite or the sizes do not fit.
pub fn sefa(weight: &[f32], inputs: usize, count: usize) -> Directions {
    if inputs == 0 || !weight.len().is_multiple_of(inputs) || weight.iter().any(|x| !x.is_finite()) {
        return Vec::new();
    }
    let a = DMatrix::from_row_slice(weight.len() / inputs, inputs, weight);
    let eigen = SymmetricEigen::new(a.tr_mul(&a));
    let mut order: Vec<usize> = (0..inputs).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    order
        .into_iter()
        .take(count)
        .map(|index| oriented(eigen.eigenvectors.column(index).iter().copied().collect()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_those_of_the_largest_change() {
        // Columns of lengths 1, 3 and 2, orthogonal.
        let weight = [1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0];
        let expected = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]];
        let found = sefa(&weight, 3, 9);
        assert_eq!(found.len(), 3);
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
        }
        assert_eq!(sefa(&weight, 3, 1).len(), 1);
    }

    #[test]
    fn what_does_not_fit_has_no_directions() {
        assert!(sefa(&[1.0; 5], 3, 2).is_empty());
        assert!(sefa(&[], 0, 2).is_empty());
        assert!(sefa(&[1.0, f32::NAN], 1, 2).is_empty());
    }
}
