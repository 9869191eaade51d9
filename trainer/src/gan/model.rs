//! Generator and discriminator with their optimizers, and one step of training.

use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::architecture::{self, ImageShape};
use super::batches::Batches;
use super::condition;
use super::ema::Ema;
use super::losses::{LossKind, r1};
use super::noise::Noise;
use super::run::State;
use super::settings::GanSettings;
use crate::checkpoint::{self, CheckpointError, Tensors};
use crate::nn::{self, Named, Network, Pass};
use crate::optim::{Adam, AdamOptions, Schedule};
use crate::settings::Amp;

/// Generator and discriminator with everything that training changes.
#[derive(Debug)]
pub struct Gan {
    discriminator: Network,
    generator: Network,
    d_adam: Adam,
    g_adam: Adam,
    ema: Option<Ema>,
    loss: LossKind,
    gp_weight: f64,
    r1: f64,
    /// The step sizes of discriminator and generator.
    lr: [Schedule; 2],
    d_steps: u32,
    batch: usize,
    image: ImageShape,
    pass: Pass,
}

impl Gan {
    /// New networks, conditional for a number of `classes`. Their weights are drawn from `rng`: the discriminator's first.
    pub fn new(
        options: &GanSettings,
        image: ImageShape,
        classes: Option<usize>,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let latent = options.latent_size as i64;
        let discriminator =
            architecture::discriminator(options.discriminator_net(), image, classes, rng, device)?;
        let generate =
            |rng: &mut Rng| architecture::generator(options.net, image, latent, classes, rng, device);
        let generator = generate(rng)?;
        let ema = match options.ema {
            Some(decay) => Some(Ema::new(&generator, generate(&mut rng.clone())?, decay)?),
            None => None,
        };
        let adam = |network: &Network, lr| {
            let GanSettings { beta1, beta2, adam_eps: eps, .. } = *options;
            Adam::new(network.parameters(), AdamOptions { lr, beta1, beta2, eps, weight_decay: 0.0 })
        };
        Ok(Self {
            d_adam: adam(&discriminator, options.d_lr)?,
            g_adam: adam(&generator, options.g_lr)?,
            discriminator,
            generator,
            ema,
            loss: options.loss,
            gp_weight: options.gp_weight,
            r1: options.r1,
            lr: [options.d_lr, options.g_lr].map(|peak| Schedule {
                peak,
                warmup: 0,
                total: options.common.iterations,
                cosine: options.cosine,
            }),
            d_steps: options.d_steps,
            batch: options.common.batch,
            image,
            pass: Pass { bf16: options.common.amp == Amp::Bf16, ..Pass::TRAIN },
        })
    }

    /// Iteration number `iteration`, from 0: the discriminator's steps, then one of the generator. Both networks stay in
    /// training mode; every step has noise of its own.
    ///
    /// Where batches have labels, the discriminator sees generated images of the same labels as the real ones, and the
    /// generator's step draws labels from the data's. So a label is as frequent among real as among generated images, and
    /// the discriminator's score depends on the label only where the image does not fit it.
    ///
    /// Returns, still on the device, a tensor of four figures: D's loss, G's loss, mean raw score of real and of generated
    /// images.
    pub fn step(
        &mut self,
        iteration: u64,
        batches: &mut Batches,
        noise: &mut Noise,
    ) -> Result<Tensor, TchError> {
        let steps = u64::from(self.d_steps.max(1));
        let [d_lr, g_lr] = self.lr.map(|schedule| schedule.at(iteration));
        let mut last = self.discriminator_step(batches, iteration * steps, d_lr, noise)?;
        for k in 1..steps {
            last = self.discriminator_step(batches, iteration * steps + k, d_lr, noise)?;
        }
        let [d_loss, real, fake] = last;
        Tensor::f_stack(&[d_loss, self.generator_step(batches, g_lr, noise)?, real, fake], 0)
    }

    fn discriminator_step(
        &mut self,
        batches: &mut Batches,
        index: u64,
        lr: f64,
        noise: &mut Noise,
    ) -> Result<[Tensor; 3], TchError> {
        let n = self.batch as i64;
        let (real, labels) = (&batches.get(index)?, batches.labels(index)?);
        let labels = labels.as_ref();
        let z = noise.draw(self.batch)?;
        let fake = tch::no_grad(|| self.images(&self.generator, &z, labels, self.pass))?;
        // The discriminator has no batch normalization, so that real and generated images can go through it as one batch.
        let both = labels.map(|labels| Tensor::f_cat(&[labels, labels], 0)).transpose()?;
        let images = Tensor::f_cat(&[real, &fake], 0)?;
        let scores = condition::score(&self.discriminator, &images, both.as_ref(), self.pass)?;
        let (on_real, on_fake) = (scores.f_narrow(0, 0, n)?, scores.f_narrow(0, n, n)?);
        let mut loss = (self.loss.definition().discriminator)(&on_real, &on_fake)?;
        let score = |images: &Tensor, pass| condition::score(&self.discriminator, images, labels, pass);
        // Without R1, so that the losses of all iterations mean the same.
        let mut reported = loss.f_detach()?;
        if self.r1 > 0.0 && index.is_multiple_of(r1::EVERY) {
            let weight = 0.5 * self.r1 * r1::EVERY as f64;
            loss = loss.f_add(&r1::penalty(&score, real)?.f_mul_scalar(weight)?)?;
        }
        if let Some(penalty) = self.loss.definition().penalty {
            let between = noise.fractions(self.batch)?;
            let penalty = penalty(&score, real, &fake, &between)?;
            let penalty = penalty.f_mul_scalar(self.gp_weight)?;
            reported = reported.f_add(&penalty.f_detach()?)?;
            loss = loss.f_add(&penalty)?;
        }
        let gradients = Tensor::f_run_backward(&[&loss], &self.d_adam.parameters(), false, false)?;
        self.d_adam.step_at(&gradients, lr)?;
        let mean = |t: &Tensor| t.f_detach()?.f_mean(Kind::Float);
        Ok([reported, mean(&on_real)?, mean(&on_fake)?])
    }

