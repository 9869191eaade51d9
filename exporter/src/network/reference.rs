//! The four networks of the reference, read from a checkpoint.
//!
//! REFERENCE.md, section 1, has their layers and widths. The names of the tensors are those of the equivalent
//! `nn.Sequential`: the layer's index, a dot, and the parameter. Hidden widths come from the weights themselves;
//! whatever `run.json` fixes (latent size, image size) and whatever one layer fixes for the next is checked.

use super::{BatchNorm, Convolution, Layer, Linear, Network, Step};
use crate::run::{GanRun, Image, NetKind, RunError, Weights};

/// BatchNorm's epsilon, PyTorch's default.
const EPSILON: f32 = 1e-5;
/// LeakyReLU's slope below zero.
const SLOPE: f32 = 0.01;

/// The generator of `run`, with the given weights. Input (latent), output (channels, height, width).
///
/// # Errors
/// When a tensor is missing, superfluous, of the wrong shape, or a variance is negative.
pub fn generator(run: &GanRun, weights: Weights) -> Result<Network, RunError> {
    let Image { channels, height, width, .. } = run.image;
    let mut chain = Chain::new(vec![run.latent.size], weights);
    match run.net {
        NetKind::Vanilla => {
            chain.linear(0, "fc1", None)?;
            chain.push("relu1", Layer::Relu);
            chain.linear(2, "fc2", None)?;
            chain.push("relu2", Layer::Relu);
            chain.linear(4, "fc3", Some(channels * height * width))?;
            chain.push("tanh", Layer::Tanh);
            chain.reshape("reshape", vec![channels, height, width]);
        }
        NetKind::Dcgan => {
            if height % 4 != 0 || width % 4 != 0 {
                return Err(chain.weights.error(format!(
                    "image size {height}x{width} in run.json: the dcgan generator doubles twice, so both must be multiples of 4"
                )));
            }
            chain.linear(0, "fc1", None)?;
            chain.push("relu1", Layer::Relu);
            chain.batch_norm(2, "bn1")?;
            chain.linear(3, "fc2", None)?;
            chain.push("relu2", Layer::Relu);
            chain.batch_norm(5, "bn2")?;
            let features = chain.features();
            let plane = (height / 4) * (width / 4);
            if !features.is_multiple_of(plane) {
                return Err(chain.weights.error(format!(
                    "tensor \"3.weight\" gives {features} values, which do not make images of {}x{} as a quarter of run.json's {height}x{width}",
                    height / 4,
                    width / 4
                )));
            }
            chain.reshape("reshape", vec![features / plane, height / 4, width / 4]);
            chain.conv_transpose(7, "deconv1", None)?;
            chain.push("relu3", Layer::Relu);
            chain.batch_norm(9, "bn3")?;
            chain.conv_transpose(10, "deconv2", Some(channels))?;
            chain.push("tanh", Layer::Tanh);
        }
    }
    chain.finish()
}

/// The discriminator of `run`, with the given weights. Input (channels, height, width), output (1): the raw score.
///
/// # Errors
/// As [`generator`].
pub fn discriminator(run: &GanRun, weights: Weights) -> Result<Network, RunError> {
    let Image { channels, height, width, .. } = run.image;
    let mut chain = Chain::new(vec![channels, height, width], weights);
    match run.net {
        NetKind::Vanilla => {
            chain.reshape("flatten", vec![channels * height * width]);
            chain.linear(1, "fc1", None)?;
            chain.push("lrelu1", Layer::LeakyRelu { slope: SLOPE });
            chain.linear(3, "fc2", None)?;
            chain.push("lrelu2", Layer::LeakyRelu { slope: SLOPE });
            chain.linear(5, "fc3", Some(1))?;
        }
        NetKind::Dcgan => {
            chain.conv(1, "conv1")?;
            chain.push("lrelu1", Layer::LeakyRelu { slope: SLOPE });
            chain.max_pool("pool1")?;
            chain.conv(4, "conv2")?;
            chain.push("lrelu2", Layer::LeakyRelu { slope: SLOPE });
            chain.max_pool("pool2")?;
            chain.reshape("flatten", vec![chain.features()]);
            chain.linear(8, "fc1", None)?;
            chain.push("lrelu3", Layer::LeakyRelu { slope: SLOPE });
            chain.linear(10, "fc2", Some(1))?;
        }
    }
    chain.finish()
}

/// A network under construction. Its methods append one layer each, and know the shape that it reads.
struct Chain {
    input: Vec<usize>,
    layers: Vec<Step>,
    weights: Weights,
}

impl Chain {
    fn new(input: Vec<usize>, weights: Weights) -> Chain {
        Chain { input, layers: Vec::new(), weights }
    }

    /// Shape of what the last layer writes.
    fn shape(&self) -> &[usize] {
        self.layers.last().map_or(&self.input, |step| &step.output)
    }

    /// Number of values that the last layer writes.
    fn features(&self) -> usize {
        self.shape().iter().product()
    }

    /// Says who fixed the shape that the next layer reads.
    fn before(&self) -> String {
        match self.layers.last() {
            Some(step) => format!("layer {} writes {:?}", step.name, step.output),
            None => format!("run.json says that the input is {:?}", self.input),
        }
    }

    fn append(&mut self, name: &str, layer: Layer, output: Vec<usize>) {
        self.layers.push(Step { name: name.to_string(), layer, output });
    }

