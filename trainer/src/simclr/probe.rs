//! The linear probe: how much of the classes a linear layer finds in features that nothing is changed in any more.

use std::collections::VecDeque;

use latent_files::run::Accuracy;
use latent_runtime::rng::Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::knn::accuracy;
use crate::nn::init::{WeightInit, bound, uniform};
use crate::optim::{Adam, AdamOptions};

/// Strengths of the penalty that are tried, as multiples of |W|² / 2 beside the mean cross-entropy.
const PENALTIES: [f64; 6] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
/// Part of the labeled images on which they are compared.
const HELD_OUT: f64 = 0.1;
/// Steps of the solver at most.
const STEPS: usize = 150;
/// Differences that the solver remembers.
const MEMORY: usize = 10;

/// How the linear layer is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// To convergence (L-BFGS) on standardized features, with the penalty that is best on held-out tenth of the labels.
    Modern,
    /// The notebook's: on features as they are, batches of 128, 10 epochs, Adam at 0.001 with weight decay 0.000001.
    Reference,
}

/// Features of labeled images.
#[derive(Debug)]
pub struct Examples {
    /// (N, F).
    pub features: Tensor,
    /// The class of each (N).
    pub labels: Tensor,
}

impl Examples {
    /// Those at these places.
    pub fn select(&self, places: &[i64]) -> Result<Self, TchError> {
        let places = Tensor::f_from_slice(places)?.f_to_device(self.features.device())?;
        Ok(Self {
            features: self.features.f_index_select(0, &places)?,
            labels: self.labels.f_index_select(0, &places)?,
        })
    }

    fn len(&self) -> usize {
        self.labels.numel()
    }
}

/// What a probe gave.
#[derive(Debug)]
pub struct Outcome {
    /// On the test images.
    pub accuracy: Accuracy,
    /// The penalty that was chosen; none for [`Protocol::Reference`].
    pub penalty: Option<f64>,
    /// Scores of the test images (M, classes).
    pub scores: Tensor,
}

/// Trains a linear layer on `train` and tries it on `test`. The seed decides what is held out, how the layer starts and the
/// order of the images, as far as the protocol has these.
pub fn probe(
    train: &Examples,
    test: &Examples,
    classes: i64,
    protocol: Protocol,
    seed: u64,
) -> Result<Outcome, TchError> {
    let mut rng = Rng::from_seed(seed);
    tch::no_grad(|| {
        let (scores, penalty) = match protocol {
            Protocol::Reference => (reference(train, test, classes, &mut rng)?, None),
            Protocol::Modern => {
                let (scores, penalty) = modern(train, test, classes, &mut rng)?;
                (scores, Some(penalty))
            }
        };
        Ok(Outcome { accuracy: accuracy(&scores, &test.labels)?, penalty, scores })
    })
}

fn modern(train: &Examples, test: &Examples, classes: i64, rng: &mut Rng) -> Result<(Tensor, f64), TchError> {
    let scale = Scale::of(&train.features)?;
    let train = Examples { features: scale.apply(&train.features)?, labels: train.labels.shallow_clone() };
    let mut order: Vec<i64> = (0..train.len() as i64).collect();
    rng.shuffle(&mut order);
    let held = ((train.len() as f64 * HELD_OUT) as usize).clamp(1, train.len().max(2) - 1);
    let (held, rest) = (train.select(&order[..held])?, train.select(&order[held..])?);
    // From strong to weak, each from where the one before ended.
    let mut weight = zeros(&rest, classes)?;
    let mut best = (f64::NEG_INFINITY, PENALTIES[0]);
    for penalty in PENALTIES.into_iter().rev() {
        weight = minimize(&rest, classes, penalty, weight)?;
        let found = accuracy(&held.features.f_matmul(&weight)?, &held.labels)?.top1;
        if found > best.0 {
            best = (found, penalty);
        }
    }
    let penalty = best.1;
    let weight = minimize(&train, classes, penalty, zeros(&train, classes)?)?;
    Ok((scale.apply(&test.features)?.f_matmul(&weight)?, penalty))
}

/// Brings each feature to mean 0 and deviation 1, and adds a feature that is always 1.
struct Scale {
    mean: Tensor,
    factor: Tensor,
}

