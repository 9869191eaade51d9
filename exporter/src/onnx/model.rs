//! A [`Network`] as an ONNX model.
//!
//! **BatchNorm.** All of the reference generators' BatchNorms come after a ReLU, so none folds into the layer before
//! it. One that is followed by a fully connected layer folds into that layer exactly, whole: W (a x + b) + c =
//! (W a) x + (W b + c). One that is followed by a zero-padded transposed convolution does not: its shift would be
//! missing from the padding, so the sum would be wrong at the borders. It is written as a multiplication and an
//! addition per channel, which is the same map with its constants worked out in double precision. (Folding only its
//! scale into the weights of the layer after it would be exact too; measured in ONNX Runtime it gains nothing, and it
//! would take from the int8 quantizer an activation whose channels have equal variance.) With [`Folding::Off`] each
//! BatchNorm stays a BatchNormalization node, in the inference form.

use latent_runtime::onnx::ModelMetadata;
use latent_runtime::onnx::proto::{ModelProto, OperatorSetIdProto};

use super::graph_builder::{Attribute, GraphBuilder};
use crate::network::{BatchNorm, Convolution, Layer, Linear, Network};

/// Version of the ONNX operator set that the models use.
pub const OPSET: i64 = 17;
/// Version of the ONNX file format: the one that came with opset 17, which every reader of it knows.
pub const IR_VERSION: i64 = 8;

/// What becomes of BatchNorm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Folding {
    /// Folded into the next layer where that is exact, else one multiplication and one addition.
    #[default]
    On,
    /// Kept as BatchNormalization nodes.
    Off,
}

/// Name and meaning of a model's input or output.
#[derive(Debug, Clone, Copy)]
pub struct Port<'a> {
    /// Name in the graph.
    pub name: &'a str,
    /// One sentence on its values.
    pub doc: &'a str,
}

/// Builds the ONNX model of `network`. `name` is the graph's name; `doc` describes the model.
pub fn model(
    network: &Network,
    name: &str,
    doc: &str,
    input: Port,
    output: Port,
    folding: Folding,
    metadata: &ModelMetadata,
) -> ModelProto {
    let mut graph = GraphBuilder::new(name, doc);
    let mut value = graph.input(input.name, &network.input, input.doc);
    let mut pending: Option<&BatchNorm> = None;
    let mut steps = network.layers.iter().peekable();
    while let Some(step) = steps.next() {
        let next = steps.peek();
        // The last node is named after the output, so that its value is.
        let name = if next.is_some() { step.name.as_str() } else { output.name };
        let shape = &step.output;
        value = match &step.layer {
            Layer::Linear(linear) => match pending.take() {
                Some(norm) => {
                    gemm(&mut graph, name, &step.name, &value, &linear.after_affine(&norm.affine()))
                }
                None => gemm(&mut graph, name, &step.name, &value, linear),
            },
            Layer::BatchNorm(norm) => match (folding, next.map(|next| &next.layer)) {
                (Folding::Off, _) => batch_normalization(&mut graph, name, &value, shape, norm),
                (Folding::On, Some(Layer::Linear(_))) => {
                    pending = Some(norm);
                    value
                }
                (Folding::On, _) => multiply_add(&mut graph, name, &value, shape, norm),
            },
            Layer::Conv(conv) => convolution(&mut graph, "Conv", name, &step.name, &value, shape, conv),
            Layer::ConvTranspose(conv) => {
                convolution(&mut graph, "ConvTranspose", name, &step.name, &value, shape, conv)
            }
            Layer::Relu => graph.node("Relu", name, &[&value], shape, vec![]),
            Layer::LeakyRelu { slope } => {
                graph.node("LeakyRelu", name, &[&value], shape, vec![("alpha", Attribute::Float(*slope))])
            }
            Layer::Tanh => graph.node("Tanh", name, &[&value], shape, vec![]),
            Layer::MaxPool { size } => {
                let side = Attribute::Ints(vec![*size as i64; 2]);
                graph.node(
                    "MaxPool",
                    name,
                    &[&value],
                    shape,
                    vec![("kernel_shape", side.clone()), ("strides", side)],
                )
            }
            Layer::Reshape => reshape(&mut graph, name, &step.name, &value, shape),
        };
    }
    graph.output(&value, network.output(), output.doc);
    ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        producer_name: "latent-exporter".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        model_version: 1,
        doc_string: doc.into(),
        graph: Some(graph.finish()),
        metadata_props: metadata.to_entries(),
        ..ModelProto::default()
    }
}

