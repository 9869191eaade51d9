//! Hinge.

use tch::{Kind, TchError, Tensor};

use super::{Level, Levels, Loss, OR_WGAN_GP, Recipe, negative_mean};

pub(super) const LOSS: Loss = Loss {
    discriminator,
    generator: negative_mean,
    penalty: None,
    recipe: Recipe::REFERENCE,
    // Won: hardly a score within its margin, fakes beyond theirs.
    levels: Levels {
        d: Level { value: 2.0, name: "2" },
        g: None,
        d_learned: 0.95 * 2.0,
        won: Some((0.1 * 2.0, 1.0)),
    },
    meaning: |_| "the discriminator is ".to_owned(),
    instead: OR_WGAN_GP,
};

/// `mean(max(0, 1 - real)) + mean(max(0, 1 + fake))`: Lim and Ye 2017 (Geometric GAN), eq. 17. 2 where all scores are 0.
fn discriminator(real: &Tensor, fake: &Tensor) -> Result<Tensor, TchError> {
    let real = real.f_neg()?.f_add_scalar(1.0)?.f_relu()?.f_mean(Kind::Float)?;
    real.f_add(&fake.f_add_scalar(1.0)?.f_relu()?.f_mean(Kind::Float)?)
}
