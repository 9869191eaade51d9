//! A graph from a list of layers, with the weights of a safetensors file.
//!
//! Nodes are named after what they are and their place among their like: `fc1`, `relu2`, `conv1`; where there is but one
//! `relu` or `tanh`, it has no number. A BatchNorm right behind a layer is named after that. Residual blocks have
//! torchvision's names.

use std::collections::BTreeMap;

use super::Folding;
use super::batch_norm::{BatchNorm, EPSILON, fold_behind, fold_in_front};
use crate::graph::{
    Activation, Binary, Convolution, Dim, Elements, Gemm, Graph, InferError, Op, Pool, PoolKind, Reduce,
    ReduceKind, Tensor, TransposedConvolution, ValueId, Window,
};
use crate::run::{self, Conv, ConvShape, Layer, RunError, Stage, Weights};

/// A network under construction.
pub(super) struct Builder {
    pub(super) graph: Graph,
    pub(super) weights: Weights,
    folding: Folding,
    pub(super) parameters: u64,
    pub(super) macs: u64,
}

/// A fully connected layer or a convolution.
#[derive(Clone, Copy)]
enum Weighted {
    Linear,
    Conv(Conv),
    Transposed(Conv),
}

impl Builder {
    pub(super) fn new(graph: Graph, weights: Weights, folding: Folding) -> Builder {
        Builder { graph, weights, folding, parameters: 0, macs: 0 }
    }

    /// Adds the layers of one `nn.Sequential`. Names in the graph begin with `prefix`, names of tensors with `root`.
    pub(super) fn layers(
        &mut self,
        mut value: ValueId,
        layers: &[Layer],
        prefix: &str,
        root: &str,
    ) -> Result<ValueId, RunError> {
        let mut names = Names::new(prefix, layers);
        // A BatchNorm that the next layer takes in, as an affine map.
        let mut waiting: Option<Vec<(f64, f64)>> = None;
        let mut places = layers.iter().enumerate().peekable();
        while let Some((place, layer)) = places.next() {
            let key = format!("{root}{place}");
            value = match layer {
                Layer::Linear { .. } | Layer::Conv2d(_) | Layer::ConvTranspose2d(_) => {
                    let name = names.next(layer);
                    let weighted = match layer {
                        Layer::Conv2d(conv) => Weighted::Conv(*conv),
                        Layer::ConvTranspose2d(conv) => Weighted::Transposed(*conv),
                        _ => Weighted::Linear,
                    };
                    let norm = match (weighted, places.peek()) {
                        (Weighted::Transposed(_), _) => None,
                        (_, Some((place, Layer::BatchNorm { features }))) => {
                            Some((format!("{root}{place}"), *features))
                        }
                        _ => None,
                    };
                    if norm.is_some() {
                        places.next();
                    }
                    let norm = norm.map(|(key, features)| self.batch_norm(&key, features)).transpose()?;
                    let (weight, bias) = self.weight_and_bias(layer, &key)?;
                    self.weighted(value, &name, weighted, (weight, bias), norm, waiting.take())?
                }
                Layer::BatchNorm { features } => {
                    let name = names.next(layer);
                    let norm = self.batch_norm(&key, *features)?;
                    match (self.folding, places.peek()) {
                        (Folding::Off, _) => self.keep(value, &name, norm)?,
                        (Folding::On, Some((_, Layer::Linear { bias: true, .. }))) => {
                            waiting = Some(norm.affine());
                            value
                        }
                        (Folding::On, _) => self.affine(value, &name, &norm.affine())?,
                    }
                }
                Layer::Relu => {
                    self.node(&names.next(layer), Op::Activation(Activation::Relu), vec![value])?
                }
                Layer::Tanh => {
                    self.node(&names.next(layer), Op::Activation(Activation::Tanh), vec![value])?
                }
                Layer::LeakyRelu { slope } => {
                    let activation = Activation::LeakyRelu { slope: *slope };
                    self.node(&names.next(layer), Op::Activation(activation), vec![value])?
                }
                Layer::MaxPool2d { kernel } => {
                    let window = window(*kernel, *kernel, 0);
                    let pool = Pool { kind: PoolKind::Max, window, ceil: false };
                    self.node(&names.next(layer), Op::Pool(pool), vec![value])?
                }
                Layer::Flatten => {
                    let values = lengths(&self.graph.shape(value)).iter().product();
                    self.reshape(value, &names.next(layer), &[values])?
                }
                Layer::Unflatten { shape } => self.reshape(value, &names.next(layer), shape)?,
                Layer::ResidualBlocks(stage) => self.stage(value, stage, &names.next(layer), &key)?,
                Layer::GlobalAvgPool => {
                    let mean = Reduce { kind: ReduceKind::Mean, axes: vec![2, 3], keep: false };
                    self.node(&names.next(layer), Op::Reduce(mean), vec![value])?
                }
            };
        }
        Ok(value)
    }

