//! The contrastive loss of SimCLR, NT-Xent (normalized, temperature-scaled cross-entropy): Chen et al. 2020, eq. 1.
//!
//! A batch of N images gives 2N embeddings: `z1` (N, d) are those of the first views, `z2` (N, d) those of the second. With
//! z = z1 followed by z2 the positive pairs are (k, k + N), and
//!
//! ```text
//! l(i, j) = -ln( exp(sim(z_i, z_j) / tau) / sum over k != i of exp(sim(z_i, z_k) / tau) )
//! L       = 1 / (2N) * sum over k = 1..N of [ l(k, k+N) + l(k+N, k) ]
//! ```
//!
//! [`nt_xent_naive`] is these two lines, word for word, for reading and for tests; [`nt_xent`] trains. Both take embeddings of
//! any length, which they normalize, and compute in f32 whatever the network's precision is (in f64 for f64).

use tch::{Kind, TchError, Tensor};

/// Lengths below this are taken for this: a vector of zeros has no direction, and gets the similarity 0 to all others.
const SHORTEST: f64 = 1e-12;

/// Why a contrastive loss has no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LossError {
    /// The embeddings of the two views do not pair up.
    #[error(
        "the embeddings of the first views have the shape {first:?}, those of the second {second:?}; expected two of one shape \
         (N, d) with N and d of at least 1"
    )]
    Shape {
        /// Shape of the first views' embeddings.
        first: Vec<i64>,
        /// Shape of the second views' embeddings.
        second: Vec<i64>,
    },
    #[error("the temperature is {0}, expected a positive number such as 0.5")]
    Temperature(f64),
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}

/// The rows of `x` (N, d) brought to length 1, in f32 (f64 stays f64).
pub fn normalized(x: &Tensor) -> Result<Tensor, TchError> {
    let x = if x.kind() == Kind::Double { x.shallow_clone() } else { x.f_to_kind(Kind::Float)? };
    let length = x.f_norm_scalaropt_dim(2.0, -1i64, true)?.f_clamp_min(SHORTEST)?;
    x.f_div(&length)
}

/// `sim(u, v) = u·v / (|u| |v|)` of two vectors (d): a scalar between -1 and 1.
pub fn similarity(u: &Tensor, v: &Tensor) -> Result<Tensor, TchError> {
    normalized(u)?.f_dot(&normalized(v)?)
}

/// The similarity of each row of `z` (M, d) to each: (M, M). The rows must have length 1, as [`normalized`] makes them.
pub fn similarity_matrix(z: &Tensor) -> Result<Tensor, TchError> {
    z.f_matmul(&z.f_tr()?)
}

/// The similarity of each row of `z1` (N, d) to the same row of `z2`: (N). The rows must have length 1.
pub fn positive_pairs(z1: &Tensor, z2: &Tensor) -> Result<Tensor, TchError> {
    z1.f_mul(z2)?.f_sum_dim_intlist(-1i64, false, z1.kind())
}

/// The loss as its definition states it, pair by pair, with (2N)² similarities computed one at a time.
pub fn nt_xent_naive(z1: &Tensor, z2: &Tensor, tau: f64) -> Result<Tensor, LossError> {
    let n = check(z1, z2, tau)?;
    let kind = if z1.kind() == Kind::Double { Kind::Double } else { Kind::Float };
    let z: Vec<Tensor> = Tensor::f_cat(&[z1.f_to_kind(kind)?, z2.f_to_kind(kind)?], 0)?.f_unbind(0)?;
    let pair = |i: usize, j: usize| -> Result<Tensor, TchError> {
        let mut denominator = Tensor::f_zeros([0i64; 0], (kind, z1.device()))?;
        for k in (0..2 * n).filter(|k| *k != i) {
            denominator = denominator.f_add(&similarity(&z[i], &z[k])?.f_div_scalar(tau)?.f_exp()?)?;
        }
        similarity(&z[i], &z[j])?.f_div_scalar(tau)?.f_exp()?.f_div(&denominator)?.f_log()?.f_neg()
    };
    let mut total = Tensor::f_zeros([0i64; 0], (kind, z1.device()))?;
    for k in 0..n {
        total = total.f_add(&pair(k, k + n)?)?.f_add(&pair(k + n, k)?)?;
    }
    Ok(total.f_div_scalar((2 * n) as f64)?)
}

