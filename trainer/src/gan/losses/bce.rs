//! Binary cross-entropy, non-saturating for the generator.

use std::f64::consts::LN_2;

use tch::{Kind, TchError, Tensor};

use super::{Level, Levels, Loss, Recipe};

pub(super) const LOSS: Loss = Loss {
    discriminator,
    generator,
    penalty: None,
    recipe: Recipe::REFERENCE,
    // Won: right answers with 93 % (exp(-0.139 / 2)), fakes taken for real with 5 % at most (exp(-3)). The least of the
    // table is D 0.94, the least of 50 iterations at the start of a healthy run about 1.0.
    levels: Levels {
        d: Level { value: 2.0 * LN_2, name: "2 ln 2 = 1.386" },
        g: Some(Level { value: LN_2, name: "ln 2 = 0.693" }),
        d_learned: 0.95 * 2.0 * LN_2,
        won: Some((0.1 * 2.0 * LN_2, 3.0)),
    },
    // The loss is the sum of two mean negative log probabilities of the right answer.
    meaning: |d| {
        let right = 100.0 * (-d / 2.0).exp();
        format!("the discriminator gives the right answer {right:.0} % (50 % is equilibrium), ")
    },
    instead: "the loss ls or wgan-gp, whose gradients do not vanish",
};

/// mean(ln(1 + exp(s))) = mean(max(s, 0) + ln(1 + exp(-|s|))), which is `bce(s, 0)`.
fn mean_softplus(scores: &Tensor) -> Result<Tensor, TchError> {
    // libtorch computes log-sigmoid without overflow. Subtracted from 0 rather than negated, for 0 and not -0.
    scores.f_neg()?.f_log_sigmoid()?.f_mean(Kind::Float)?.f_rsub_scalar(0.0)
}

/// `mean(bce(real, 1)) + mean(bce(fake, 0))` with `bce(s, y) = max(s, 0) - s y + ln(1 + exp(-|s|))`: the discriminator of
/// Goodfellow et al. 2014, eq. 1, negated. 2 ln 2 where all scores are 0.
fn discriminator(real: &Tensor, fake: &Tensor) -> Result<Tensor, TchError> {
    mean_softplus(&real.f_neg()?)?.f_add(&mean_softplus(fake)?)
}

/// `mean(bce(fake, 1))`, the non-saturating generator loss of Goodfellow et al. 2014, section 3. ln 2 where all scores are 0.
fn generator(fake: &Tensor) -> Result<Tensor, TchError> {
    mean_softplus(&fake.f_neg()?)
}
