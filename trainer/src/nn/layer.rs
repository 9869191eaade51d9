//! The layers that plain sequences are made of, and how each is computed.

use std::cell::Cell;

use latent_runtime::rng::Rng;
use tch::{Device, Kind, TchError, Tensor};

use super::init::{self, WeightInit};

/// How a forward pass is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// Batch normalization by the batch's own statistics, which also move the running ones; else by the running ones.
    pub train: bool,
    /// Matrix products and convolutions in bfloat16; everything else stays in f32 where it matters.
    pub bf16: bool,
    /// The result must be differentiable twice (for a gradient penalty): only operators that libtorch can
    /// differentiate twice are used.
    pub twice: bool,
}

impl Pass {
    /// Training in f32.
    pub const TRAIN: Pass = Pass { train: true, bf16: false, twice: false };
    /// Evaluation in f32.
    pub const EVAL: Pass = Pass { train: false, bf16: false, twice: false };

    /// The kind in which products are computed.
    pub(super) fn kind(self) -> Kind {
        if self.bf16 { Kind::BFloat16 } else { Kind::Float }
    }
}

/// y = x Wᵀ + b.
#[derive(Debug)]
pub struct Linear {
    /// (out, in).
    pub weight: Tensor,
    /// (out), if there is one.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// A layer from `inputs` to `outputs` values.
    pub fn new(
        inputs: i64,
        outputs: i64,
        weight: WeightInit,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let shape = [outputs, inputs];
        let bias = init::bound(WeightInit::TorchDefault, &shape);
        Ok(Self {
            weight: init::uniform(rng, &shape, init::bound(weight, &shape), device)?,
            bias: Some(init::uniform(rng, &[outputs], bias, device)?),
        })
    }

    /// A layer without a bias, its weight PyTorch's default.
    pub fn without_bias(inputs: i64, outputs: i64, rng: &mut Rng, device: Device) -> Result<Self, TchError> {
        let shape = [outputs, inputs];
        let bound = init::bound(WeightInit::TorchDefault, &shape);
        Ok(Self { weight: init::uniform(rng, &shape, bound, device)?, bias: None })
    }

    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        if pass.bf16 {
            let kind = Kind::BFloat16;
            let bias = self.bias.as_ref().map(|bias| bias.f_to_kind(kind)).transpose()?;
            return x.f_to_kind(kind)?.f_linear(&self.weight.f_to_kind(kind)?, bias);
        }
        if pass.twice || x.device() != Device::Cpu || !tch::utils::has_mkldnn() {
            return x.f_linear(&self.weight, self.bias.as_ref());
        }
        // oneDNN's inner product uses AVX-512 on every processor that has it; MKL, behind `linear`, does so on Intel's
        // only and is half as fast on others. The layout round trip copies only activations.
        x.f_to_mkldnn(None)?.f_mkldnn_linear(&self.weight, self.bias.as_ref())?.f_to_dense(None, false)
    }
}

/// Convolution without padding, stride 1.
#[derive(Debug)]
pub struct Conv2d {
    /// (out, in, k, k), channels last in memory.
    pub weight: Tensor,
    /// (out).
    pub bias: Tensor,
}

