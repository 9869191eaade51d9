//! Principal components of the images.

use nalgebra::{DMatrix, SymmetricEigen};

use super::{Directions, oriented};

/// Principal component analysis of a generator's images, brought back to its latent space, as GANSpace does it with
/// the activations of an inner layer (E. Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", 2020,
/// section 3.2): each direction is the linear regression of the latent vectors on the images' coordinates along one
/// principal component. Nothing but latents and images is needed, so it serves every kind of model.
///
/// `latents` and `images` hold one sample after the other, `latent_size` and `image_size` values each. At most `count`
/// directions come back; none if the sizes do not fit, there are fewer than two samples, or a value is not finite.
pub fn pca(
    latents: &[f32],
    latent_size: usize,
    images: &[f32],
    image_size: usize,
    count: usize,
) -> Directions {
    let samples = latents.len().checked_div(latent_size).unwrap_or(0);
    let fits = samples >= 2 && latents.len() == samples * latent_size && images.len() == samples * image_size;
    if !fits || latents.iter().chain(images).any(|x| !x.is_finite()) {
        return Vec::new();
    }
    let mut centered = DMatrix::from_row_slice(samples, image_size, images);
    let mean = centered.row_mean();
    centered.row_iter_mut().for_each(|mut row| row -= &mean);
    // Samples are fewer than pixels: the eigenvectors of X Xᵀ, scaled, are the coordinates along the components.
    let eigen = SymmetricEigen::new(&centered * centered.transpose());
    let mut order: Vec<usize> = (0..samples).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let least = 1e-6 * eigen.eigenvalues.max();
    order
        .into_iter()
        .take(count)
        .filter(|&index| eigen.eigenvalues[index] > least)
        .map(|index| {
            let mut direction = vec![0.0; latent_size];
            for (latent, coordinate) in
                latents.chunks_exact(latent_size).zip(&eigen.eigenvectors.column(index))
            {
                direction.iter_mut().zip(latent).for_each(|(sum, value)| *sum += coordinate * value);
            }
            oriented(direction)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walk::LatentSpace;
    use latent_runtime::latent::Distribution;

    #[test]
    fn the_directions_of_a_linear_generator_are_found() {
        let space = LatentSpace { size: 3, distribution: Distribution::Normal { mean: 0.0, std: 1.0 } };
        // Pixels: 5 z1, -5 z1, 2 z2, 0.5 z0, and a constant.
        let (mut latents, mut images) = (Vec::new(), Vec::new());
        for seed in 0..200 {
            let z = space.draw(seed);
            images.extend([5.0 * z[1], -5.0 * z[1], 2.0 * z[2], 0.5 * z[0], 7.0]);
            latents.extend(z);
        }
        let found = pca(&latents, 3, &images, 5, 8);
        assert_eq!(found.len(), 3, "the constant pixel is no direction");
        for (found, axis) in found.iter().zip([1, 2, 0]) {
            assert!(found[axis] > 0.98, "{found:?} should be along {axis}");
            let norm: f32 = found.iter().map(|x| x * x).sum();
            assert!((norm - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn what_does_not_fit_has_no_directions() {
        assert!(pca(&[1.0, 2.0], 1, &[1.0; 5], 2, 3).is_empty());
        assert!(pca(&[1.0], 1, &[1.0], 1, 3).is_empty());
        assert!(pca(&[], 0, &[], 0, 3).is_empty());
        assert!(pca(&[1.0, f32::NAN], 1, &[1.0, 2.0], 1, 3).is_empty());
    }
}
