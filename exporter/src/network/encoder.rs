//! The encoder of a SimCLR run as a graph.
//!
//! Its tensors have the names of the notebook's PyTorch modules: `f` is `nn.Sequential(conv1, bn1, relu, layer1, ...,
//! avgpool)` of a torchvision ResNet without the max pool, `g` the projection head `nn.Sequential(Linear without bias,
//! BatchNorm1d, ReLU, Linear)`.
//!
//! **The input's normalization.** (x - mean) / std comes before a convolution that pads with zeros, which stand for the
//! mean: its shift folded into the convolution's bias would be wrong at the border, where taps that fall on padding add
//! nothing. So it stays a multiplication and an addition for each channel in front of the convolution. A packed model does
//! both in one pass over the image, which also quantizes it when the layers are int8; beside the layers it costs nothing.
//!
//! **BatchNorm** always follows a layer here, and folds into its weights exactly.

use super::BatchNorm;
use crate::graph::{
    Activation, Binary, Convolution, Dim, Element, Elements, Gemm, Graph, InferError, Op, Reduce, ReduceKind,
    Tensor, ValueId, Window,
};
use crate::onnx::Folding;
use crate::run::{self, BlockKind, Image, RunError, SimclrRun, Stage, Weights};

/// BatchNorm's epsilon, PyTorch's default.
const EPSILON: f32 = 1e-5;
/// The least norm that an output is divided by, as in `torch.nn.functional.normalize`.
const LEAST_NORM: f32 = 1e-12;

/// Name of the input: images (channels, height, width).
pub const INPUT: &str = "image";

/// What is made of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// Whether the projection head stays: the output is then g(h), else the features h.
    pub head: bool,
    /// Whether the input's normalization is in the graph: the input is then an image in the range of run.json, else one
    /// that is normalized already.
    pub normalize_input: bool,
    /// Whether the output is divided by its Euclidean norm.
    pub l2: bool,
    /// What becomes of BatchNorm.
    pub folding: Folding,
}

impl Form {
    /// Name of the output.
    pub fn output(&self) -> &'static str {
        if self.head { "projection" } else { "features" }
    }
}

/// An encoder as a graph: one input (N, channels, height, width), one output (N, values).
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    /// The graph.
    pub graph: Graph,
    /// Values of the output for one image.
    pub values: usize,
    /// Trained parameters, before any folding.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
}

/// The encoder of `run`, with the given weights.
///
/// # Errors
/// When a tensor is missing, superfluous, of the wrong shape, or a variance is negative; or the images are too small.
pub fn encoder(run: &SimclrRun, weights: Weights, form: &Form) -> Result<Encoder, RunError> {
    let Image { channels, height, width, .. } = run.image;
    let mut graph = Graph { name: run.encoder.clone(), ..Graph::default() };
    let shape = [Dim::Batch, Dim::Size(channels), Dim::Size(height), Dim::Size(width)];
    let image = graph.add_input(INPUT, Element::F32, shape.to_vec());
    let mut builder = Builder { graph, weights, folding: form.folding, parameters: 0, macs: 0 };

    let mut value = image;
    if form.normalize_input {
        value = builder.normalize(value, &run.normalization)?;
    }
    let stem = Geometry { outputs: run.stem.width, kernel: run.stem.kernel, stride: run.stem.stride };
    value = builder.conv(value, "conv1", "f.0", "f.1", stem)?;
    value = builder.relu(value, "relu")?;
    for (at, stage) in run.stages.iter().enumerate() {
        for block in 0..stage.blocks {
            // After the convolution, BatchNorm and ReLU of the stem.
            let (name, key) = (format!("layer{}.{block}", at + 1), format!("f.{}.{block}", at + 3));
            value = builder.block(value, stage, if block == 0 { stage.stride } else { 1 }, &name, &key)?;
        }
    }
    let mean = Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep: false };
    value = builder.node("avgpool", Op::Reduce(mean), vec![value])?;
    let mut values = run.features;
    if form.head {
        let (hidden, out) = (run.projection.hidden, run.projection.out);
        value = builder.linear(value, "head.fc1", "g.0", run.features, hidden, Some("g.1"))?;
        value = builder.relu(value, "head.relu")?;
        value = builder.linear(value, "head.fc2", "g.3", hidden, out, None)?;
        values = out;
    } else {
        builder.drop_head(run)?;
    }
    if form.l2 {
        value = builder.node("l2", Op::Normalize { axis: 1, p: 2, epsilon: LEAST_NORM }, vec![value])?;
    }
    let Builder { mut graph, weights, parameters, macs, .. } = builder;
    weights.finish()?;
    graph.outputs.push(crate::graph::Output { name: form.output().into(), value });
    Ok(Encoder { graph, values, parameters, macs })
}