impl Conv2d {
    /// A layer with square kernels of side `kernel`.
    pub fn new(
        inputs: i64,
        outputs: i64,
        kernel: i64,
        weight: WeightInit,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let shape = [outputs, inputs, kernel, kernel];
        let bias = init::bound(WeightInit::TorchDefault, &shape);
        Ok(Self {
            weight: channels_last(&init::uniform(rng, &shape, init::bound(weight, &shape), device)?)?,
            bias: init::uniform(rng, &[outputs], bias, device)?,
        })
    }

    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let kind = pass.kind();
        if self.by_columns(x, pass) {
            return self.forward_by_columns(&x.f_to_kind(kind)?, kind);
        }
        let (x, weight, bias) =
            (x.f_to_kind(kind)?, self.weight.f_to_kind(kind)?, self.bias.f_to_kind(kind)?);
        x.f_conv2d(&weight, Some(bias), 1, 0, 1, 1)
    }

    /// Whether the layer is computed as a matrix product over unfolded pixels: where the derivative by an input of few
    /// channels is wanted, on a CPU. Convolution kernels there pad the channels to 16, so that this derivative alone would take
    /// three times as long as the whole layer takes by columns.
    fn by_columns(&self, x: &Tensor, pass: Pass) -> bool {
        x.requires_grad() && x.device() == Device::Cpu && !pass.twice && self.weight.size()[1] <= 3
    }

    fn forward_by_columns(&self, x: &Tensor, kind: Kind) -> Result<Tensor, TchError> {
        let (n, _, height, width) = x.size4()?;
        let (outputs, _, kernel, _) = self.weight.size4()?;
        let (h, w) = (height - kernel + 1, width - kernel + 1);
        let columns = x.f_im2col([kernel, kernel], [1, 1], [0, 0], [1, 1])?.f_transpose(1, 2)?;
        let weight = self.weight.f_to_kind(kind)?.f_reshape([1, outputs, -1])?.f_transpose(1, 2)?;
        let weight = weight.f_expand([n, -1, -1], false)?;
        let bias = self.bias.f_to_kind(kind)?.f_view([1, 1, outputs])?;
        // (N, pixels, channels) in memory: channels last.
        let y = bias.f_baddbmm(&columns, &weight, 1.0, 1.0)?;
        y.f_view([n, h, w, outputs])?.f_permute([0, 3, 1, 2])
    }
}

/// Transposed convolution with kernel 4, stride 2, padding 1: twice the height and width.
#[derive(Debug)]
pub struct ConvTranspose2d {
    /// (in, out, 4, 4).
    pub weight: Tensor,
    /// (out).
    pub bias: Tensor,
}

impl ConvTranspose2d {
    const KERNEL: i64 = 4;
    const STRIDE: i64 = 2;
    const PADDING: i64 = 1;

    /// A layer from `inputs` to `outputs` channels.
    pub fn new(
        inputs: i64,
        outputs: i64,
        weight: WeightInit,
        rng: &mut Rng,
        device: Device,
    ) -> Result<Self, TchError> {
        let shape = [inputs, outputs, Self::KERNEL, Self::KERNEL];
        let bias = init::bound(WeightInit::TorchDefault, &shape);
        Ok(Self {
            // Not channels last, so that the output is not either: libtorch's batch normalization on a CPU loses three digits
            // over channels-last images, because it adds all pixels up one by one.
            weight: init::uniform(rng, &shape, init::bound(weight, &shape), device)?,
            bias: init::uniform(rng, &[outputs], bias, device)?,
        })
    }

    /// Whether the layer is computed as a matrix product whose columns are then added up in place: several times faster on
    /// a CPU where there are few output channels, since convolution kernels there work on 16 at once.
    fn by_columns(outputs: i64, device: Device) -> bool {
        device == Device::Cpu && outputs <= 4
    }

    fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        let kind = pass.kind();
        let (x, weight, bias) =
            (x.f_to_kind(kind)?, self.weight.f_to_kind(kind)?, self.bias.f_to_kind(kind)?);
        let outputs = weight.size()[1];
        if !Self::by_columns(outputs, x.device()) {
            return x.f_conv_transpose2d(&weight, Some(bias), Self::STRIDE, Self::PADDING, 0, 1, 1);
        }
        let (n, c, h, w) = x.size4()?;
        let columns = weight.f_view([c, -1])?.f_tr()?.f_matmul(&x.f_reshape([n, c, h * w])?)?;
        let mut image = columns.f_to_kind(Kind::Float)?.f_col2im(
            [h * Self::STRIDE, w * Self::STRIDE],
            [Self::KERNEL, Self::KERNEL],
            [1, 1],
            [Self::PADDING, Self::PADDING],
            [Self::STRIDE, Self::STRIDE],
        )?;
        image.f_add_(&self.bias.f_view([1, outputs, 1, 1])?)
    }
}