    /// A layer that keeps the shape.
    fn push(&mut self, name: &str, layer: Layer) {
        let output = self.shape().to_vec();
        self.append(name, layer, output);
    }

    fn reshape(&mut self, name: &str, output: Vec<usize>) {
        self.append(name, Layer::Reshape, output);
    }

    fn linear(&mut self, index: usize, name: &str, outputs: Option<usize>) -> Result<(), RunError> {
        let (inputs, before) = (self.features(), self.before());
        let key = format!("{index}.weight");
        let weight = self.weights.take(&key, 2)?;
        let outputs_expected = outputs.unwrap_or(weight.shape[0]);
        if weight.shape != [outputs_expected, inputs] {
            return Err(self.weights.error(format!(
                "tensor \"{key}\" has shape {:?}, expected [{}, {inputs}] ({before})",
                weight.shape,
                outputs.map_or("any".to_string(), |outputs| outputs.to_string()),
            )));
        }
        let outputs = self.not_empty(&key, outputs_expected)?;
        let bias = self.weights.take_shaped(&format!("{index}.bias"), &[outputs], "one value an output")?;
        self.append(name, Layer::Linear(Linear { weight, bias }), vec![outputs]);
        Ok(())
    }

    fn batch_norm(&mut self, index: usize, name: &str) -> Result<(), RunError> {
        let (channels, before) = (self.shape()[0], self.before());
        let mut take =
            |part: &str| self.weights.take_shaped(&format!("{index}.{part}"), &[channels], &before);
        let scale = take("weight")?;
        let shift = take("bias")?;
        let mean = take("running_mean")?;
        let variance = take("running_var")?;
        self.weights.take_count(&format!("{index}.num_batches_tracked"))?;
        if let Some(at) = variance.data.iter().position(|&value| value < 0.0) {
            return Err(self.weights.error(format!(
                "tensor \"{index}.running_var\" holds the negative variance {} at {at}",
                variance.data[at]
            )));
        }
        self.push(name, Layer::BatchNorm(BatchNorm { scale, shift, mean, variance, epsilon: EPSILON }));
        Ok(())
    }

    /// Convolution with step 1 and no padding.
    fn conv(&mut self, index: usize, name: &str) -> Result<(), RunError> {
        let ([channels, height, width], before) = (self.plane(), self.before());
        let key = format!("{index}.weight");
        let weight = self.weights.take(&key, 4)?;
        let (outputs, kernel) = (weight.shape[0], weight.shape[2]);
        if weight.shape[1..] != [channels, kernel, kernel] {
            return Err(self.weights.error(format!(
                "tensor \"{key}\" has shape {:?}, expected [any, {channels}, k, k] ({before})",
                weight.shape
            )));
        }
        if kernel == 0 || kernel > height.min(width) {
            return Err(self.weights.error(format!(
                "tensor \"{key}\" is a {kernel}x{kernel} kernel for an image of {height}x{width} ({before})"
            )));
        }
        let outputs = self.not_empty(&key, outputs)?;
        let bias = self.weights.take_shaped(&format!("{index}.bias"), &[outputs], "one value an output")?;
        let conv = Convolution { weight, bias, stride: 1, pad: 0 };
        self.append(name, Layer::Conv(conv), vec![outputs, height - kernel + 1, width - kernel + 1]);
        Ok(())
    }

    /// Transposed convolution with a 4x4 kernel, step 2 and padding 1: it doubles height and width.
    fn conv_transpose(&mut self, index: usize, name: &str, outputs: Option<usize>) -> Result<(), RunError> {
        let ([channels, height, width], before) = (self.plane(), self.before());
        let key = format!("{index}.weight");
        let weight = self.weights.take(&key, 4)?;
        let outputs_expected = outputs.unwrap_or(weight.shape[1]);
        if weight.shape != [channels, outputs_expected, 4, 4] {
            return Err(self.weights.error(format!(
                "tensor \"{key}\" has shape {:?}, expected [{channels}, {}, 4, 4] ({before})",
                weight.shape,
                outputs.map_or("any".to_string(), |outputs| outputs.to_string()),
            )));
        }
        let outputs = self.not_empty(&key, outputs_expected)?;
        let bias = self.weights.take_shaped(&format!("{index}.bias"), &[outputs], "one value an output")?;
        let conv = Convolution { weight, bias, stride: 2, pad: 1 };
        self.append(name, Layer::ConvTranspose(conv), vec![outputs, 2 * height, 2 * width]);
        Ok(())
    }

    fn max_pool(&mut self, name: &str) -> Result<(), RunError> {
        let [channels, height, width] = self.plane();
        if height < 2 || width < 2 {
            return Err(self.weights.error(format!(
                "run.json's images are too small for this network: {} before layer {name}",
                self.before()
            )));
        }
        self.append(name, Layer::MaxPool { size: 2 }, vec![channels, height / 2, width / 2]);
        Ok(())
    }

    /// The shape as channels, height and width.
    fn plane(&self) -> [usize; 3] {
        match *self.shape() {
            [channels, height, width] => [channels, height, width],
            _ => [self.features(), 1, 1],
        }
    }

    fn not_empty(&self, key: &str, outputs: usize) -> Result<usize, RunError> {
        if outputs == 0 {
            return Err(self.weights.error(format!("tensor \"{key}\" is empty")));
        }
        Ok(outputs)
    }

    fn finish(self) -> Result<Network, RunError> {
        self.weights.finish()?;
        Ok(Network { input: self.input, layers: self.layers })
    }
}