    fn generator_step(&mut self, batches: &Batches, lr: f64, noise: &mut Noise) -> Result<Tensor, TchError> {
        let z = noise.draw(self.batch)?;
        let labels = noise.labels(batches.all_labels(), self.batch)?;
        let labels = labels.as_ref();
        let fake = self.images(&self.generator, &z, labels, self.pass)?;
        let scores = condition::score(&self.discriminator, &fake, labels, self.pass)?;
        let loss = (self.loss.definition().generator)(&scores)?;
        // Only the generator's gradients are asked for, so none are computed for the discriminator's weights.
        let gradients = Tensor::f_run_backward(&[&loss], &self.g_adam.parameters(), false, false)?;
        self.g_adam.step_at(&gradients, lr)?;
        if let Some(ema) = &mut self.ema {
            ema.update()?;
        }
        loss.f_detach()
    }

    fn images(
        &self,
        generator: &Network,
        z: &Tensor,
        labels: Option<&Tensor>,
        pass: Pass,
    ) -> Result<Tensor, TchError> {
        let ImageShape { channels, height, width } = self.image;
        condition::generate(generator, z, labels, pass)?.f_view([-1, channels, height, width])
    }

    /// Images (N, C, H, W) for latent vectors, each with its one-hot label if the networks are conditional, in evaluation
    /// mode; from the averaged generator if there is one.
    pub fn sample(&self, z: &Tensor, labels: Option<&Tensor>) -> Result<Tensor, TchError> {
        let generator = self.ema.as_ref().map_or(&self.generator, Ema::network);
        tch::no_grad(|| self.images(generator, z, labels, Pass::EVAL))
    }

    /// Whether all weights and statistics are finite.
    pub fn all_finite(&self) -> Result<bool, TchError> {
        let networks =
            [Some(&self.discriminator), Some(&self.generator), self.ema.as_ref().map(Ema::network)];
        for network in networks.into_iter().flatten() {
            if !nn::all_finite(network)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Everything that a checkpoint holds, by file.
    pub fn tensors(&self) -> Result<Vec<(&'static str, Tensors)>, TchError> {
        let mut optimizer = self.d_adam.state("discriminator.");
        optimizer.extend(self.g_adam.state("generator."));
        let mut files = vec![
            (checkpoint::GENERATOR, self.generator.state()?),
            (checkpoint::DISCRIMINATOR, self.discriminator.state()?),
            (checkpoint::OPTIMIZER, optimizer),
        ];
        if let Some(ema) = &self.ema {
            files.push((checkpoint::GENERATOR_EMA, ema.network().state()?));
        }
        Ok(files)
    }

    /// Steps and updates, for the state of a checkpoint: discriminator, generator, average.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.d_adam.steps(), self.g_adam.steps(), self.ema.as_ref().map_or(0, Ema::updates))
    }

    /// Takes everything from a checkpoint.
    pub fn load(&mut self, folder: &std::path::Path, state: &State) -> Result<(), CheckpointError> {
        let fit = |file: &'static str| {
            let path = folder.join(file);
            move |error| CheckpointError::State { path, error }
        };
        let read = |file: &str| checkpoint::read_tensors(&folder.join(file));
        self.generator.load_state(&read(checkpoint::GENERATOR)?).map_err(fit(checkpoint::GENERATOR))?;
        self.discriminator
            .load_state(&read(checkpoint::DISCRIMINATOR)?)
            .map_err(fit(checkpoint::DISCRIMINATOR))?;
        let optimizer = read(checkpoint::OPTIMIZER)?;
        self.d_adam
            .load_state("discriminator.", &optimizer, state.discriminator_steps)
            .map_err(fit(checkpoint::OPTIMIZER))?;
        self.g_adam
            .load_state("generator.", &optimizer, state.generator_steps)
            .map_err(fit(checkpoint::OPTIMIZER))?;
        if let Some(ema) = &mut self.ema {
            ema.network()
                .load_state(&read(checkpoint::GENERATOR_EMA)?)
                .map_err(fit(checkpoint::GENERATOR_EMA))?;
            ema.set_updates(state.ema_updates);
        }
        Ok(())
    }
}