/// Batch normalization as PyTorch has it: eps 1e-5, running statistics with momentum 0.1 and unbiased variance. Over the
/// features of (N, C) or the channels of (N, C, H, W).
#[derive(Debug)]
pub struct BatchNorm {
    /// Scale (C).
    pub weight: Tensor,
    /// Shift (C).
    pub bias: Tensor,
    /// Running mean (C).
    pub running_mean: Tensor,
    /// Running variance (C).
    pub running_var: Tensor,
    /// Batches seen in training.
    pub batches: Cell<i64>,
}

impl BatchNorm {
    /// PyTorch's momentum: the weight of a new batch in the running statistics.
    pub const MOMENTUM: f64 = 0.1;
    /// Added to the variance.
    pub const EPS: f64 = 1e-5;

    /// A layer over this many features: scale 1, shift 0, running mean 0 and variance 1.
    pub fn new(features: i64, device: Device) -> Result<Self, TchError> {
        Ok(Self {
            weight: init::constant(features, 1.0, device)?,
            bias: init::constant(features, 0.0, device)?,
            running_mean: init::constant(features, 0.0, device)?,
            running_var: init::constant(features, 1.0, device)?,
            batches: Cell::new(0),
        })
    }

    pub(super) fn forward(&self, x: &Tensor, pass: Pass) -> Result<Tensor, TchError> {
        if pass.train {
            self.batches.set(self.batches.get() + 1);
        }
        x.f_batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            pass.train,
            Self::MOMENTUM,
            Self::EPS,
            true,
        )
    }
}

/// One step of a [`Network`](super::Network).
#[derive(Debug)]
pub enum Layer {
    /// (N, ...) to (N, product).
    Flatten,
    /// (N, C·H·W) to (N, C, H, W).
    Unflatten([i64; 3]),
    /// Fully connected.
    Linear(Linear),
    Conv2d(Conv2d),
    ConvTranspose2d(ConvTranspose2d),
    BatchNorm(BatchNorm),
    /// max(x, 0).
    Relu,
    /// x if positive, else 0.01 x.
    LeakyRelu,
    /// The maximum of each 2x2 square; an odd last row or column is dropped.
    MaxPool2,
    Tanh,
}

impl Layer {
    /// The layer's output for the batch `x`, which it may overwrite if it is no leaf.
    pub(super) fn forward(&self, mut x: Tensor, pass: Pass) -> Result<Tensor, TchError> {
        match self {
            Layer::Flatten => x.f_flatten(1, -1),
            Layer::Unflatten([c, h, w]) => x.f_view([-1, *c, *h, *w]),
            Layer::Linear(layer) => layer.forward(&x, pass),
            Layer::Conv2d(layer) => layer.forward(&x, pass),
            Layer::ConvTranspose2d(layer) => layer.forward(&x, pass),
            Layer::BatchNorm(layer) => layer.forward(&x, pass),
            Layer::Relu => x.f_relu_(),
            Layer::LeakyRelu => x.f_leaky_relu_(),
            Layer::MaxPool2 => x.f_max_pool2d(2, 2, 0, 1, false),
            Layer::Tanh => x.f_tanh_(),
        }
    }

    /// The learned tensors with their names within the layer.
    pub fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        match self {
            Layer::Linear(Linear { weight, bias: None }) => vec![("weight", weight)],
            Layer::Linear(Linear { weight, bias: Some(bias) })
            | Layer::Conv2d(Conv2d { weight, bias })
            | Layer::ConvTranspose2d(ConvTranspose2d { weight, bias })
            | Layer::BatchNorm(BatchNorm { weight, bias, .. }) => vec![("weight", weight), ("bias", bias)],
            _ => Vec::new(),
        }
    }
}

/// The same values with the channels of one pixel side by side in memory. Also with one channel, where strides say nothing
/// about the order but tell libtorch which to use for the output.
pub(super) fn channels_last(x: &Tensor) -> Result<Tensor, TchError> {
    let (_, c, h, w) = x.size4()?;
    let mut copy = Tensor::f_empty_strided(x.size(), [c * h * w, 1, c * w, c], (x.f_kind()?, x.device()))?;
    copy.f_copy_(x)?;
    Ok(copy)
}
