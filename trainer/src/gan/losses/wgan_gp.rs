//! Wasserstein with gradient penalty.

use tch::{Kind, TchError, Tensor};

use super::{Level, Levels, Loss, Recipe, Score, gradient, negative_mean};

pub(super) const LOSS: Loss = Loss {
    discriminator,
    generator: negative_mean,
    penalty: Some(gradient_penalty),
    // Gulrajani et al. 2017, algorithm 1.
    recipe: Recipe { lr: 1e-4, beta1: 0.0, beta2: 0.9, d_steps: 5 },
    // Without its penalty, the critic's loss is minus the estimated distance, 0 for a critic that cannot tell; the penalty
    // only adds to it (10 for a critic that is constant).
    levels: Levels { d: Level { value: 0.0, name: "0" }, g: None, d_learned: 0.0, won: None },
    meaning: |d| format!("the critic sees a distance of about {:.3}", (-d).max(0.0)),
    instead: "",
};

/// `mean(fake) - mean(real)`: the critic's loss of Arjovsky et al. 2017 (Wasserstein GAN), eq. 3, negated. Its negative
/// estimates the Wasserstein distance.
fn discriminator(real: &Tensor, fake: &Tensor) -> Result<Tensor, TchError> {
    fake.f_mean(Kind::Float)?.f_sub(&real.f_mean(Kind::Float)?)
}

/// `mean((|∇D(x̂)|₂ - 1)²)` at `x̂ = t real + (1 - t) fake`: Gulrajani et al. 2017 (WGAN-GP), eq. 3, without its factor λ.
///
/// `real` and `fake` are batches of one shape (N, ...), `t` is (N), from U(0, 1). The result can be differentiated with
/// respect to the discriminator's parameters.
fn gradient_penalty(
    discriminator: Score<'_>,
    real: &Tensor,
    fake: &Tensor,
    t: &Tensor,
) -> Result<Tensor, TchError> {
    let mut shape = vec![1i64; real.dim()];
    shape[0] = -1;
    let t = t.f_view(shape.as_slice())?;
    let between = tch::no_grad(|| fake.f_add(&real.f_sub(fake)?.f_mul(&t)?))?;
    // The square root has no derivative at zero; the constant is far below one rounding step of a norm near 1.
    let squared = gradient::squared_norms(discriminator, &between)?;
    squared.f_add_scalar(1e-12)?.f_sqrt()?.f_sub_scalar(1.0)?.f_square()?.f_mean(Kind::Float)
}
