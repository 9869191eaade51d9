//! Maps of features in the plane: by principal components, and by t-SNE.

use bhtsne::tSNE;
use tch::{Kind, TchError, Tensor};

/// Perplexity of t-SNE: about as many neighbors count for each point.
const PERPLEXITY: f32 = 30.0;
/// Accuracy of the approximation of Barnes and Hut; 0 is exact.
const THETA: f32 = 0.5;
/// Steps of t-SNE.
const STEPS: usize = 750;

/// The first two principal components of each row of `features` (N, F): the plane in which they differ most. The sign of each
/// component is such that its largest weight is positive.
pub fn principal(features: &Tensor) -> Result<Vec<[f32; 2]>, TchError> {
    tch::no_grad(|| {
        let x = features.f_to_kind(Kind::Double)?;
        let x = x.f_sub(&x.f_mean_dim(&[0i64][..], true, Kind::Double)?)?;
        let (_, axes) = x.f_tr()?.f_matmul(&x)?.f_linalg_eigh("L")?;
        let count = axes.size()[1].min(2);
        // Ascending: the last are the largest.
        let axes = axes.f_narrow(1, axes.size()[1] - count, count)?.f_flip([1i64])?;
        let largest = axes.f_abs()?.f_argmax(0, true)?;
        let axes = axes.f_mul(&axes.f_gather(0, &largest, false)?.f_sign()?)?;
        let points = x.f_matmul(&axes)?.f_to_kind(Kind::Float)?.f_contiguous()?;
        let values = Vec::<f32>::try_from(points.f_view(-1)?)?;
        let count = usize::try_from(count).unwrap_or(1).max(1);
        Ok(values.chunks_exact(count).map(|row| [row[0], row.get(1).copied().unwrap_or(0.0)]).collect())
    })
}

/// A map by t-SNE (van der Maaten 2014) of `features` (N, F) by their angles: rows that are alike lie together. It starts from
/// the principal components, so that the same features give the same map. Too few points for it give these.
pub fn neighbor_map(features: &Tensor) -> Result<Vec<[f32; 2]>, TchError> {
    let rows = super::loss::normalized(features)?;
    let start = principal(&rows)?;
    let n = start.len();
    // The perplexity needs three times as many neighbors.
    let perplexity = PERPLEXITY.min((n.saturating_sub(1) as f32 / 3.0).floor());
    if perplexity < 2.0 {
        return Ok(start);
    }
    let width = usize::try_from(rows.size()[1]).unwrap_or(1).max(1);
    let values = Vec::<f32>::try_from(rows.f_to_device(tch::Device::Cpu)?.f_contiguous()?.f_view(-1)?)?;
    let rows: Vec<&[f32]> = values.chunks_exact(width).collect();
    let spread = (start.iter().map(|p| p[0] * p[0]).sum::<f32>() / n as f32).sqrt().max(1e-12);
    let start: Vec<f32> = start.iter().flatten().map(|value| 1e-4 * value / spread).collect();
    let embed = || {
        let mut map: tSNE<f32, &[f32]> = tSNE::new(&rows);
        map.perplexity(perplexity).epochs(STEPS).initial_embedding(start).barnes_hut(THETA, |a, b| {
            a.iter().zip(b.iter()).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
        });
        map.embedding().chunks_exact(2).map(|point| [point[0], point[1]]).collect()
    };
    // Several threads add up in an order of their own each time: one thread, for the same map each time.
    Ok(match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(embed),
        Err(_) => embed(),
    })
}

#[cfg(test)]
mod tests {
    use latent_runtime::rng::Rng;

    use super::*;

    /// Points around three directions of eight dimensions.
    fn clusters(per: usize) -> Tensor {
        let mut rng = Rng::from_seed(3);
        let mut rows = Vec::new();
        for i in 0..3 * per {
            rows.extend((0..8).map(|axis| 0.2 * rng.normal() + if axis == i % 3 { 3.0 } else { 0.0 }));
        }
        Tensor::from_slice(&rows).view([3 * per as i64, 8])
    }

    /// The nearest other point of each is of its cluster.
    fn separated(points: &[[f32; 2]]) -> bool {
        points.iter().enumerate().all(|(i, a)| {
            let distance = |b: &[f32; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
            let others = points.iter().enumerate().filter(|(j, _)| *j != i);
            others.min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b))).unwrap().0 % 3 == i % 3
        })
    }

    #[test]
    fn clusters_stay_apart_and_the_map_is_the_same_each_time() {
        let features = clusters(20);
        let flat = principal(&features).unwrap();
        assert!(flat.len() == 60 && separated(&flat));
        let map = neighbor_map(&features).unwrap();
        assert!(map.len() == 60 && separated(&map), "{map:?}");
        assert_eq!(map, neighbor_map(&features).unwrap());
        // Too few for neighbors.
        assert_eq!(neighbor_map(&clusters(1)).unwrap().len(), 3);
    }

    #[test]
    fn principal_components_are_the_widest() {
        let mut rng = Rng::from_seed(5);
        let mut rows = Vec::new();
        for _ in 0..500 {
            rows.extend([0.1 * rng.normal(), 2.0 * rng.normal() + 9.0, rng.normal()]);
        }
        let features = Tensor::from_slice(&rows).view([500, 3]);
        let points = principal(&features).unwrap();
        for (point, row) in points.iter().zip(rows.chunks_exact(3)) {
            assert!(
                (point[0] - (row[1] - 9.0)).abs() < 0.6 && (point[1] - row[2]).abs() < 0.6,
                "{point:?} {row:?}"
            );
        }
        let one = Tensor::from_slice(&[1f32, 2.0, 3.0]).view([3, 1]);
        assert_eq!(principal(&one).unwrap(), [[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]);
    }
}
