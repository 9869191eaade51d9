//! Classification by nearest neighbors among labeled features: shows what an encoder learned without training anything.

use latent_files::run::Accuracy;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::loss::normalized;

/// Queries compared at a time: 500 rows of 50 000 similarities are 100 MB.
const CHUNK: i64 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// Neighbors that vote.
    pub k: i64,
    /// Temperature τ of their weights exp(similarity / τ).
    pub temperature: f64,
}

impl Vote {
    /// The notebook's: k = 200, τ = 0.5.
    pub const REFERENCE: Vote = Vote { k: 200, temperature: 0.5 };
}

/// The votes for each class (M, classes) for queries (M, F), by their `k` most similar rows of `bank` (N, F), whose classes are
/// `labels` (N). Rows need not have length 1. With fewer than `k` rows all vote.
pub fn votes(
    bank: &Tensor,
    labels: &Tensor,
    classes: i64,
    queries: &Tensor,
    vote: Vote,
) -> Result<Tensor, TchError> {
    tch::no_grad(|| {
        let bank = normalized(bank)?.f_tr()?;
        let k = vote.k.min(bank.size()[1]).max(1);
        let mut found = Vec::new();
        for chunk in queries.f_split(CHUNK, 0)? {
            let similarities = normalized(&chunk)?.f_matmul(&bank)?;
            let (values, places) = similarities.f_topk(k, 1, true, false)?;
            let of = labels.f_index_select(0, &places.f_view(-1)?)?.f_view_as(&places)?;
            let weights = values.f_div_scalar(vote.temperature)?.f_exp()?;
            let zeros = Tensor::f_zeros([chunk.size()[0], classes], (Kind::Float, bank.device()))?;
            found.push(zeros.f_scatter_add(1, &of, &weights)?);
        }
        Tensor::f_cat(&found, 0)
    })
}

/// The `k` rows of `bank` (N, F) that are most similar to each of `queries` (M, F), nearest first, with their similarities. Rows
/// need not have length 1.
pub fn nearest(bank: &Tensor, queries: &Tensor, k: i64) -> Result<Vec<Vec<(usize, f32)>>, TchError> {
    tch::no_grad(|| {
        let similarities = normalized(queries)?.f_matmul(&normalized(bank)?.f_tr()?)?;
        let k = k.clamp(1, bank.size()[0]);
        let (values, places) = similarities.f_topk(k, 1, true, true)?;
        let values = Vec::<f32>::try_from(values.f_to_device(Device::Cpu)?.f_view(-1)?)?;
        let places = Vec::<i64>::try_from(places.f_to_device(Device::Cpu)?.f_view(-1)?)?;
        let pairs: Vec<(usize, f32)> =
            places.into_iter().map(|place| usize::try_from(place).unwrap_or(0)).zip(values).collect();
        Ok(pairs.chunks(usize::try_from(k).unwrap_or(1)).map(<[_]>::to_vec).collect())
    })
}

/// How often scores (M, classes) put the right class (M) first, and among the first five.
pub fn accuracy(scores: &Tensor, labels: &Tensor) -> Result<Accuracy, TchError> {
    let k = scores.size()[1].min(5);
    let (_, order) = scores.f_topk(k, 1, true, true)?;
    let right = order.f_eq_tensor(&labels.f_unsqueeze(1)?)?.f_to_kind(Kind::Double)?;
    let mean = |count: i64| {
        right
            .f_narrow(1, 0, count)?
            .f_sum_dim_intlist(1i64, false, Kind::Double)?
            .f_mean(Kind::Double)?
            .f_double_value(&[])
    };
    Ok(Accuracy { top1: mean(1)?, top5: mean(k)? })
}

#[cfg(test)]
mod tests {
    use latent_runtime::rng::Rng;

    use super::*;

    fn random(rng: &mut Rng, n: usize, d: usize) -> Vec<Vec<f32>> {
        (0..n).map(|_| (0..d).map(|_| rng.normal()).collect()).collect()
    }