    /// Takes the tensors of layers that are not needed, so that a file of another network is noticed.
    pub(super) fn discard(&mut self, layers: &[Layer], root: &str) -> Result<(), RunError> {
        let parameters = self.parameters;
        for (place, layer) in layers.iter().enumerate() {
            let key = format!("{root}{place}");
            match layer {
                Layer::BatchNorm { features } => drop(self.batch_norm(&key, *features)?),
                Layer::Linear { .. } | Layer::Conv2d(_) | Layer::ConvTranspose2d(_) => {
                    self.weight_and_bias(layer, &key)?;
                }
                _ => {}
            }
        }
        self.parameters = parameters;
        Ok(())
    }

    /// Adds a node whose value has its name.
    pub(super) fn node(&mut self, name: &str, op: Op, inputs: Vec<ValueId>) -> Result<ValueId, RunError> {
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

    /// The same values under another shape; nothing, when they have it already.
    pub(super) fn reshape(
        &mut self,
        value: ValueId,
        name: &str,
        shape: &[usize],
    ) -> Result<ValueId, RunError> {
        if lengths(&self.graph.shape(value)) == shape {
            return Ok(value);
        }
        let target = std::iter::once(Dim::Batch).chain(shape.iter().map(|&length| Dim::Size(length)));
        self.node(name, Op::Reshape(target.collect()), vec![value])
    }

    /// a x + b for each channel.
    pub(super) fn affine(
        &mut self,
        value: ValueId,
        name: &str,
        by: &[(f64, f64)],
    ) -> Result<ValueId, RunError> {
        let (scale, shift): (Vec<f32>, Vec<f32>) = by.iter().map(|&(a, b)| (a as f32, b as f32)).unzip();
        let scale = self.constant(format!("{name}.scale"), vec![by.len()], scale);
        let shift = self.constant(format!("{name}.shift"), vec![by.len()], shift);
        self.node(name, Op::Affine, vec![value, scale, shift])
    }

    /// A BatchNorm as a node of its own.
    fn keep(&mut self, value: ValueId, name: &str, norm: BatchNorm) -> Result<ValueId, RunError> {
        let epsilon = norm.epsilon;
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
        self.node(name, Op::BatchNorm { epsilon }, inputs)
    }

    /// Residual blocks of torchvision's ResNet: `name` in the graph, `key` in the file.
    fn stage(&mut self, input: ValueId, stage: &Stage, name: &str, key: &str) -> Result<ValueId, RunError> {
        let relu = || Op::Activation(Activation::Relu);
        let mut value = input;
        for index in 0..stage.blocks {
            let (name, key) = (format!("{name}.{index}"), format!("{key}.{index}"));
            let channels = lengths(&self.graph.shape(value)).first().copied().unwrap_or(0);
            let block = stage.block(index, channels);
            let input = value;
            for (at, conv) in block.body.iter().enumerate() {
                let number = at + 1;
                let keys = [format!("{key}.conv{number}"), format!("{key}.bn{number}")];
                value = self.conv_norm(value, *conv, &format!("{name}.conv{number}"), keys)?;
                if number < block.body.len() {
                    value = self.node(&format!("{name}.relu{number}"), relu(), vec![value])?;
                }
            }
            let shortcut = match block.shortcut {
                Some(conv) => {
                    let keys = [0, 1].map(|part| format!("{key}.downsample.{part}"));
                    self.conv_norm(input, conv, &format!("{name}.downsample"), keys)?
                }
                None => input,
            };
            value = self.node(&format!("{name}.add"), Op::Binary(Binary::Add), vec![value, shortcut])?;
            value = self.node(&format!("{name}.relu"), relu(), vec![value])?;
        }
        Ok(value)
    }

    /// A convolution of a residual block with the BatchNorm behind it, whose tensors are called `key` and `norm`.
    fn conv_norm(
        &mut self,
        value: ValueId,
        shape: ConvShape,
        name: &str,
        [key, norm]: [String; 2],
    ) -> Result<ValueId, RunError> {
        let ConvShape { inputs, outputs, kernel, stride } = shape;
        let conv = Conv { inputs, outputs, kernel, stride, padding: kernel / 2, bias: false };
        let layer = self.weight_and_bias(&Layer::Conv2d(conv), &key)?;
        let norm = self.batch_norm(&norm, outputs)?;
        self.weighted(value, name, Weighted::Conv(conv), layer, Some(norm), None)
    }

    /// A layer with weights: with the affine map in front of it folded into it, and with the BatchNorm behind it.
    fn weighted(
        &mut self,
        input: ValueId,
        name: &str,
        weighted: Weighted,
        (weight, bias): (run::Tensor, Option<run::Tensor>),
        norm: Option<BatchNorm>,
        in_front: Option<Vec<(f64, f64)>>,
    ) -> Result<ValueId, RunError> {
        let run::Tensor { shape, mut data } = weight;
        let mut bias = bias.map(|bias| bias.data);
        if let (Some(affine), Some(bias)) = (in_front, &mut bias) {
            fold_in_front(&affine, &mut data, bias);
        }
        if let (Folding::On, Some(norm)) = (self.folding, &norm) {
            fold_behind(&norm.affine(), &mut data, &mut bias);
        }
        let count = data.len() as u64;
        let op = match weighted {
            Weighted::Linear => {
                // The weight keeps PyTorch's layout (out, in).
                Op::Gemm(Gemm { alpha: 1.0, beta: 1.0, transpose_a: false, transpose_b: true })
            }
            Weighted::Conv(conv) => {
                Op::Conv(Convolution { window: window(conv.kernel, conv.stride, conv.padding), groups: 1 })
            }
            Weighted::Transposed(conv) => Op::ConvTranspose(TransposedConvolution {
                window: window(conv.kernel, conv.stride, conv.padding),
                groups: 1,
                output_padding: [0, 0],
            }),
        };
        let mut inputs = vec![input, self.constant(format!("{name}.weight"), shape, data)];
        if let Some(bias) = bias {
            inputs.push(self.constant(format!("{name}.bias"), vec![bias.len()], bias));
        }
        let value = self.node(name, op, inputs)?;
        // Each weight of a convolution meets every output position, each of a transposed one every input position.
        let plane = |value| lengths(&self.graph.shape(value)).iter().skip(1).product::<usize>() as u64;
        self.macs += count
            * match weighted {
                Weighted::Linear => 1,
                Weighted::Conv(_) => plane(value),
                Weighted::Transposed(_) => plane(input),
            };
        match (self.folding, norm) {
            (Folding::Off, Some(norm)) => self.keep(value, &format!("{name}.bn"), norm),
            _ => Ok(value),
        }
    }

    /// Takes the weight and the bias of a layer that has them.
    fn weight_and_bias(
        &mut self,
        layer: &Layer,
        key: &str,
    ) -> Result<(run::Tensor, Option<run::Tensor>), RunError> {
        let (shape, outputs, has_bias) = match layer {
            Layer::Linear { inputs, outputs, bias } => (vec![*outputs, *inputs], *outputs, *bias),
            Layer::Conv2d(c) => (vec![c.outputs, c.inputs, c.kernel, c.kernel], c.outputs, c.bias),
            Layer::ConvTranspose2d(c) => (vec![c.inputs, c.outputs, c.kernel, c.kernel], c.outputs, c.bias),
            _ => (vec![], 0, false),
        };
        let weight = self.weights.take_shaped(&format!("{key}.weight"), &shape, "as run.json says")?;
        let mut bias = None;
        if has_bias {
            bias =
                Some(self.weights.take_shaped(&format!("{key}.bias"), &[outputs], "one value an output")?);
        }
        self.parameters += (weight.data.len() + bias.as_ref().map_or(0, |bias| bias.data.len())) as u64;
        Ok((weight, bias))
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
}

/// The lengths after the batch.
pub(super) fn lengths(shape: &[Dim]) -> Vec<usize> {
    let length = |dim: &Dim| match dim {
        Dim::Size(length) => Some(*length),
        Dim::Batch => None,
    };
    shape.iter().filter_map(length).collect()
}

fn window(kernel: usize, stride: usize, padding: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1, 1], pads: [padding; 4] }
}

