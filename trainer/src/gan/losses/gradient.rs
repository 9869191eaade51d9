//! The discriminator's gradient with respect to images, as penalties need it.

use tch::{Kind, TchError, Tensor};

use super::Score;
use crate::nn::Pass;

/// |∇D(x)|² for each of the images (N, ...): a tensor (N) that can be differentiated with respect to the discriminator's
/// parameters.
pub(super) fn squared_norms(discriminator: Score<'_>, images: &Tensor) -> Result<Tensor, TchError> {
    let images = images.f_detach()?.f_set_requires_grad(true)?;
    let scores = discriminator(&images, Pass { twice: true, ..Pass::TRAIN })?;
    let gradient = Tensor::f_run_backward(&[scores.f_sum(Kind::Float)?], &[&images], true, true)?;
    gradient[0].f_flatten(1, -1)?.f_square()?.f_sum_dim_intlist(1i64, false, Kind::Float)
}