/// A square convolution, padded by half its kernel.
#[derive(Clone, Copy)]
struct Geometry {
    outputs: usize,
    kernel: usize,
    stride: usize,
}

struct Builder {
    graph: Graph,
    weights: Weights,
    folding: Folding,
    parameters: u64,
    macs: u64,
}

impl Builder {
    /// Adds a node whose value has its name.
    fn node(&mut self, name: &str, op: Op, inputs: Vec<ValueId>) -> Result<ValueId, RunError> {
        // The shapes of weights have been checked: what is left is an image too small for a window.
        self.graph.add_node(name, op, inputs, name).map_err(|InferError(what)| {
            self.weights.error(format!("layer {name} does not fit run.json's images: {what}"))
        })
    }

    fn constant(&mut self, name: String, shape: Vec<usize>, values: Vec<f32>) -> ValueId {
        // The number of values is that of the shape: both come from one tensor.
        let tensor = Tensor::new(shape, Elements::F32(values)).unwrap_or_else(|| Tensor::vector(vec![]));
        self.graph.add_constant(name, tensor)
    }

    fn relu(&mut self, value: ValueId, name: &str) -> Result<ValueId, RunError> {
        self.node(name, Op::Activation(Activation::Relu), vec![value])
    }

    fn normalize(&mut self, image: ValueId, by: &run::Normalization) -> Result<ValueId, RunError> {
        let pairs = by.mean.iter().zip(&by.std).map(|(&mean, &std)| {
            let (mean, std) = (f64::from(mean), f64::from(std));
            ((1.0 / std) as f32, (-mean / std) as f32)
        });
        let (scale, shift): (Vec<f32>, Vec<f32>) = pairs.unzip();
        let channels = scale.len();
        let scale = self.constant("normalize.scale".into(), vec![channels], scale);
        let shift = self.constant("normalize.shift".into(), vec![channels], shift);
        self.node("normalize", Op::Affine, vec![image, scale, shift])
    }

    /// A residual block of torchvision's ResNet: `name` in the graph, `key` in the file.
    fn block(
        &mut self,
        input: ValueId,
        stage: &Stage,
        stride: usize,
        name: &str,
        key: &str,
    ) -> Result<ValueId, RunError> {
        let outputs = stage.width * stage.block.expansion();
        // Kernel and output channels. The first 3x3 convolution has the step.
        let convs: &[(usize, usize)] = match stage.block {
            BlockKind::Basic => &[(3, stage.width), (3, stage.width)],
            BlockKind::Bottleneck => &[(1, stage.width), (3, stage.width), (1, outputs)],
        };
        let strided = convs.iter().position(|(kernel, _)| *kernel == 3);
        let mut value = input;
        for (at, &(kernel, outputs)) in convs.iter().enumerate() {
            let stride = if Some(at) == strided { stride } else { 1 };
            let number = at + 1;
            value = self.conv(
                value,
                &format!("{name}.conv{number}"),
                &format!("{key}.conv{number}"),
                &format!("{key}.bn{number}"),
                Geometry { outputs, kernel, stride },
            )?;
            if number < convs.len() {
                value = self.relu(value, &format!("{name}.relu{number}"))?;
            }
        }
        let mut shortcut = input;
        if stride != 1 || self.channels(input) != outputs {
            let (conv, norm) = (format!("{key}.downsample.0"), format!("{key}.downsample.1"));
            let geometry = Geometry { outputs, kernel: 1, stride };
            shortcut = self.conv(input, &format!("{name}.downsample"), &conv, &norm, geometry)?;
        }
        value = self.node(&format!("{name}.add"), Op::Binary(Binary::Add), vec![value, shortcut])?;
        self.relu(value, &format!("{name}.relu"))
    }

    fn channels(&self, value: ValueId) -> usize {
        match self.graph.shape(value).get(1) {
            Some(Dim::Size(channels)) => *channels,
            _ => 0,
        }
    }

