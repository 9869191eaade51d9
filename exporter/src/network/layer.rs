//! The layers that the reference networks are made of.

use crate::run::Tensor;

/// One layer, with its weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// y = W x + b.
    Linear(Linear),
    /// Two-dimensional convolution; weight (out, in, height, width).
    Conv(Convolution),
    /// Its transpose; weight (in, out, height, width).
    ConvTranspose(Convolution),
    /// y = scale (x - mean) / sqrt(variance + epsilon) + shift, per channel.
    BatchNorm(BatchNorm),
    /// max(x, 0).
    Relu,
    /// x where it is positive, `slope` x elsewhere.
    LeakyRelu {
        /// The slope below zero.
        slope: f32,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// Maximum over `size` x `size` windows that do not overlap; a rest at the border is dropped.
    MaxPool {
        /// Side of the window, and the step.
        size: usize,
    },
    /// The same values under another shape: that of the step's output.
    Reshape,
}

/// The weights of a fully connected layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// (out, in).
    pub weight: Tensor,
    /// (out).
    pub bias: Tensor,
}

/// The weights and geometry of a convolution or of its transpose.
#[derive(Debug, Clone, PartialEq)]
pub struct Convolution {
    /// The kernel; the order of its first two axes depends on the layer.
    pub weight: Tensor,
    /// (out).
    pub bias: Tensor,
    /// Step, the same along both axes.
    pub stride: usize,
    /// Zeros added at each border.
    pub pad: usize,
}

/// BatchNorm with the running statistics: the form used for inference.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    /// gamma, one value a channel.
    pub scale: Tensor,
    /// beta.
    pub shift: Tensor,
    /// The running mean.
    pub mean: Tensor,
    /// The running variance, not negative.
    pub variance: Tensor,
    /// Added to the variance.
    pub epsilon: f32,
}

impl BatchNorm {
    /// The same map as y = a x + b: (a, b) for each channel, in double precision.
    pub fn affine(&self) -> Vec<(f64, f64)> {
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

impl Linear {
    /// The layer that computes W (a x + b) + c, where W and c are this layer's: BatchNorm before a fully
    /// connected layer folds into it exactly.
    pub fn after_affine(&self, affine: &[(f64, f64)]) -> Linear {
        let mut folded = self.clone();
        let rows = folded.weight.data.chunks_exact_mut(affine.len().max(1));
        for (row, bias) in rows.zip(&mut folded.bias.data) {
            let mut sum = f64::from(*bias);
            for (weight, &(a, b)) in row.iter_mut().zip(affine) {
                sum += f64::from(*weight) * b;
                *weight = (f64::from(*weight) * a) as f32;
            }
            *bias = sum as f32;
        }
        folded
    }
}

impl Layer {
    pub(super) fn parameters(&self) -> u64 {
        let count = |tensors: &[&Tensor]| tensors.iter().map(|tensor| tensor.data.len() as u64).sum();
        match self {
            Layer::Linear(linear) => count(&[&linear.weight, &linear.bias]),
            Layer::Conv(conv) | Layer::ConvTranspose(conv) => count(&[&conv.weight, &conv.bias]),
            Layer::BatchNorm(norm) => count(&[&norm.scale, &norm.shift]),
            Layer::Relu | Layer::LeakyRelu { .. } | Layer::Tanh | Layer::MaxPool { .. } | Layer::Reshape => 0,
        }
    }

    pub(super) fn macs(&self, input: &[usize], output: &[usize]) -> u64 {
        // Each weight of a convolution meets every output position, each of a transposed one every input position.
        let plane = |shape: &[usize]| shape.iter().skip(1).product::<usize>() as u64;
        match self {
            Layer::Linear(linear) => linear.weight.data.len() as u64,
            Layer::Conv(conv) => conv.weight.data.len() as u64 * plane(output),
            Layer::ConvTranspose(conv) => conv.weight.data.len() as u64 * plane(input),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], data: &[f32]) -> Tensor {
        Tensor { shape: shape.to_vec(), data: data.to_vec() }
    }

    #[test]
    fn batch_norm_is_an_affine_map() {
        let norm = BatchNorm {
            scale: tensor(&[2], &[2.0, -1.0]),
            shift: tensor(&[2], &[0.5, 1.0]),
            mean: tensor(&[2], &[3.0, -2.0]),
            variance: tensor(&[2], &[4.0, 0.25]),
            epsilon: 0.0,
        };
        assert_eq!(norm.affine(), [(1.0, -2.5), (-2.0, -3.0)]);
    }

    #[test]
    fn an_affine_map_folds_into_the_next_linear_layer() {
        let linear =
            Linear { weight: tensor(&[2, 2], &[1.0, 2.0, 3.0, -4.0]), bias: tensor(&[2], &[0.5, -0.5]) };
        let folded = linear.after_affine(&[(2.0, 1.0), (-0.5, 3.0)]);
        assert_eq!(folded.weight.data, [2.0, -1.0, 6.0, 2.0]);
        // 0.5 + 1*1 + 2*3 and -0.5 + 3*1 - 4*3.
        assert_eq!(folded.bias.data, [7.5, -9.5]);
    }
}
