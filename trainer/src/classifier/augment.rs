//! Small shifts, rotations and changes of size, so that a classifier learns strokes and not places.

use latent_runtime::rng::Rng;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// How far an image is moved at most, each way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AugmentSettings {
    /// Pixels.
    pub shift: f64,
    /// Degrees.
    pub rotation: f64,
    /// Part of its size.
    pub scale: f64,
}

impl AugmentSettings {
    /// What leaves handwritten digits readable.
    pub const SMALL: Self = Self { shift: 2.0, rotation: 10.0, scale: 0.1 };
}

/// Moves each image of a batch (N, C, H, W) by amounts of its own, drawn evenly from `rng`. Pixels are interpolated bilinearly;
/// what comes in from outside is the nearest pixel of the border.
pub fn moved(images: &Tensor, settings: AugmentSettings, rng: &mut Rng) -> Result<Tensor, TchError> {
    let (n, _, height, width) = images.size4()?;
    let mut draw = |most: f64| f64::from(rng.uniform(-1.0, 1.0)) * most;
    let mut matrices = Vec::with_capacity(6 * n as usize);
    for _ in 0..n {
        let (turn, size) = (draw(settings.rotation).to_radians(), 1.0 + draw(settings.scale));
        let (x, y) = (draw(settings.shift) * 2.0 / width as f64, draw(settings.shift) * 2.0 / height as f64);
        let (sine, cosine) = (libm::sin(turn) / size, libm::cos(turn) / size);
        // From places in the result to places in the image, both from -1 to 1.
        let aspect = height as f64 / width as f64;
        matrices.extend([cosine, -sine * aspect, x, sine / aspect, cosine, y].map(|value| value as f32));
    }
    let matrices = Tensor::f_from_slice(&matrices)?.f_view([n, 2, 3])?.f_to_device(images.device())?;
    let grid = Tensor::f_affine_grid_generator(&matrices, images.size(), false)?;
    // 0: bilinear; 1: the border goes on.
    images.f_grid_sampler(&grid, 0, 1, false)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn nothing_moves_by_nothing_and_a_shift_moves_by_pixels() {
        let images = Tensor::arange(2 * 12 * 8, (Kind::Float, Device::Cpu)).view([2, 1, 12, 8]);
        let none = AugmentSettings { shift: 0.0, rotation: 0.0, scale: 0.0 };
        let same = moved(&images, none, &mut Rng::from_seed(1)).unwrap();
        assert!((&same - &images).abs().max().double_value(&[]) < 1e-4);

        let shifts = AugmentSettings { shift: 3.0, ..none };
        let found = moved(&images, shifts, &mut Rng::from_seed(1)).unwrap();
        // Values are 8 y + x, so that inside, each image differs from itself by one number.
        let inner = |t: &Tensor| (t - &images).narrow(2, 4, 4).narrow(3, 3, 2);
        for at in 0..2 {
            let difference = inner(&found).get(at);
            let spread = (difference.max() - difference.min()).double_value(&[]);
            let amount = difference.mean(Kind::Float).double_value(&[]).abs();
            assert!(spread < 1e-3 && amount > 0.01 && amount <= 27.1, "{spread} {amount}");
        }
        let turned = moved(&images, AugmentSettings::SMALL, &mut Rng::from_seed(2)).unwrap();
        assert_eq!(turned.size(), images.size());
        assert!(turned.max().double_value(&[]) <= 191.001);
    }
}