fn gemm(graph: &mut GraphBuilder, name: &str, layer: &str, input: &str, linear: &Linear) -> String {
    // The weight keeps PyTorch's layout (out, in), hence transB.
    let weight = graph.floats(format!("{layer}.weight"), &linear.weight.shape, &linear.weight.data);
    let bias = graph.floats(format!("{layer}.bias"), &linear.bias.shape, &linear.bias.data);
    graph.node(
        "Gemm",
        name,
        &[input, &weight, &bias],
        &linear.bias.shape,
        vec![("transB", Attribute::Int(1))],
    )
}

fn convolution(
    graph: &mut GraphBuilder,
    op: &str,
    name: &str,
    layer: &str,
    input: &str,
    shape: &[usize],
    conv: &Convolution,
) -> String {
    let weight = graph.floats(format!("{layer}.weight"), &conv.weight.shape, &conv.weight.data);
    let bias = graph.floats(format!("{layer}.bias"), &conv.bias.shape, &conv.bias.data);
    let kernel = conv.weight.shape[2..].iter().map(|&length| length as i64).collect();
    let attributes = vec![
        ("kernel_shape", Attribute::Ints(kernel)),
        ("pads", Attribute::Ints(vec![conv.pad as i64; 4])),
        ("strides", Attribute::Ints(vec![conv.stride as i64; 2])),
    ];
    graph.node(op, name, &[input, &weight, &bias], shape, attributes)
}

fn batch_normalization(
    graph: &mut GraphBuilder,
    name: &str,
    input: &str,
    shape: &[usize],
    norm: &BatchNorm,
) -> String {
    let parts = [
        ("weight", &norm.scale),
        ("bias", &norm.shift),
        ("running_mean", &norm.mean),
        ("running_var", &norm.variance),
    ];
    let parts =
        parts.map(|(part, tensor)| graph.floats(format!("{name}.{part}"), &tensor.shape, &tensor.data));
    let [scale, shift, mean, variance] = &parts;
    let attributes = vec![("epsilon", Attribute::Float(norm.epsilon))];
    graph.node("BatchNormalization", name, &[input, scale, shift, mean, variance], shape, attributes)
}

fn multiply_add(
    graph: &mut GraphBuilder,
    name: &str,
    input: &str,
    shape: &[usize],
    norm: &BatchNorm,
) -> String {
    let affine = norm.affine();
    // One value a channel, to be repeated over the axes after the channels.
    let mut constant_shape = vec![1; shape.len()];
    constant_shape[0] = affine.len();
    let scale: Vec<f32> = affine.iter().map(|&(a, _)| a as f32).collect();
    let shift: Vec<f32> = affine.iter().map(|&(_, b)| b as f32).collect();
    let scale = graph.floats(format!("{name}.scale"), &constant_shape, &scale);
    let shift = graph.floats(format!("{name}.shift"), &constant_shape, &shift);
    let product = graph.node("Mul", &format!("{name}_mul"), &[input, &scale], shape, vec![]);
    graph.node("Add", name, &[&product, &shift], shape, vec![])
}