/// Names of nodes.
struct Names<'a> {
    prefix: &'a str,
    layers: &'a [Layer],
    given: BTreeMap<&'static str, usize>,
}

impl<'a> Names<'a> {
    fn new(prefix: &'a str, layers: &'a [Layer]) -> Names<'a> {
        Names { prefix, layers, given: BTreeMap::new() }
    }

    fn next(&mut self, layer: &Layer) -> String {
        let (word, always) = word(layer);
        let number = self.given.entry(word).or_insert(0);
        *number += 1;
        let alike = self.layers.iter().filter(|other| self::word(other).0 == word).count();
        let number = if always || alike > 1 { number.to_string() } else { String::new() };
        format!("{}{word}{number}", self.prefix)
    }
}

/// What a layer is called, and whether it has a number even if it is the only one.
fn word(layer: &Layer) -> (&'static str, bool) {
    match layer {
        Layer::Linear { .. } => ("fc", true),
        Layer::Conv2d(_) => ("conv", true),
        Layer::ConvTranspose2d(_) => ("deconv", true),
        Layer::BatchNorm { .. } => ("bn", true),
        Layer::ResidualBlocks(_) => ("layer", true),
        Layer::Relu => ("relu", false),
        Layer::LeakyRelu { .. } => ("lrelu", false),
        Layer::Tanh => ("tanh", false),
        Layer::MaxPool2d { .. } => ("pool", true),
        Layer::GlobalAvgPool => ("avgpool", false),
        Layer::Flatten => ("flatten", false),
        Layer::Unflatten { .. } => ("reshape", false),
    }
}

