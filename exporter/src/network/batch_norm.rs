//! BatchNorm in the form used for inference, and its folding into layers.
//!
//! **Behind a fully connected layer or a convolution** it folds into that layer's weights exactly: encoders have it there.
//!
//! **In front of a fully connected layer** it folds into that layer exactly, whole: W (a x + b) + c = (W a) x + (W b + c).
//! The reference generators have it behind a ReLU, so it does not fold into the layer before.
//!
//! **In front of a zero-padded transposed convolution** it does not fold: its shift would be missing from the padding, so
//! the sum would be wrong at the borders. It becomes a multiplication and an addition per channel, which is the same map
//! with its constants worked out in double precision. (Folding only its scale into the weights of the layer after it would
//! be exact too; measured in ONNX Runtime it gains nothing, and it would take from the int8 quantizer an activation whose
//! channels have equal variance.)

use crate::run::Tensor;

/// BatchNorm's epsilon, PyTorch's default.
pub(super) const EPSILON: f32 = 1e-5;

/// BatchNorm with the running statistics: y = scale (x - mean) / sqrt(variance + epsilon) + shift, per channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BatchNorm {
    /// gamma, one value a channel.
    pub(super) scale: Tensor,
    /// beta.
    pub(super) shift: Tensor,
    /// The running mean.
    pub(super) mean: Tensor,
    /// The running variance, not negative.
    pub(super) variance: Tensor,
    /// Added to the variance.
    pub(super) epsilon: f32,
}

impl BatchNorm {
    /// The same map as y = a x + b: (a, b) for each channel, in double precision.
    pub(super) fn affine(&self) -> Vec<(f64, f64)> {
        let channels =
            self.scale.data.iter().zip(&self.shift.data).zip(&self.mean.data).zip(&self.variance.data);
        channels
            .map(|(((&scale, &shift), &mean), &variance)| {
                let a = f64::from(scale) / (f64::from(variance) + f64::from(self.epsilon)).sqrt();
                (a, f64::from(shift) - f64::from(mean) * a)
            })
            .collect()
    }
}

/// Changes weights (out, ...) and biases so that the layer gives a y + b where it gave y.
pub(super) fn fold_behind(affine: &[(f64, f64)], weight: &mut [f32], bias: &mut Option<Vec<f32>>) {
    let row = weight.len() / affine.len().max(1);
    for (row, (a, _)) in weight.chunks_exact_mut(row.max(1)).zip(affine) {
        row.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * a) as f32);
    }
    let before = |at: usize| bias.as_ref().map_or(0.0, |bias| f64::from(bias[at]));
    *bias = Some(affine.iter().enumerate().map(|(at, (a, b))| (before(at) * a + b) as f32).collect());
}

/// Changes weights (out, in) and biases of a fully connected layer so that it computes W (a x + b) + c where it computed
/// W x + c.
pub(super) fn fold_in_front(affine: &[(f64, f64)], weight: &mut [f32], bias: &mut [f32]) {
    for (row, bias) in weight.chunks_exact_mut(affine.len().max(1)).zip(bias) {
        let mut sum = f64::from(*bias);
        for (weight, &(a, b)) in row.iter_mut().zip(affine) {
            sum += f64::from(*weight) * b;
            *weight = (f64::from(*weight) * a) as f32;
        }
        *bias = sum as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_norm_is_an_affine_map() {
        let tensor = |data: &[f32]| Tensor { shape: vec![data.len()], data: data.to_vec() };
        let norm = BatchNorm {
            scale: tensor(&[2.0, -1.0]),
            shift: tensor(&[0.5, 1.0]),
            mean: tensor(&[3.0, -2.0]),
            variance: tensor(&[4.0, 0.25]),
            epsilon: 0.0,
        };
        assert_eq!(norm.affine(), [(1.0, -2.5), (-2.0, -3.0)]);
    }

    #[test]
    fn an_affine_map_folds_into_the_next_linear_layer() {
        let (mut weight, mut bias) = ([1.0, 2.0, 3.0, -4.0], [0.5, -0.5]);
        fold_in_front(&[(2.0, 1.0), (-0.5, 3.0)], &mut weight, &mut bias);
        assert_eq!(weight, [2.0, -1.0, 6.0, 2.0]);
        // 0.5 + 1*1 + 2*3 and -0.5 + 3*1 - 4*3.
        assert_eq!(bias, [7.5, -9.5]);
    }

    #[test]
    fn an_affine_map_folds_into_the_layer_before() {
        let (mut weight, mut bias) = ([1.0, 2.0, 3.0, -4.0], None);
        fold_behind(&[(2.0, 1.0), (-0.5, 3.0)], &mut weight, &mut bias);
        assert_eq!((weight, bias), ([2.0, 4.0, -1.5, 2.0], Some(vec![1.0, 3.0])));
        let mut bias = Some(vec![5.0, 8.0]);
        fold_behind(&[(2.0, 1.0), (-0.5, 3.0)], &mut weight, &mut bias);
        assert_eq!(bias, Some(vec![11.0, -1.0]));
    }
}