fn reshape(graph: &mut GraphBuilder, name: &str, layer: &str, input: &str, shape: &[usize]) -> String {
    if let [_] = shape {
        return graph.node("Flatten", name, &[input], shape, vec![("axis", Attribute::Int(1))]);
    }
    // 0 keeps the batch axis as it is.
    let target: Vec<i64> = std::iter::once(0).chain(shape.iter().map(|&length| length as i64)).collect();
    let target = graph.ints(format!("{layer}.shape"), &target);
    graph.node("Reshape", name, &[input, &target], shape, vec![])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Step;
    use crate::run::Tensor;

    fn tensor(shape: &[usize]) -> Tensor {
        Tensor {
            shape: shape.to_vec(),
            data: (1..=shape.iter().product()).map(|value: usize| value as f32).collect(),
        }
    }

    fn norm(channels: usize) -> Layer {
        let part = || tensor(&[channels]);
        let (scale, shift, mean, variance) = (part(), part(), part(), part());
        Layer::BatchNorm(BatchNorm { scale, shift, mean, variance, epsilon: 0.0 })
    }

    fn chain(input: &[usize], steps: Vec<(&str, Layer, &[usize])>) -> Network {
        let step = |(name, layer, output): (&str, Layer, &[usize])| Step {
            name: name.into(),
            layer,
            output: output.to_vec(),
        };
        Network { input: input.to_vec(), layers: steps.into_iter().map(step).collect() }
    }

    fn linear(outputs: usize, inputs: usize) -> Layer {
        Layer::Linear(Linear { weight: tensor(&[outputs, inputs]), bias: tensor(&[outputs]) })
    }

    fn build(network: &Network, folding: Folding) -> ModelProto {
        let (input, output) = (Port { name: "in", doc: "" }, Port { name: "out", doc: "" });
        model(network, "net", "a net", input, output, folding, &ModelMetadata::default())
    }

    /// Name, operator and inputs of each node.
    fn nodes(model: &ModelProto) -> Vec<String> {
        let nodes = &model.graph.as_ref().unwrap().node;
        nodes.iter().map(|node| format!("{} {} {}", node.name, node.op_type, node.input.join(","))).collect()
    }

    fn initializer(model: &ModelProto, name: &str) -> Vec<f32> {
        let found =
            model.graph.as_ref().unwrap().initializer.iter().find(|tensor| tensor.name == name).unwrap();
        found.raw_data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }

    #[test]
    fn the_last_node_gives_the_output() {
        let network = chain(&[2], vec![("fc1", linear(3, 2), &[3]), ("relu1", Layer::Relu, &[3])]);
        let model = build(&network, Folding::On);
        assert_eq!(nodes(&model), ["fc1 Gemm in,fc1.weight,fc1.bias", "out Relu fc1"]);
        let graph = model.graph.as_ref().unwrap();
        let names = |values: &[latent_runtime::onnx::proto::ValueInfoProto]| {
            values.iter().map(|value| value.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!((names(&graph.input), names(&graph.output)), (vec!["in".into()], vec!["out".into()]));
        assert_eq!(names(&graph.value_info), ["fc1"]);
    }

    #[test]
    fn batch_norm_before_a_linear_layer_folds() {
        let steps = vec![("bn1", norm(2), &[2][..]), ("fc1", linear(1, 2), &[1])];
        let network = chain(&[2], steps);
        let model = build(&network, Folding::On);
        assert_eq!(nodes(&model), ["out Gemm in,fc1.weight,fc1.bias"]);
        // y = sqrt(c) x + c - c sqrt(c) for channel c of variance c; weights 1 and 2, bias 1.
        let root = 2f64.sqrt();
        let expected = [1.0, (2.0 * root) as f32];
        assert_eq!(initializer(&model, "fc1.weight"), expected);
        assert_eq!(initializer(&model, "fc1.bias"), [(1.0 + 2.0 * (2.0 - 2.0 * root)) as f32]);
        let kept = build(&network, Folding::Off);
        assert_eq!(
            nodes(&kept),
            [
                "bn1 BatchNormalization in,bn1.weight,bn1.bias,bn1.running_mean,bn1.running_var",
                "out Gemm bn1,fc1.weight,fc1.bias"
            ]
        );
    }

    #[test]
    fn batch_norm_elsewhere_is_a_product_and_a_sum() {
        let network =
            chain(&[2, 3, 3], vec![("bn1", norm(2), &[2, 3, 3]), ("tanh", Layer::Tanh, &[2, 3, 3])]);
        let model = build(&network, Folding::On);
        assert_eq!(nodes(&model), ["bn1_mul Mul in,bn1.scale", "bn1 Add bn1_mul,bn1.shift", "out Tanh bn1"]);
        let graph = model.graph.as_ref().unwrap();
        assert!(graph.initializer.iter().all(|tensor| tensor.dims == [2, 1, 1]));
        // At the end, too, the output has its name.
        let network = chain(&[2], vec![("bn1", norm(2), &[2])]);
        assert_eq!(
            nodes(&build(&network, Folding::On)),
            ["out_mul Mul in,out.scale", "out Add out_mul,out.shift"]
        );
    }
}
