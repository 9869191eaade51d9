//! GAN losses on score tensors.
//!
//! A score is the discriminator's raw output, before any sigmoid. All functions take scores of any shape and return a scalar,
//! the mean over all of them. They are finite for every finite score, and differentiable.

use std::fmt;

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

use crate::nn::{Network, Pass};

/// Which pair of losses the two networks play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Binary cross-entropy, non-saturating for the generator.
    Bce,
    /// Least squares.
    Ls,
    /// Hinge.
    Hinge,
    /// Wasserstein with gradient penalty.
    WganGp,
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bce => "bce",
            Self::Ls => "ls",
            Self::Hinge => "hinge",
            Self::WganGp => "wgan-gp",
        })
    }
}

impl LossKind {
    /// The discriminator's loss. For [`LossKind::WganGp`] without the [`gradient_penalty`], which is added to it.
    pub fn discriminator(self, real: &Tensor, fake: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Bce => bce_discriminator(real, fake),
            Self::Ls => ls_discriminator(real, fake),
            Self::Hinge => hinge_discriminator(real, fake),
            Self::WganGp => wasserstein_discriminator(real, fake),
        }
    }

    /// The generator's loss.
    pub fn generator(self, fake: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Bce => bce_generator(fake),
            Self::Ls => ls_generator(fake),
            Self::Hinge | Self::WganGp => negative_mean(fake),
        }
    }
}

/// mean(ln(1 + exp(s))) = mean(max(s, 0) + ln(1 + exp(-|s|))), which is `bce(s, 0)`.
fn mean_softplus(scores: &Tensor) -> Result<Tensor, TchError> {
    // libtorch computes log-sigmoid without overflow. Subtracted from 0 rather than negated, for 0 and not -0.
    scores.f_neg()?.f_log_sigmoid()?.f_mean(Kind::Float)?.f_rsub_scalar(0.0)
}

/// `mean(bce(real, 1)) + mean(bce(fake, 0))` with `bce(s, y) = max(s, 0) - s y + ln(1 + exp(-|s|))`: the discriminator of
/// Goodfellow et al. 2014, eq. 1, negated. 2 ln 2 where all scores are 0.
pub fn bce_discriminator(real: &Tensor, fake: &Tensor) -> Result<Tensor, TchError> {
    mean_softplus(&real.f_neg()?)?.f_add(&mean_softplus(fake)?)
}

/// `mean(bce(fake, 1))`, the non-saturating generator loss of Goodfellow et al. 2014, section 3. ln 2 where all scores are 0.
pub fn bce_generator(fake: &Tensor) -> Result<Tensor, TchError> {
    mean_softplus(&fake.f_neg()?)
}

/// `1/2 mean((real - 1)²) + 1/2 mean(fake²)`: Mao et al. 2017 (LSGAN), eq. 9, with a = 0, b = 1. 1/4 where all scores are 1/2.
pub fn ls_discriminator(real: &Tensor, fake: &Tensor) -> Result<Tensor, TchError> {
    let real = real.f_sub_scalar(1.0)?.f_square()?.f_mean(Kind::Float)?;
    real.f_add(&fake.f_square()?.f_mean(Kind::Float)?)?.f_mul_scalar(0.5)
}

/// `1/2 mean((fake - 1)²)`: Mao et al. 2017 (LSGAN), eq. 9, with c = 1. 1/8 where all scores are 1/2.
pub fn ls_generator(fake: &Tensor) -> Result<Tensor, TchError> {
    fake.f_sub_scalar(1.0)?.f_square()?.f_mean(Kind::Float)?.f_mul_scalar(0.5)
}

/// `mean(max(0, 1 - real)) + mean(max(0, 1 + fake))`: Lim and Ye 2017 (Geometric GAN), eq. 17. 2 where all scores are 0.
pub fn hinge_discriminator(real: &Tensor, fake: &Tensor) -> Result<Tensor, TchError> {
    let real = real.f_neg()?.f_add_scalar(1.0)?.f_relu()?.f_mean(Kind::Float)?;
    real.f_add(&fake.f_add_scalar(1.0)?.f_relu()?.f_mean(Kind::Float)?)
}

/// `mean(fake) - mean(real)`: the critic's loss of Arjovsky et al. 2017 (Wasserstein GAN), eq. 3, negated. Its negative
/// estimates the Wasserstein distance.
pub fn wasserstein_discriminator(real: &Tensor, fake: &Tensor) -> Result<Tensor, TchError> {
    fake.f_mean(Kind::Float)?.f_sub(&real.f_mean(Kind::Float)?)
}

/// `-mean(fake)`: the generator's loss of both the hinge and the Wasserstein GAN.
pub fn negative_mean(fake: &Tensor) -> Result<Tensor, TchError> {
    fake.f_mean(Kind::Float)?.f_neg()
}