    fn tensor(rows: &[Vec<f32>]) -> Tensor {
        Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1])
    }

    /// Sorts all rows for each query.
    fn naive(bank: &[Vec<f32>], labels: &[i64], classes: usize, query: &[f32], vote: Vote) -> Vec<f64> {
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let similarity = |row: &[f32]| dot(row, query) / (dot(row, row) * dot(query, query)).sqrt();
        let mut all: Vec<(f64, i64)> = bank.iter().zip(labels).map(|(r, l)| (similarity(r), *l)).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut votes = vec![0.0; classes];
        for (similarity, label) in all.into_iter().take(vote.k as usize) {
            votes[label as usize] += (similarity / vote.temperature).exp();
        }
        votes
    }

    #[test]
    fn votes_are_those_of_the_definition() {
        let mut rng = Rng::from_seed(7);
        let (bank, queries) = (random(&mut rng, 60, 6), random(&mut rng, 1003, 6));
        let labels: Vec<i64> = (0..60).map(|i| i % 7).collect();
        for vote in [Vote { k: 9, temperature: 0.5 }, Vote { k: 1, temperature: 0.1 }, Vote::REFERENCE] {
            let found =
                votes(&tensor(&bank), &Tensor::from_slice(&labels), 7, &tensor(&queries), vote).unwrap();
            assert_eq!(found.size(), [1003, 7]);
            for row in [0, 1, 499, 500, 1002] {
                let expected = naive(&bank, &labels, 7, &queries[row], vote);
                for (class, expected) in expected.iter().enumerate() {
                    let found = found.double_value(&[row as i64, class as i64]);
                    assert!((found - expected).abs() < 1e-4 * expected.max(1.0), "{vote:?} {row} {class}");
                }
            }
        }
    }

    #[test]
    fn the_nearest_come_first() {
        let bank = Tensor::from_slice(&[1f32, 0., 0., 2., 3., 3., -1., 0.]).view([4, 2]);
        let queries = Tensor::from_slice(&[5f32, 1., 0., 1.]).view([2, 2]);
        let found = nearest(&bank, &queries, 2).unwrap();
        let places: Vec<Vec<usize>> =
            found.iter().map(|row| row.iter().map(|pair| pair.0).collect()).collect();
        assert_eq!(places, [[0, 2], [1, 2]]);
        assert!((found[1][1].1 - 0.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(nearest(&bank, &queries, 99).unwrap()[0].len(), 4);
    }

    #[test]
    fn accuracy_counts_first_and_fifth_places() {
        let scores = Tensor::from_slice(&[
            9f32, 8., 7., 6., 5., 4., //
            9., 8., 7., 6., 5., 4., //
            9., 8., 7., 6., 5., 4., //
            1., 2., 3., 4., 5., 6.,
        ]);
        let scores = scores.view([4, 6]);
        let found = accuracy(&scores, &Tensor::from_slice(&[0i64, 4, 5, 5])).unwrap();
        assert_eq!(found, Accuracy { top1: 0.5, top5: 0.75 });
        // Fewer classes than five.
        let two = accuracy(&scores.narrow(1, 0, 2), &Tensor::from_slice(&[0i64, 1, 1, 0])).unwrap();
        assert_eq!(two, Accuracy { top1: 0.25, top5: 1.0 });
    }

    #[test]
    fn separable_features_are_classified() {
        // Class c points along axis c, with noise.
        let mut rng = Rng::from_seed(1);
        let mut draw = |n: usize| {
            let rows: Vec<Vec<f32>> = (0..n)
                .map(|i| {
                    (0..4).map(|axis| 0.3 * rng.normal() + if axis == i % 4 { 2.0 } else { 0.0 }).collect()
                })
                .collect();
            (tensor(&rows), Tensor::from_slice(&(0..n).map(|i| (i % 4) as i64).collect::<Vec<_>>()))
        };
        let ((bank, labels), (queries, truth)) = (draw(200), draw(100));
        let vote = Vote { k: 20, temperature: 0.5 };
        let found = accuracy(&votes(&bank, &labels, 4, &queries, vote).unwrap(), &truth).unwrap();
        assert!(found.top1 > 0.98 && found.top5 == 1.0, "{found:?}");
    }
}
