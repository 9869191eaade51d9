//! Least squares.

use tch::{Kind, TchError, Tensor};

use super::{Level, Levels, Loss, OR_WGAN_GP, Recipe};

pub(super) const LOSS: Loss = Loss {
    discriminator,
    generator,
    penalty: None,
    recipe: Recipe::REFERENCE,
    // Won: scores within 0.16 of their targets (D) while those of fakes stay 0.8 away from theirs (G); 1/2 is what G gets
    // when its fakes score 0. The least of the table is D 0.08, of 50 iterations at a start 0.08.
    levels: Levels {
        d: Level { value: 0.25, name: "1/4" },
        g: Some(Level { value: 0.125, name: "1/8" }),
        d_learned: 0.95 * 0.25,
        won: Some((0.1 * 0.25, 0.32)),
    },
    // The loss is half the sum of two mean squares.
    meaning: |d| format!("its scores are {:.2} off their targets (0.50 is equilibrium), ", d.max(0.0).sqrt()),
    instead: OR_WGAN_GP,
};

/// `1/2 mean((real - 1)²) + 1/2 mean(fake²)`: Mao et al. 2017 (LSGAN), eq. 9, with a = 0, b = 1. 1/4 where all scores are 1/2.
fn discriminator(real: &Tensor, fake: &Tensor) -> Result<Tensor, TchError> {
    let real = real.f_sub_scalar(1.0)?.f_square()?.f_mean(Kind::Float)?;
    real.f_add(&fake.f_square()?.f_mean(Kind::Float)?)?.f_mul_scalar(0.5)
}

/// `1/2 mean((fake - 1)²)`: Mao et al. 2017 (LSGAN), eq. 9, with c = 1. 1/8 where all scores are 1/2.
fn generator(fake: &Tensor) -> Result<Tensor, TchError> {
    fake.f_sub_scalar(1.0)?.f_square()?.f_mean(Kind::Float)?.f_mul_scalar(0.5)
}