impl Scale {
    fn of(features: &Tensor) -> Result<Self, TchError> {
        let mean = features.f_mean_dim(&[0i64][..], true, Kind::Float)?;
        let deviation = features.f_std_dim(&[0i64][..], false, true)?;
        // A constant feature says nothing: it becomes 0.
        let dead = deviation.f_lt(1e-8)?;
        let factor = deviation.f_clamp_min(1e-8)?.f_reciprocal()?.f_masked_fill(&dead, 0.0)?;
        Ok(Self { mean, factor })
    }

    fn apply(&self, features: &Tensor) -> Result<Tensor, TchError> {
        let scaled = features.f_sub(&self.mean)?.f_mul(&self.factor)?;
        let ones = Tensor::f_ones([features.size()[0], 1], (Kind::Float, features.device()))?;
        Tensor::f_cat(&[scaled, ones], 1)
    }
}

fn zeros(train: &Examples, classes: i64) -> Result<Tensor, TchError> {
    Tensor::f_zeros([train.features.size()[1], classes], (Kind::Float, train.features.device()))
}

/// The mean cross-entropy of the scores X W plus `penalty` · |W|² / 2, and its gradient by W (F, classes).
fn objective(
    train: &Examples,
    hot: &Tensor,
    weight: &Tensor,
    penalty: f64,
) -> Result<(f64, Tensor), TchError> {
    let n = train.features.size()[0] as f64;
    let logs = train.features.f_matmul(weight)?.f_log_softmax(1, Kind::Float)?;
    let loss = logs.f_mul(hot)?.f_sum(Kind::Double)?.f_double_value(&[])? / -n;
    let gradient = train.features.f_tr()?.f_matmul(&logs.f_exp()?.f_sub(hot)?)?.f_div_scalar(n)?;
    let gradient = gradient.f_add(&weight.f_mul_scalar(penalty)?)?;
    let squares = weight.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
    Ok((loss + 0.5 * penalty * squares, gradient))
}

/// Minimizes [`objective`] from `weight` on, by L-BFGS (Nocedal and Wright 2006, algorithm 7.4) with steps that are halved until
/// they go down enough.
fn minimize(train: &Examples, classes: i64, penalty: f64, mut weight: Tensor) -> Result<Tensor, TchError> {
    let hot = train.labels.f_one_hot(classes)?.f_to_kind(Kind::Float)?;
    let dot = |a: &Tensor, b: &Tensor| a.f_mul(b)?.f_sum(Kind::Double)?.f_double_value(&[]);
    let (mut loss, mut gradient) = objective(train, &hot, &weight, penalty)?;
    let mut pairs: VecDeque<(Tensor, Tensor, f64)> = VecDeque::new();
    for _ in 0..STEPS {
        if gradient.f_abs()?.f_max()?.f_double_value(&[])? < 1e-5 {
            break;
        }
        let mut direction = gradient.f_neg()?;
        let mut factors = Vec::new();
        for (step, change, rho) in pairs.iter().rev() {
            let factor = rho * dot(step, &direction)?;
            direction = direction.f_sub(&change.f_mul_scalar(factor)?)?;
            factors.push(factor);
        }
        if let Some((step, change, _)) = pairs.back() {
            direction = direction.f_mul_scalar(dot(step, change)? / dot(change, change)?)?;
        }
        for ((step, change, rho), factor) in pairs.iter().zip(factors.into_iter().rev()) {
            let back = rho * dot(change, &direction)?;
            direction = direction.f_add(&step.f_mul_scalar(factor - back)?)?;
        }
        let slope = dot(&gradient, &direction)?;
        let first = pairs.is_empty();
        if slope >= 0.0 {
            break;
        }
        let mut length = if first { (1.0 / dot(&gradient, &gradient)?.sqrt()).min(1.0) } else { 1.0 };
        let mut taken = None;
        for _ in 0..20 {
            let there = weight.f_add(&direction.f_mul_scalar(length)?)?;
            let (value, slope_there) = objective(train, &hot, &there, penalty)?;
            if value <= loss + 1e-4 * length * slope {
                taken = Some((there, value, slope_there));
                break;
            }
            length *= 0.5;
        }
        // No way down that f32 can see.
        let Some((there, value, next)) = taken else { break };
        let (step, change) = (there.f_sub(&weight)?, next.f_sub(&gradient)?);
        let curvature = dot(&step, &change)?;
        if curvature > 1e-12 {
            if pairs.len() == MEMORY {
                let _ = pairs.pop_front();
            }
            pairs.push_back((step, change, 1.0 / curvature));
        }
        let done = loss - value < 1e-7 * loss.abs().max(1e-3);
        (weight, loss, gradient) = (there, value, next);
        if done {
            break;
        }
    }
    Ok(weight)
}