#[cfg(test)]
mod tests {
    use latent_runtime::onnx::proto::ModelProto;
    use safetensors::Dtype;
    use safetensors::tensor::{TensorView, serialize};

    use super::*;
    use crate::graph::{Element, Output};
    use crate::onnx::{About, FloatType, write};

    /// Weights whose values are 1, 2, 3, ... each.
    fn weights(tensors: &[(&str, &[usize])]) -> Weights {
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|(_, shape)| {
                (1..=shape.iter().product()).flat_map(|value: usize| (value as f32).to_le_bytes()).collect()
            })
            .collect();
        let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
            (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        std::fs::write(&path, serialize(views, None).unwrap()).unwrap();
        Weights::read(&path).unwrap()
    }

    const NORM: [(&str, &[usize]); 4] =
        [("0.weight", &[2]), ("0.bias", &[2]), ("0.running_mean", &[2]), ("0.running_var", &[2])];

    fn build(
        input: &[usize],
        layers: &[Layer],
        tensors: &[(&str, &[usize])],
        folding: Folding,
    ) -> ModelProto {
        let mut graph = Graph::default();
        let shape =
            std::iter::once(Dim::Batch).chain(input.iter().map(|&length| Dim::Size(length))).collect();
        let input = graph.add_input("in", Element::F32, shape);
        let mut builder = Builder::new(graph, weights(tensors), folding);
        let value = builder.layers(input, layers, "", "").unwrap();
        builder.weights.finish().unwrap();
        let mut graph = builder.graph;
        graph.outputs.push(Output { name: "out".into(), value });
        write(&graph, &About::default(), FloatType::F32).unwrap()
    }

    /// Name, operator, inputs and output of each node.
    fn nodes(model: &ModelProto) -> Vec<String> {
        let nodes = &model.graph.as_ref().unwrap().node;
        let line = |node: &latent_runtime::onnx::proto::NodeProto| {
            format!("{} {} {} > {}", node.name, node.op_type, node.input.join(","), node.output.join(","))
        };
        nodes.iter().map(line).collect()
    }

    fn initializer(model: &ModelProto, name: &str) -> Vec<f32> {
        let found =
            model.graph.as_ref().unwrap().initializer.iter().find(|tensor| tensor.name == name).unwrap();
        found.raw_data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }

    fn linear(inputs: usize, outputs: usize) -> Layer {
        Layer::Linear { inputs, outputs, bias: true }
    }

