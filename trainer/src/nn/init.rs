//! Initial values of weights, drawn from our own generator so that a seed gives the same bytes everywhere.

use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

/// How the weight of a linear, convolution or transposed-convolution layer starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightInit {
    /// PyTorch's default for these layers: U(±1/sqrt(fan_in)), that is Kaiming uniform with a = sqrt(5).
    TorchDefault,
    /// Glorot and Bengio 2010, eq. 16: U(±sqrt(6 / (fan_in + fan_out))).
    XavierUniform,
}

/// Values entering and leaving one unit, as PyTorch counts them for a weight of this shape: axis 1 is "in", axis 0 is
/// "out" (also for a transposed convolution, whose weight is (in, out, k, k): PyTorch does not treat it specially),
/// both times the kernel's area.
pub fn fans(shape: &[i64]) -> (i64, i64) {
    let area: i64 = shape.iter().skip(2).product();
    (shape[1] * area, shape[0] * area)
}

/// The bound of the uniform distribution for a weight of this shape.
pub fn bound(init: WeightInit, shape: &[i64]) -> f64 {
    let (fan_in, fan_out) = fans(shape);
    match init {
        WeightInit::TorchDefault => 1.0 / (fan_in as f64).sqrt(),
        WeightInit::XavierUniform => (6.0 / (fan_in + fan_out) as f64).sqrt(),
    }
}

/// A tensor of this shape with values from U(-bound, bound), drawn in row-major order.
pub fn uniform(rng: &mut Rng, shape: &[i64], bound: f64, device: Device) -> Result<Tensor, TchError> {
    let count = shape.iter().product::<i64>() as usize;
    let bound = bound as f32;
    let values: Vec<f32> = (0..count).map(|_| rng.uniform(-bound, bound)).collect();
    Tensor::f_from_slice(&values)?.f_view(shape)?.f_to_device(device)
}

/// A tensor of this shape with values from N(0, 2 / fan_out), drawn in row-major order: He et al. 2015, eq. 14, which keeps
/// the variance of gradients through a ReLU.
pub fn kaiming_normal(rng: &mut Rng, shape: &[i64], device: Device) -> Result<Tensor, TchError> {
    let count = shape.iter().product::<i64>() as usize;
    let (_, fan_out) = fans(shape);
    let std = (2.0 / fan_out as f64).sqrt() as f32;
    let values: Vec<f32> = (0..count).map(|_| std * rng.normal()).collect();
    Tensor::f_from_slice(&values)?.f_view(shape)?.f_to_device(device)
}

/// A vector with all values the same.
pub fn constant(len: i64, value: f64, device: Device) -> Result<Tensor, TchError> {
    Tensor::f_full([len], value, (Kind::Float, device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_reference() {
        let cases: [(WeightInit, &[i64], f64); 5] = [
            (WeightInit::TorchDefault, &[256, 784], 1.0 / 28.0),
            (WeightInit::TorchDefault, &[32, 1, 5, 5], 0.2),
            (WeightInit::XavierUniform, &[128, 64, 4, 4], 0.0442),
            (WeightInit::XavierUniform, &[64, 1, 4, 4], 0.0760),
            (WeightInit::XavierUniform, &[1024, 1024], 0.054_126_6),
        ];
        for (init, shape, expected) in cases {
            let found = bound(init, shape);
            assert!((found - expected).abs() < 5e-5, "{init:?} {shape:?}: {found}, expected {expected}");
        }
    }

    #[test]
    fn values_fill_the_interval_evenly() {
        let values = uniform(&mut Rng::from_seed(3), &[100, 1000], 0.5, Device::Cpu).unwrap();
        let (mean, std) = (values.mean(Kind::Double).double_value(&[]), values.std(true).double_value(&[]));
        assert!(mean.abs() < 0.003, "{mean}");
        assert!((std - 0.5 / 3f64.sqrt()).abs() < 0.002, "{std}");
        assert!(values.max().double_value(&[]) <= 0.5 && values.min().double_value(&[]) >= -0.5);
    }

    #[test]
    fn kaiming_normal_has_its_variance() {
        let values = kaiming_normal(&mut Rng::from_seed(4), &[64, 32, 3, 3], Device::Cpu).unwrap();
        let (mean, std) = (values.mean(Kind::Double).double_value(&[]), values.std(true).double_value(&[]));
        let expected = (2.0f64 / (64.0 * 9.0)).sqrt();
        assert!(mean.abs() < 0.02 * expected, "{mean}");
        assert!((std / expected - 1.0).abs() < 0.02, "{std} {expected}");
    }
}