/// The loss by matrices: one product for all similarities, and the logarithm of the sum of exponentials without overflow for
/// any temperature. Differentiable.
pub fn nt_xent(z1: &Tensor, z2: &Tensor, tau: f64) -> Result<Tensor, LossError> {
    let n = check(z1, z2, tau)? as i64;
    let z = normalized(&Tensor::f_cat(&[z1, z2], 0)?)?;
    let logits = similarity_matrix(&z)?.f_div_scalar(tau)?;
    let itself = Tensor::f_eye(2 * n, (Kind::Bool, z.device()))?;
    let others = logits.f_masked_fill(&itself, f64::NEG_INFINITY)?.f_logsumexp(1i64, false)?;
    // The positive of row k is also that of row k + N, hence twice over 2N rows.
    let positive = positive_pairs(&z.f_narrow(0, 0, n)?, &z.f_narrow(0, n, n)?)?.f_div_scalar(tau)?;
    Ok(others.f_mean(z.kind())?.f_sub(&positive.f_mean(z.kind())?)?)
}

/// The loss of N pairs whose embeddings are all equally alike, ln(2N - 1): about where training starts, and where it ends if the
/// embeddings collapse.
pub fn of_equals(n: usize) -> f64 {
    (2.0 * n as f64 - 1.0).ln()
}

fn check(z1: &Tensor, z2: &Tensor, tau: f64) -> Result<usize, LossError> {
    let (first, second) = (z1.size(), z2.size());
    if first != second || first.len() != 2 || first.contains(&0) {
        return Err(LossError::Shape { first, second });
    }
    if !(tau > 0.0 && tau.is_finite()) {
        return Err(LossError::Temperature(tau));
    }
    Ok(first[0] as usize)
}

#[cfg(test)]
mod tests {
    use latent_runtime::rng::Rng;

    use super::*;

    fn random(rng: &mut Rng, n: i64, d: i64, kind: Kind) -> Tensor {
        let values: Vec<f32> = (0..n * d).map(|_| rng.normal()).collect();
        Tensor::from_slice(&values).view([n, d]).to_kind(kind)
    }

    fn value(loss: Result<Tensor, LossError>) -> f64 {
        loss.unwrap().double_value(&[])
    }

    /// Both losses and their gradients for z1 and z2.
    fn both(z1: &Tensor, z2: &Tensor, tau: f64) -> [(f64, Vec<Tensor>); 2] {
        [nt_xent_naive, nt_xent].map(|loss| {
            let z1 = z1.copy().set_requires_grad(true);
            let z2 = z2.copy().set_requires_grad(true);
            let loss = loss(&z1, &z2, tau).unwrap();
            let gradients = Tensor::run_backward(&[&loss], &[&z1, &z2], false, false);
            (loss.double_value(&[]), gradients)
        })
    }