    #[test]
    fn layers_are_named_by_their_place_among_their_like() {
        let tensors: [(&str, &[usize]); 4] =
            [("0.weight", &[3, 2]), ("0.bias", &[3]), ("2.weight", &[1, 3]), ("2.bias", &[1])];
        let layers = [linear(2, 3), Layer::Relu, linear(3, 1), Layer::Tanh];
        let model = build(&[2], &layers, &tensors, Folding::On);
        assert_eq!(
            nodes(&model),
            [
                "fc1 Gemm in,fc1.weight,fc1.bias > fc1",
                "relu Relu fc1 > relu",
                "fc2 Gemm relu,fc2.weight,fc2.bias > fc2",
                "tanh Tanh fc2 > out"
            ]
        );
        let graph = model.graph.as_ref().unwrap();
        assert_eq!((graph.input[0].name.as_str(), graph.output[0].name.as_str()), ("in", "out"));
        let declared: Vec<&str> = graph.value_info.iter().map(|value| value.name.as_str()).collect();
        assert_eq!(declared, ["fc1", "relu", "fc2"]);
    }

    #[test]
    fn batch_norm_in_front_of_a_linear_layer_folds() {
        let tensors = [&NORM[..], &[("1.weight", &[1, 2]), ("1.bias", &[1])]].concat();
        let layers = [Layer::BatchNorm { features: 2 }, linear(2, 1)];
        let model = build(&[2], &layers, &tensors, Folding::On);
        assert_eq!(nodes(&model), ["fc1 Gemm in,fc1.weight,fc1.bias > out"]);
        // y = a x + c - c a with a = c / sqrt(c + epsilon) for channel c; weights 1 and 2, bias 1.
        let a = |c: f64| c / (c + f64::from(EPSILON)).sqrt();
        assert_eq!(initializer(&model, "fc1.weight"), [a(1.0) as f32, (2.0 * a(2.0)) as f32]);
        let bias = 1.0 + (1.0 - a(1.0)) + 2.0 * (2.0 - 2.0 * a(2.0));
        assert_eq!(initializer(&model, "fc1.bias"), [bias as f32]);
        let kept = build(&[2], &layers, &tensors, Folding::Off);
        assert_eq!(
            nodes(&kept),
            [
                "bn1 BatchNormalization in,bn1.weight,bn1.bias,bn1.running_mean,bn1.running_var > bn1",
                "fc1 Gemm bn1,fc1.weight,fc1.bias > out"
            ]
        );
    }

    #[test]
    fn batch_norm_behind_a_layer_folds_into_it() {
        let norm = NORM.map(|(name, shape)| (name.replace("0.", "1."), shape));
        let mut tensors: Vec<(&str, &[usize])> = vec![("0.weight", &[2, 1])];
        tensors.extend(norm.iter().map(|(name, shape)| (name.as_str(), *shape)));
        let layers = [
            Layer::Linear { inputs: 1, outputs: 2, bias: false },
            Layer::BatchNorm { features: 2 },
            Layer::Relu,
        ];
        let model = build(&[1], &layers, &tensors, Folding::On);
        assert_eq!(nodes(&model), ["fc1 Gemm in,fc1.weight,fc1.bias > fc1", "relu Relu fc1 > out"]);
        let kept = build(&[1], &layers, &tensors, Folding::Off);
        assert_eq!(nodes(&kept)[0], "fc1 Gemm in,fc1.weight > fc1");
        assert!(nodes(&kept)[1].starts_with("fc1.bn BatchNormalization fc1,fc1.bn.weight"));
    }

    #[test]
    fn batch_norm_elsewhere_is_a_product_and_a_sum() {
        let layers = [Layer::BatchNorm { features: 2 }, Layer::Tanh];
        let model = build(&[2, 3, 3], &layers, &NORM, Folding::On);
        assert_eq!(
            nodes(&model),
            ["bn1_mul Mul in,bn1.scale > bn1_mul", "bn1 Add bn1_mul,bn1.shift > bn1", "tanh Tanh bn1 > out"]
        );
        let graph = model.graph.as_ref().unwrap();
        assert!(graph.initializer.iter().all(|tensor| tensor.dims == [2, 1, 1]));
        // At the end, too, the output has its name.
        let model = build(&[2], &layers[..1], &NORM, Folding::On);
        assert_eq!(nodes(&model)[1], "bn1 Add bn1_mul,bn1.shift > out");
    }
}