/// The notebook's training of `nn.Linear`.
fn reference(train: &Examples, test: &Examples, classes: i64, rng: &mut Rng) -> Result<Tensor, TchError> {
    const BATCH: usize = 128;
    let device = train.features.device();
    let shape = [classes, train.features.size()[1]];
    let limit = bound(WeightInit::TorchDefault, &shape);
    let weight = uniform(rng, &shape, limit, device)?;
    let bias = uniform(rng, &[classes], limit, device)?;
    let options = AdamOptions { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 1e-6 };
    let parameters = vec![("w".to_owned(), weight.shallow_clone()), ("b".to_owned(), bias.shallow_clone())];
    let mut adam = Adam::new(parameters, options)?;
    let mut order: Vec<i64> = (0..train.len() as i64).collect();
    for _ in 0..10 {
        rng.shuffle(&mut order);
        for places in order.chunks(BATCH) {
            let batch = train.select(places)?;
            let hot = batch.labels.f_one_hot(classes)?.f_to_kind(Kind::Float)?;
            let scores = batch.features.f_linear(&weight, Some(&bias))?;
            // The derivative of the mean cross-entropy by the scores.
            let pull = scores.f_softmax(1, Kind::Float)?.f_sub(&hot)?.f_div_scalar(places.len() as f64)?;
            let by_weight = pull.f_tr()?.f_matmul(&batch.features)?;
            adam.step(&[by_weight, pull.f_sum_dim_intlist(0i64, false, Kind::Float)?])?;
        }
    }
    test.features.f_linear(&weight, Some(&bias))
}

/// How many labels are used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Labels {
    /// All.
    All,
    /// This part of each class.
    Part(f64),
    /// This many, as evenly from each class as there are.
    Count(usize),
}

impl std::str::FromStr for Labels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected `all`, a percentage such as 10%, or a number of images".to_owned();
        if text == "all" {
            return Ok(Self::All);
        }
        if let Some(number) = text.strip_suffix('%') {
            return match number.trim().parse::<f64>() {
                Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Self::Part(percent / 100.0)),
                _ => Err(wrong()),
            };
        }
        match text.parse::<usize>() {
            Ok(count) if count > 0 => Ok(Self::Count(count)),
            _ => Err(wrong()),
        }
    }
}

impl Labels {
    /// Places of the images whose labels are used, drawn class by class; each class of the data gives at least one.
    pub fn choose(self, labels: &[u32], classes: usize, seed: u64) -> Vec<usize> {
        let part = match self {
            Self::All => return (0..labels.len()).collect(),
            Self::Part(part) => part,
            Self::Count(count) => count as f64 / labels.len().max(1) as f64,
        };
        let mut of_class = vec![Vec::new(); classes];
        for (place, label) in labels.iter().enumerate() {
            of_class[*label as usize].push(place);
        }
        let mut rng = Rng::from_seed(seed ^ 0x6c61_6265_6c73);
        let mut chosen = Vec::new();
        for mut places in of_class {
            rng.shuffle(&mut places);
            let count = (part * places.len() as f64).round() as usize;
            places.truncate(count.clamp(1, places.len().max(1)));
            chosen.extend(places);
        }
        chosen.sort_unstable();
        chosen
    }
}

