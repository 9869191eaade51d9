//! GAN losses on score tensors, one file for each pair.
//!
//! A score is the discriminator's raw output, before any sigmoid. All functions take scores of any shape and return a scalar,
//! the mean over all of them. They are finite for every finite score, and differentiable.

mod gradient;
mod levels;
pub(super) mod r1;

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

pub(crate) use self::levels::{Level, Levels};
use crate::nn::Pass;

/// The discriminator: scores for images, which stay in their order where it is conditional.
type Score<'a> = &'a dyn Fn(&Tensor, Pass) -> Result<Tensor, TchError>;

/// A function of the discriminator, real and generated images, and a number for each pair of these.
type Penalty = fn(Score<'_>, &Tensor, &Tensor, &Tensor) -> Result<Tensor, TchError>;

/// Everything about a pair of losses.
#[derive(Debug)]
pub(crate) struct Loss {
    /// The discriminator's loss for scores of real and of generated images, without the penalty.
    pub(crate) discriminator: fn(&Tensor, &Tensor) -> Result<Tensor, TchError>,
    /// The generator's loss for scores of its images.
    pub(crate) generator: fn(&Tensor) -> Result<Tensor, TchError>,
    /// What is added to the discriminator's loss, times `gp_weight`; given the discriminator, real and generated images
    /// (N, ...), and N values from U(0, 1).
    pub(crate) penalty: Option<Penalty>,
    /// Settings with which it is trained unless asked otherwise.
    pub(crate) recipe: Recipe,
    /// How losses are judged.
    pub(crate) levels: Levels,
    /// What the discriminator's mean loss means, in words.
    pub(crate) meaning: fn(f64) -> String,
    /// What to take when the discriminator wins.
    pub(crate) instead: &'static str,
}

/// Settings of Adam, and of the discriminator's steps per step of the generator.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) lr: f64,
    pub(crate) beta1: f64,
    pub(crate) beta2: f64,
    pub(crate) d_steps: u32,
}

impl Recipe {
    /// The reference's.
    const REFERENCE: Self = Self { lr: 1e-3, beta1: 0.5, beta2: 0.999, d_steps: 1 };
}

/// What [`Loss::instead`] says of losses whose gradients do not vanish.
const OR_WGAN_GP: &str = "the loss wgan-gp, which wants so good a discriminator";

macro_rules! losses {
    ($($(#[$doc:meta])* $variant:ident: $module:ident,)*) => {
        $(mod $module;)*

        /// Which pair of losses generator and discriminator are trained with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
        #[serde(rename_all = "kebab-case")]
        pub enum LossKind {
            $($(#[$doc])* $variant,)*
        }

        impl LossKind {
            /// Everything about it.
            pub(crate) fn definition(self) -> &'static Loss {
                match self {
                    $(Self::$variant => &$module::LOSS,)*
                }
            }
        }
    };
}

// To add a pair of losses, write its file and its line.
losses! {
    /// Binary cross-entropy, non-saturating for the generator.
    Bce: bce,
    /// Least squares.
    Ls: ls,
    /// Hinge.
    Hinge: hinge,
    /// Wasserstein with gradient penalty.
    WganGp: wgan_gp,
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// `-mean(fake)`: the generator's loss of both the hinge and the Wasserstein GAN.
fn negative_mean(fake: &Tensor) -> Result<Tensor, TchError> {
    fake.f_mean(Kind::Float)?.f_neg()
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
            let found = value((kind.definition().discriminator)(&scores(&real), &scores(&fake)));
            assert!((found - expected).abs() < 2e-6 * expected.abs().max(1.0), "{kind} D {found} {expected}");
        }
        let g: [(LossKind, f64); 4] = [
            (LossKind::Bce, mean(&fake, |s| bce(s, 1.0))),
            (LossKind::Ls, 0.5 * mean(&fake, |s| (s - 1.0).powi(2))),
            (LossKind::Hinge, -mean(&fake, |s| s)),
            (LossKind::WganGp, -mean(&fake, |s| s)),
        ];
        for (kind, expected) in g {
            let found = value((kind.definition().generator)(&scores(&fake)));
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
            assert!((value((kind.definition().discriminator)(s, s)) - d).abs() < 1e-6, "{kind}");
            assert!((value((kind.definition().generator)(s)) - g).abs() < 1e-6, "{kind}");
        }
    }

    #[test]
    fn extreme_scores_stay_finite_and_so_do_their_gradients() {
        for kind in LossKind::value_variants() {
            for (real, fake) in [(1e4f32, -1e4f32), (-1e4, 1e4), (1e4, 1e4), (-1e4, -1e4)] {
                let real = scores(&[real; 4]).set_requires_grad(true);
                let fake = scores(&[fake; 4]).set_requires_grad(true);
                let d = (kind.definition().discriminator)(&real, &fake).unwrap();
                let g = (kind.definition().generator)(&fake).unwrap();
                for (loss, inputs) in [(d, vec![&real, &fake]), (g, vec![&fake])] {
                    assert!(loss.double_value(&[]).is_finite(), "{kind}");
                    for gradient in Tensor::run_backward(&[loss], &inputs, false, false) {
                        assert!(gradient.abs().max().double_value(&[]).is_finite(), "{kind}");
                    }
                }
            }
        }
        let wrong = value((LossKind::Bce.definition().discriminator)(&scores(&[-1e4]), &scores(&[1e4])));
        assert!((wrong - 2e4).abs() < 1e-2, "linear where it is wrong: {wrong}");
    }
}
