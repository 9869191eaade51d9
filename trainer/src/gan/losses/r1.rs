//! The R1 penalty, which goes with any loss.

use tch::{Kind, TchError, Tensor};

use super::{Score, gradient};

/// Discriminator steps from one penalty to the next; it is that much heavier then, which trains as well at a sixteenth of
/// the cost (Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN, section 3.1).
pub(in crate::gan) const EVERY: u64 = 16;

/// `mean(|∇D(x)|²)` at real images (N, ...): Mescheder et al. 2018, Which Training Methods for GANs do actually Converge,
/// eq. 9, without its factor γ/2. The result can be differentiated with respect to the discriminator's parameters.
pub(in crate::gan) fn penalty(discriminator: Score<'_>, real: &Tensor) -> Result<Tensor, TchError> {
    gradient::squared_norms(discriminator, real)?.f_mean(Kind::Float)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    /// For D(x) = w · x² / 2, the gradient is w x, and the penalty's own derivative by w is 2 w mean(|x|²).
    #[test]
    fn is_the_mean_squared_gradient() {
        let w = Tensor::from(3.0f32).set_requires_grad(true);
        let x = Tensor::from_slice2(&[[1.0f32, -2.0], [0.5, 0.0]]);
        let score = |x: &Tensor, _| (x.square() * 0.5).sum_dim_intlist(1i64, false, Kind::Float).f_mul(&w);
        let penalty = penalty(&score, &x).unwrap();
        let mean = (1.0 + 4.0 + 0.25) / 2.0;
        assert_eq!(f64::try_from(&penalty).unwrap(), 9.0 * mean);
        let derivative = Tensor::run_backward(&[penalty], &[&w], false, false);
        assert_eq!(f64::try_from(&derivative[0]).unwrap(), 6.0 * mean);
        assert_eq!(w.device(), Device::Cpu);
    }
}