/// The class with the highest score of each image.
pub fn predictions(scores: &Tensor) -> Result<Vec<usize>, TchError> {
    let found = Vec::<i64>::try_from(scores.f_argmax(1, false)?.f_to_device(Device::Cpu)?)?;
    Ok(found.into_iter().map(|class| usize::try_from(class).unwrap_or(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three classes in the plane, of which `noise` makes some overlap, beside features that say nothing.
    fn examples(n: usize, noise: f32, seed: u64) -> Examples {
        let mut rng = Rng::from_seed(seed);
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for i in 0..n {
            let class = i % 3;
            let angle = class as f32 * 2.1;
            rows.extend([
                5.0 + 100.0 * (angle.cos() + noise * rng.normal()),
                angle.sin() + noise * rng.normal(),
                7.0,
                rng.normal(),
            ]);
            labels.push(class as i64);
        }
        Examples {
            features: Tensor::from_slice(&rows).view([n as i64, 4]),
            labels: Tensor::from_slice(&labels),
        }
    }

    #[test]
    fn separable_classes_are_separated_by_both_protocols() {
        let (train, test) = (examples(1500, 0.1, 1), examples(300, 0.1, 2));
        for (protocol, least) in [(Protocol::Modern, 0.999), (Protocol::Reference, 0.6)] {
            let found = probe(&train, &test, 3, protocol, 0).unwrap();
            assert!(found.accuracy.top1 >= least, "{protocol:?}: {:?}", found.accuracy);
            let found_classes = predictions(&found.scores).unwrap();
            let right = found_classes.iter().enumerate().filter(|(i, class)| **class == i % 3).count();
            assert!((right as f64 / 300.0 - found.accuracy.top1).abs() < 1e-9);
        }
        // The same seed gives the same layer.
        let scores = |seed| probe(&train, &test, 3, Protocol::Reference, seed).unwrap().scores;
        assert_eq!(scores(5), scores(5));
        assert_ne!(scores(5), scores(6));
    }

    #[test]
    fn the_solver_finds_the_minimum() {
        let train = examples(400, 0.8, 3);
        let scale = Scale::of(&train.features).unwrap();
        let train = Examples { features: scale.apply(&train.features).unwrap(), labels: train.labels };
        let hot = train.labels.one_hot(3).to_kind(Kind::Float);
        for penalty in [1e-4, 0.1] {
            let weight = minimize(&train, 3, penalty, zeros(&train, 3).unwrap()).unwrap();
            let (least, gradient) = objective(&train, &hot, &weight, penalty).unwrap();
            assert!(gradient.abs().max().double_value(&[]) < 2e-3, "{penalty}");
            // Plain descent for long enough ends there, too.
            let mut other = zeros(&train, 3).unwrap();
            for _ in 0..3000 {
                other = &other - objective(&train, &hot, &other, penalty).unwrap().1 * 0.5;
            }
            let (slow, _) = objective(&train, &hot, &other, penalty).unwrap();
            assert!(least < slow + 1e-4, "{penalty}: {least} {slow}");
            // The gradient is that of the value.
            let there = &weight + Tensor::randn_like(&weight) * 0.3;
            let (value, gradient) = objective(&train, &hot, &there, penalty).unwrap();
            let direction = Tensor::randn_like(&weight);
            let (next, _) = objective(&train, &hot, &(&there + &direction * 1e-3), penalty).unwrap();
            let slope = (&gradient * &direction).sum(Kind::Double).double_value(&[]);
            assert!(((next - value) / 1e-3 - slope).abs() < 0.02 * slope.abs().max(1.0));
        }
    }

    #[test]
    fn labels_are_drawn_evenly_and_by_seed() {
        let labels: Vec<u32> = (0..100).map(|i| i / 50).collect();
        let part = |text: &str, seed| text.parse::<Labels>().unwrap().choose(&labels, 2, seed);
        assert_eq!(part("all", 1).len(), 100);
        for (text, count) in [("10%", 10), ("20", 20), ("0.1%", 2), ("500", 100)] {
            let chosen = part(text, 1);
            assert_eq!(chosen.len(), count, "{text}");
            assert_eq!(chosen.iter().filter(|place| **place < 50).count(), count / 2, "{text}");
        }
        assert_eq!(part("10%", 1), part("10%", 1));
        assert_ne!(part("10%", 1), part("10%", 2));
        for text in ["", "0", "0%", "101%", "some", "-5"] {
            assert!(text.parse::<Labels>().is_err(), "{text}");
        }
    }
}