    fn furthest(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn both_forms_and_their_gradients_agree() {
        let mut rng = Rng::from_seed(1);
        let mut random = |n, d| random(&mut rng, n, d, Kind::Double);
        let pair = |a: Tensor, b: Tensor| (a, b);
        let a = random(6, 5);
        let one = random(1, 5);
        let cases = [
            ("random", pair(random(7, 16), random(7, 16))),
            ("one pair", pair(random(1, 8), random(1, 8))),
            ("one dimension", pair(random(4, 1), random(4, 1))),
            ("both views alike", pair(a.copy(), a.copy())),
            ("a vector twice in a view", pair(Tensor::cat(&[&a, &a], 0), random(12, 5))),
            ("all vectors alike", pair(one.repeat([6, 1]), one.repeat([6, 1]))),
            ("long and short", pair(random(5, 4) * 1e4, random(5, 4) * 1e-4)),
            ("opposite views", pair(a.copy(), -&a)),
        ];
        for (name, (z1, z2)) in &cases {
            for tau in [0.05, 0.5, 2.0] {
                let [(naive, naive_gradients), (fast, gradients)] = both(z1, z2, tau);
                assert!((naive - fast).abs() < 1e-10, "{name}, tau {tau}: {naive} {fast}");
                for (a, b) in naive_gradients.iter().zip(&gradients) {
                    let largest = a.abs().max().double_value(&[]).max(1.0);
                    assert!(furthest(a, b) < 1e-9 * largest, "{name}, tau {tau}: gradients");
                }
            }
        }
        // f32, in which it trains.
        for (name, (z1, z2)) in &cases {
            let (z1, z2) = (z1.to_kind(Kind::Float), z2.to_kind(Kind::Float));
            let (naive, fast) = (value(nt_xent_naive(&z1, &z2, 0.5)), value(nt_xent(&z1, &z2, 0.5)));
            assert!((naive - fast).abs() < 2e-6, "{name}: {naive} {fast}");
        }
    }

    /// d = 2, N = 2, tau = 0.5: rows at 0, 90, 90 and 180 degrees, worked out by hand.
    #[test]
    fn a_worked_example() {
        let z1 = Tensor::from_slice(&[2.0f64, 0.0, 0.0, 0.5]).view([2, 2]);
        let z2 = Tensor::from_slice(&[0.0f64, 3.0, -1.0, 0.0]).view([2, 2]);
        let e2 = 2f64.exp();
        // Row 0 sees 0, 0, -1 (its positive is 0); row 1 sees 0, 1, 0 (0); row 2 sees 0, 1, 0 (0); row 3 sees -1, 0, 0 (0).
        let expected = 2.0 * ((2.0 + 1.0 / e2).ln() + (2.0 + e2).ln()) / 4.0;
        for loss in [nt_xent_naive, nt_xent] {
            assert!((value(loss(&z1, &z2, 0.5)) - expected).abs() < 1e-12);
        }
        let found = Vec::<f64>::try_from(similarity(&z1.get(0), &z2.get(1)).unwrap().view(1)).unwrap();
        assert_eq!(found, [-1.0]);
    }

    #[test]
    fn a_random_start_and_a_collapse_lie_at_the_logarithm() {
        let mut rng = Rng::from_seed(2);
        for n in [2, 16, 64] {
            let expected = of_equals(n as usize);
            // In many dimensions random directions are nearly orthogonal.
            let (z1, z2) = (random(&mut rng, n, 4096, Kind::Float), random(&mut rng, n, 4096, Kind::Float));
            assert!((value(nt_xent(&z1, &z2, 0.5)) - expected).abs() < 0.05, "{n}");
            let alike = Tensor::ones([n, 8], (Kind::Float, tch::Device::Cpu));
            assert!((value(nt_xent(&alike, &alike, 0.05)) - expected).abs() < 1e-5, "{n}");
        }
    }

    #[test]
    fn low_precision_and_low_temperature_stay_finite() {
        let mut rng = Rng::from_seed(3);
        let (a, b) = (random(&mut rng, 32, 16, Kind::Float), random(&mut rng, 32, 16, Kind::Float));
        // Gradients grow as vectors shorten, beyond what f16 can hold: there the shortest are left out.
        for (kind, shortest) in [(Kind::BFloat16, 1e-4), (Kind::Half, 1.0), (Kind::Float, 1e-4)] {
            for tau in [0.05, 1e-3] {
                for scale in [shortest, 1.0, 1e4] {
                    let z1 = (&a * scale).to_kind(kind).set_requires_grad(true);
                    let z2 = (&b * scale).to_kind(kind).set_requires_grad(true);
                    let loss = nt_xent(&z1, &z2, tau).unwrap();
                    assert_eq!(loss.kind(), Kind::Float, "{kind:?}");
                    // The same values in f64: the loss itself is not computed in the low precision.
                    let exact = value(nt_xent(&z1.to_kind(Kind::Double), &z2.to_kind(Kind::Double), tau));
                    let found = loss.double_value(&[]);
                    assert!((found - exact).abs() < 1e-5 * exact, "{kind:?} {tau} {scale}: {found} {exact}");
                    for gradient in Tensor::run_backward(&[loss], &[&z1, &z2], false, false) {
                        assert!(bool::try_from(gradient.isfinite().all()).unwrap(), "{kind:?} {tau} {scale}");
                    }
                }
            }
        }
    }

    #[test]
    fn zeros_have_no_direction_and_do_no_harm() {
        let mut rng = Rng::from_seed(4);
        let z2 = random(&mut rng, 3, 4, Kind::Double);
        let z1 = Tensor::zeros([3, 4], (Kind::Double, tch::Device::Cpu));
        let [(naive, _), (fast, gradients)] = both(&z1, &z2, 0.5);
        assert!((naive - fast).abs() < 1e-12 && naive.is_finite());
        assert!(gradients.iter().all(|g| bool::try_from(g.isfinite().all()).unwrap()));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, tch::Device::Cpu));
        for loss in [nt_xent_naive, nt_xent] {
            for (first, second) in
                [(&[2, 3][..], &[3, 3][..]), (&[4], &[4]), (&[0, 3], &[0, 3]), (&[2, 0], &[2, 0])]
            {
                let error = loss(&zeros(first), &zeros(second), 0.5).unwrap_err();
                assert!(matches!(error, LossError::Shape { .. }), "{error}");
            }
            for tau in [0.0, -1.0, f64::NAN, f64::INFINITY] {
                let error = loss(&zeros(&[2, 3]), &zeros(&[2, 3]), tau).unwrap_err();
                assert!(matches!(error, LossError::Temperature(_)), "{error}");
            }
        }
    }
}
