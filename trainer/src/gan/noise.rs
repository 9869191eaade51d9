//! Latent vectors as tensors.

use latent_runtime::latent::Distribution;
use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::condition::Labels;

/// Draws batches of latent vectors.
#[derive(Debug, Clone)]
pub struct Noise {
    rng: Rng,
    distribution: Distribution,
    size: usize,
    device: Device,
}

impl Noise {
    /// Vectors of `size` values each, on this device.
    pub fn new(rng: Rng, distribution: Distribution, size: usize, device: Device) -> Self {
        Self { rng, distribution, size, device }
    }

    /// The next `count` vectors, shape (count, size).
    pub fn draw(&mut self, count: usize) -> Result<Tensor, TchError> {
        let mut values = vec![0f32; count * self.size];
        self.distribution.fill(&mut self.rng, &mut values);
        self.upload(&values, &[count as i64, self.size as i64])
    }

    /// `count` values from U(0, 1), shape (count).
    pub fn fractions(&mut self, count: usize) -> Result<Tensor, TchError> {
        let values: Vec<f32> = (0..count).map(|_| self.rng.next_f32()).collect();
        self.upload(&values, &[count as i64])
    }

    /// Labels of `count` images as [`Labels::draw`] has them, if there are labels.
    pub fn labels(&mut self, labels: Option<&Labels>, count: usize) -> Result<Option<Tensor>, TchError> {
        labels.map(|labels| labels.draw(&mut self.rng, count)).transpose()
    }

    fn upload(&self, values: &[f32], shape: &[i64]) -> Result<Tensor, TchError> {
        let tensor = Tensor::f_from_slice(values)?.f_view(shape)?;
        if self.device == Device::Cpu {
            return Ok(tensor);
        }
        // From pinned memory the copy runs beside the kernels; libtorch frees it when the copy is done.
        tensor.f_pin_memory(self.device)?.f_to_device_(self.device, Kind::Float, true, false)
    }

    /// The state, for a checkpoint.
    pub fn state(&self) -> [u64; 4] {
        self.rng.state()
    }

    /// Continues from a saved state; `false` if that is none.
    pub fn restore(&mut self, state: [u64; 4]) -> bool {
        match Rng::from_state(state) {
            Some(rng) => {
                self.rng = rng;
                true
            }
            None => false,
        }
    }
}