    /// A convolution without bias, and the BatchNorm behind it.
    fn conv(
        &mut self,
        input: ValueId,
        name: &str,
        key: &str,
        norm: &str,
        Geometry { outputs, kernel, stride }: Geometry,
    ) -> Result<ValueId, RunError> {
        let shape = [outputs, self.channels(input), kernel, kernel];
        let weight = self.weights.take_shaped(&format!("{key}.weight"), &shape, "as run.json says")?;
        let window =
            Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1, 1], pads: [kernel / 2; 4] };
        let op = Op::Conv(Convolution { window, groups: 1 });
        let value = self.layer(input, name, op, weight, None, Some(norm))?;
        let shape_out = self.graph.shape(value);
        let plane = shape_out.iter().skip(2).map(|dim| match dim {
            Dim::Size(length) => *length as u64,
            Dim::Batch => 1,
        });
        self.macs += shape.iter().product::<usize>() as u64 * plane.product::<u64>();
        Ok(value)
    }

    /// A fully connected layer: with a BatchNorm behind it, or with a bias.
    fn linear(
        &mut self,
        input: ValueId,
        name: &str,
        key: &str,
        inputs: usize,
        outputs: usize,
        norm: Option<&str>,
    ) -> Result<ValueId, RunError> {
        let shape = [outputs, inputs];
        let weight = self.weights.take_shaped(&format!("{key}.weight"), &shape, "as run.json says")?;
        let bias = match norm {
            Some(_) => None,
            None => {
                Some(self.weights.take_shaped(&format!("{key}.bias"), &[outputs], "one value an output")?)
            }
        };
        self.macs += (inputs * outputs) as u64;
        let gemm = Gemm { alpha: 1.0, beta: 1.0, transpose_a: false, transpose_b: true };
        self.layer(input, name, Op::Gemm(gemm), weight, bias, norm)
    }

    /// A layer whose weights have their output channels first, with the BatchNorm behind it folded into them or not.
    fn layer(
        &mut self,
        input: ValueId,
        name: &str,
        op: Op,
        weight: run::Tensor,
        bias: Option<run::Tensor>,
        norm: Option<&str>,
    ) -> Result<ValueId, RunError> {
        let outputs = weight.shape[0];
        self.parameters += (weight.data.len() + bias.as_ref().map_or(0, |bias| bias.data.len())) as u64;
        let norm = match norm {
            Some(key) => Some((key, self.batch_norm(key, outputs)?)),
            None => None,
        };
        let run::Tensor { shape, mut data } = weight;
        let mut bias = bias.map(|bias| bias.data);
        if let (Folding::On, Some((_, norm))) = (self.folding, &norm) {
            let affine = norm.affine();
            let row = data.len() / outputs;
            let rows = data.chunks_exact_mut(row);
            for (row, (scale, _)) in rows.zip(&affine) {
                row.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
            }
            let before = |at: usize| bias.as_ref().map_or(0.0, |bias| f64::from(bias[at]));
            let folded =
                affine.iter().enumerate().map(|(at, (scale, shift))| (before(at) * scale + shift) as f32);
            bias = Some(folded.collect());
        }
        let mut inputs = vec![input, self.constant(format!("{name}.weight"), shape, data)];
        if let Some(bias) = bias {
            inputs.push(self.constant(format!("{name}.bias"), vec![outputs], bias));
        }
        let value = self.node(name, op, inputs)?;
        match (self.folding, norm) {
            (Folding::Off, Some((_, norm))) => {
                let name = format!("{name}.bn");
                let parts = [
                    ("weight", norm.scale),
                    ("bias", norm.shift),
                    ("running_mean", norm.mean),
                    ("running_var", norm.variance),
                ];
                let mut inputs = vec![value];
                for (part, run::Tensor { shape, data }) in parts {
                    inputs.push(self.constant(format!("{name}.{part}"), shape, data));
                }
                self.node(&name, Op::BatchNorm { epsilon: EPSILON }, inputs)
            }
            _ => Ok(value),
        }
    }

    /// Takes a BatchNorm's tensors.
    fn batch_norm(&mut self, key: &str, channels: usize) -> Result<BatchNorm, RunError> {
        let mut take = |part: &str| {
            self.weights.take_shaped(&format!("{key}.{part}"), &[channels], "one value a channel")
        };
        let (scale, shift) = (take("weight")?, take("bias")?);
        let (mean, variance) = (take("running_mean")?, take("running_var")?);
        self.weights.take_count(&format!("{key}.num_batches_tracked"))?;
        if let Some(value) = variance.data.iter().find(|value| **value < 0.0) {
            return Err(self
                .weights
                .error(format!("tensor \"{key}.running_var\" holds the negative variance {value}")));
        }
        self.parameters += 2 * channels as u64;
        Ok(BatchNorm { scale, shift, mean, variance, epsilon: EPSILON })
    }

    /// Takes the projection head's tensors, which are not needed, so that a file of another network is noticed.
    fn drop_head(&mut self, run: &SimclrRun) -> Result<(), RunError> {
        let parameters = self.parameters;
        let (features, hidden, out) = (run.features, run.projection.hidden, run.projection.out);
        for (name, shape) in [("g.0.weight", [hidden, features]), ("g.3.weight", [out, hidden])] {
            self.weights.take_shaped(name, &shape, "as run.json says")?;
        }
        self.weights.take_shaped("g.3.bias", &[out], "one value an output")?;
        self.batch_norm("g.1", hidden)?;
        self.parameters = parameters;
        Ok(())
    }
}