/// `mean((|∇D(x̂)|₂ - 1)²)` at `x̂ = t real + (1 - t) fake`: Gulrajani et al. 2017 (WGAN-GP), eq. 3, without its factor λ.
///
/// `real` and `fake` are batches of one shape (N, ...), `t` is (N), from U(0, 1). The result can be differentiated with
/// respect to the discriminator's parameters.
pub fn gradient_penalty(
    discriminator: &Network,
    real: &Tensor,
    fake: &Tensor,
    t: &Tensor,
) -> Result<Tensor, TchError> {
    let mut shape = vec![1i64; real.dim()];
    shape[0] = -1;
    let t = t.f_view(shape.as_slice())?;
    let between = tch::no_grad(|| fake.f_add(&real.f_sub(fake)?.f_mul(&t)?))?;
    let between = between.f_detach()?.f_set_requires_grad(true)?;
    let scores = discriminator.forward(&between, Pass { twice: true, ..Pass::TRAIN })?;
    let gradient = Tensor::f_run_backward(&[scores.f_sum(Kind::Float)?], &[&between], true, true)?;
    // The square root has no derivative at zero; the constant is far below one rounding step of a norm near 1.
    let squared = gradient[0].f_flatten(1, -1)?.f_square()?.f_sum_dim_intlist(1i64, false, Kind::Float)?;
    squared.f_add_scalar(1e-12)?.f_sqrt()?.f_sub_scalar(1.0)?.f_square()?.f_mean(Kind::Float)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::LN_2;

    use super::*;

    fn value(t: Result<Tensor, TchError>) -> f64 {
        t.unwrap().double_value(&[])
    }

    fn scores(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).view([-1, 1])
    }

    fn mean(values: &[f32], f: impl Fn(f64) -> f64) -> f64 {
        values.iter().map(|s| f(f64::from(*s))).sum::<f64>() / values.len() as f64
    }

    /// The formula of the reference, word for word.
    fn bce(s: f64, y: f64) -> f64 {
        s.max(0.0) - s * y + (-s.abs()).exp().ln_1p()
    }

    #[test]
    fn losses_are_their_formulas() {
        let real = [0.3f32, -1.7, 4.0, 0.0, 12.5, -0.01, 1.0];
        let fake = [-0.4f32, 2.2, -9.0, 0.5, 0.0, 3.25, -1.0];
        let d: [(LossKind, f64); 4] = [
            (LossKind::Bce, mean(&real, |s| bce(s, 1.0)) + mean(&fake, |s| bce(s, 0.0))),
            (LossKind::Ls, 0.5 * mean(&real, |s| (s - 1.0).powi(2)) + 0.5 * mean(&fake, |s| s * s)),
            (LossKind::Hinge, mean(&real, |s| (1.0 - s).max(0.0)) + mean(&fake, |s| (1.0 + s).max(0.0))),
            (LossKind::WganGp, mean(&fake, |s| s) - mean(&real, |s| s)),
        ];
        for (kind, expected) in d {
            let found = value(kind.discriminator(&scores(&real), &scores(&fake)));
            assert!((found - expected).abs() < 2e-6 * expected.abs().max(1.0), "{kind} D {found} {expected}");
        }
        let g: [(LossKind, f64); 4] = [
            (LossKind::Bce, mean(&fake, |s| bce(s, 1.0))),
            (LossKind::Ls, 0.5 * mean(&fake, |s| (s - 1.0).powi(2))),
            (LossKind::Hinge, -mean(&fake, |s| s)),
            (LossKind::WganGp, -mean(&fake, |s| s)),
        ];
        for (kind, expected) in g {
            let found = value(kind.generator(&scores(&fake)));
            assert!((found - expected).abs() < 2e-6 * expected.abs().max(1.0), "{kind} G {found} {expected}");
        }
    }

    #[test]
    fn equilibrium_values() {
        let (zero, half) = (scores(&[0.0; 8]), scores(&[0.5; 8]));
        let cases = [
            (LossKind::Bce, &zero, 2.0 * LN_2, LN_2),
            (LossKind::Ls, &half, 0.25, 0.125),
            (LossKind::Hinge, &zero, 2.0, 0.0),
            (LossKind::WganGp, &half, 0.0, -0.5),
        ];
        for (kind, s, d, g) in cases {
            assert!((value(kind.discriminator(s, s)) - d).abs() < 1e-6, "{kind}");
            assert!((value(kind.generator(s)) - g).abs() < 1e-6, "{kind}");
        }
    }

    #[test]
    fn extreme_scores_stay_finite_and_so_do_their_gradients() {
        for kind in [LossKind::Bce, LossKind::Ls, LossKind::Hinge, LossKind::WganGp] {
            for (real, fake) in [(1e4f32, -1e4f32), (-1e4, 1e4), (1e4, 1e4), (-1e4, -1e4)] {
                let real = scores(&[real; 4]).set_requires_grad(true);
                let fake = scores(&[fake; 4]).set_requires_grad(true);
                let d = kind.discriminator(&real, &fake).unwrap();
                let g = kind.generator(&fake).unwrap();
                for (loss, inputs) in [(d, vec![&real, &fake]), (g, vec![&fake])] {
                    assert!(loss.double_value(&[]).is_finite(), "{kind}");
                    for gradient in Tensor::run_backward(&[loss], &inputs, false, false) {
                        assert!(gradient.abs().max().double_value(&[]).is_finite(), "{kind}");
                    }
                }
            }
        }
        let wrong = value(bce_discriminator(&scores(&[-1e4]), &scores(&[1e4])));
        assert!((wrong - 2e4).abs() < 1e-2, "linear where it is wrong: {wrong}");
    }
}
