//! Encoder, projection head and optimizer, and one step of training.

use std::path::Path;

use latent_files::run::Architecture;
use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::encoder::{Encoder, Projection};
use super::loss::{self, LossError};
use super::settings::SimclrSettings;
use crate::checkpoint::{self, CheckpointError, Tensors};
use crate::nn::{Named, Pass};
use crate::optim::Optimizer;
use crate::settings::Amp;

/// Everything that training changes.
#[derive(Debug)]
pub struct Learner {
    encoder: Encoder,
    optimizer: Optimizer,
    temperature: f64,
    pass: Pass,
}

impl Learner {
    /// A new encoder for images of this many channels, whose weights are drawn from `rng`.
    pub fn new(
        options: &SimclrSettings,
        architecture: &Architecture,
        channels: usize,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let encoder = Encoder::new(architecture, Projection::REFERENCE, channels, rng, device)?;
        let optimizer = options.optimizer.build(encoder.parameters(), options.weight_decay)?;
        let pass = Pass { bf16: options.common.amp == Amp::Bf16, ..Pass::TRAIN };
        Ok(Self { encoder, optimizer, temperature: options.temperature, pass })
    }

    /// Learns from views (2N, C, H, W), of which row k and row k + N show the same image.
    ///
    /// Returns, still on the device, a tensor of four figures: the loss; the mean similarity of the two views of an image; how
    /// alike all projections are (the mean similarity of all pairs); and how alike all features h are.
    pub fn step(&mut self, views: &Tensor, lr: f64) -> Result<Tensor, LossError> {
        let n = views.size()[0] / 2;
        let h = self.encoder.features(views, self.pass)?;
        let z = self.encoder.project(&h, self.pass)?;
        let (z1, z2) = (z.f_narrow(0, 0, n)?, z.f_narrow(0, n, n)?);
        let loss = loss::nt_xent(&z1, &z2, self.temperature)?;
        let gradients = Tensor::f_run_backward(&[&loss], &self.optimizer.parameters(), false, false)?;
        self.optimizer.step(&gradients, lr)?;
        tch::no_grad(|| {
            let z = loss::normalized(&z)?;
            let positive = loss::positive_pairs(&z.f_narrow(0, 0, n)?, &z.f_narrow(0, n, n)?)?;
            let figures = [
                loss.f_detach()?,
                positive.f_mean(Kind::Float)?,
                mean_similarity(&z)?,
                mean_similarity(&loss::normalized(&h)?)?,
            ];
            Ok(Tensor::f_stack(&figures, 0)?)
        })
    }

    /// The networks.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// How a forward pass without training is computed, in the precision of training.
    pub fn evaluation(&self) -> Pass {
        Pass { train: false, ..self.pass }
    }

    /// Whether all weights and statistics are finite.
    pub fn all_finite(&self) -> Result<bool, TchError> {
        crate::nn::all_finite(&self.encoder)
    }

    /// Everything that a checkpoint holds, by file.
    pub fn tensors(&self) -> Result<Vec<(&'static str, Tensors)>, TchError> {
        Ok(vec![
            (checkpoint::ENCODER, self.encoder.state()?),
            (checkpoint::OPTIMIZER, self.optimizer.state()),
        ])
    }

    /// Takes everything from a checkpoint that was made after this many steps.
    pub fn load(&mut self, folder: &Path, steps: u64) -> Result<(), CheckpointError> {
        let fit = |file: &'static str| {
            let path = folder.join(file);
            move |error| CheckpointError::State { path, error }
        };
        let read = |file: &str| checkpoint::read_tensors(&folder.join(file));
        self.encoder.load_state(&read(checkpoint::ENCODER)?).map_err(fit(checkpoint::ENCODER))?;
        self.optimizer.load_state(&read(checkpoint::OPTIMIZER)?, steps).map_err(fit(checkpoint::OPTIMIZER))
    }
}

/// The mean similarity of all pairs of rows (each with itself, too) of rows of length 1: the squared length of their mean.
fn mean_similarity(rows: &Tensor) -> Result<Tensor, TchError> {
    rows.f_mean_dim(&[0i64][..], false, Kind::Float)?.f_square()?.f_sum(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_similarity_is_the_mean_of_all_similarities() {
        let rows = loss::normalized(&Tensor::randn([7, 5], (Kind::Float, Device::Cpu))).unwrap();
        let expected = loss::similarity_matrix(&rows).unwrap().mean(Kind::Double).double_value(&[]);
        assert!((mean_similarity(&rows).unwrap().double_value(&[]) - expected).abs() < 1e-6);
    }
}
