//! Models of the shapes our exporter writes, with random weights.

use latent_runtime::format::{self, Activation, Element, LayerSpec, ModelInfo, PlainBias, PlainWeights};
use latent_runtime::latent::Distribution;
use latent_runtime::onnx::proto::attribute_proto::AttributeType;
use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};
use latent_runtime::onnx::{ImageShape, ModelKind, ModelMetadata};
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;

/// Builds a graph node by node; each value is named by the node that makes it.
pub struct Builder {
    pub graph: GraphProto,
    rng: Rng,
    last: String,
}

impl Builder {
    /// A graph with one input of this shape per example.
    pub fn new(seed: u64, input: &str, shape: &[i64]) -> Self {
        let graph = GraphProto {
            name: "test".into(),
            input: vec![value(input, Some("N"), shape)],
            ..Default::default()
        };
        Self { graph, rng: Rng::from_seed(seed), last: input.into() }
    }

    /// An initializer of uniform random values in `[-bound, bound] + center`.
    pub fn weight(&mut self, name: &str, dims: &[i64], center: f32, bound: f32) -> String {
        let count = dims.iter().product::<i64>() as usize;
        let values: Vec<f32> = (0..count).map(|_| center + self.rng.uniform(-bound, bound)).collect();
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            raw_data: values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ..Default::default()
        });
        name.into()
    }

    /// A node on the last value and `more` inputs.
    pub fn node(&mut self, op: &str, more: &[&str], attributes: Vec<AttributeProto>) -> &mut Self {
        let name = format!("{}_{}", op.to_lowercase(), self.graph.node.len());
        let mut input = vec![self.last.clone()];
        input.extend(more.iter().map(|name| name.to_string()));
        self.last = name.clone();
        self.graph.node.push(NodeProto {
            input,
            output: vec![name.clone()],
            name,
            op_type: op.into(),
            attribute: attributes,
            ..Default::default()
        });
        self
    }

    pub fn linear(&mut self, inputs: i64, outputs: i64) -> &mut Self {
        let bound = 1.0 / (inputs as f32).sqrt();
        let index = self.graph.node.len();
        let weight = self.weight(&format!("{index}.weight"), &[outputs, inputs], 0.0, bound);
        let bias = self.weight(&format!("{index}.bias"), &[outputs], 0.0, bound);
        self.node("Gemm", &[&weight, &bias], vec![int("transB", 1)])
    }

    pub fn batch_norm(&mut self, channels: i64) -> &mut Self {
        let index = self.graph.node.len();
        let parts = [("scale", 1.0, 0.5), ("shift", 0.0, 0.5), ("mean", 0.0, 0.3), ("var", 1.0, 0.5)]
            .map(|(name, center, bound)| self.weight(&format!("{index}.{name}"), &[channels], center, bound));
        self.node("BatchNormalization", &parts.each_ref().map(String::as_str), vec![float("epsilon", 1e-5)])
    }

    pub fn reshape(&mut self, shape: &[i64]) -> &mut Self {
        let name = format!("{}.shape", self.graph.node.len());
        self.graph.initializer.push(TensorProto {
            name: name.clone(),
            dims: vec![shape.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: shape.to_vec(),
            ..Default::default()
        });
        self.node("Reshape", &[&name], vec![])
    }

    /// 4x4, stride 2, padding 1: twice the size.
    pub fn conv_transpose(&mut self, inputs: i64, outputs: i64) -> &mut Self {
        let bound = 1.0 / ((outputs * 16) as f32).sqrt();
        let index = self.graph.node.len();
        let weight = self.weight(&format!("{index}.weight"), &[inputs, outputs, 4, 4], 0.0, bound);
        let bias = self.weight(&format!("{index}.bias"), &[outputs], 0.0, bound);
        let attributes =
            vec![ints("kernel_shape", &[4, 4]), ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])];
        self.node("ConvTranspose", &[&weight, &bias], attributes)
    }

    /// 3x3, stride 1, no padding.
    pub fn conv(&mut self, inputs: i64, outputs: i64) -> &mut Self {
        let bound = 1.0 / ((inputs * 9) as f32).sqrt();
        let index = self.graph.node.len();
        let weight = self.weight(&format!("{index}.weight"), &[outputs, inputs, 3, 3], 0.0, bound);
        let bias = self.weight(&format!("{index}.bias"), &[outputs], 0.0, bound);
        self.node("Conv", &[&weight, &bias], vec![ints("kernel_shape", &[3, 3])])
    }

    /// The model, whose output is the last value under the name `output`.
    pub fn build(&mut self, output: &str, shape: &[i64], metadata: &ModelMetadata) -> ModelProto {
        let mut graph = std::mem::take(&mut self.graph);
        graph.node.last_mut().unwrap().output[0] = output.into();
        graph.output.push(value(output, Some("N"), shape));
        ModelProto {
            ir_version: 8,
            producer_name: "latent tests".into(),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
            graph: Some(graph),
            metadata_props: metadata.to_entries(),
            ..Default::default()
        }
    }
}

/// A float32 value with a batch axis of this name, or without one.
pub fn value(name: &str, batch: Option<&str>, shape: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dimension = |value| Dimension { value: Some(value), ..Default::default() };
    let dim = batch
        .map(|name| dimension(Value::DimParam(name.into())))
        .into_iter()
        .chain(shape.iter().map(|&size| dimension(Value::DimValue(size))))
        .collect();
    let tensor =
        type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() }),
        ..Default::default()
    }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..Default::default() }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f, ..Default::default() }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let ints = values.to_vec();
    AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints, ..Default::default() }
}

fn metadata(kind: ModelKind, image: ImageShape) -> ModelMetadata {
    ModelMetadata {
        format: Some(1),
        kind: Some(kind),
        range: Some(ValueRange::SIGNED),
        image: Some(image),
        dataset: Some("noise".into()),
        ..Default::default()
    }
}

fn generator_metadata(latent_size: usize, image: ImageShape) -> ModelMetadata {
    ModelMetadata {
        latent_size: Some(latent_size),
        distribution: Some(Distribution::REFERENCE),
        ..metadata(ModelKind::Generator, image)
    }
}

/// 12 latent values to a gray 8x8 image, fully connected.
pub fn vanilla_generator() -> ModelProto {
    let image = ImageShape { channels: 1, height: 8, width: 8 };
    Builder::new(1, "z", &[12])
        .linear(12, 32)
        .node("Relu", &[], vec![])
        .linear(32, 64)
        .node("Tanh", &[], vec![])
        .reshape(&[-1, 1, 8, 8])
        .build("image", &[1, 8, 8], &generator_metadata(12, image))
}

/// A generator of [`vanilla_generator`]'s kind with a class: its `label` chooses a row of a table of 10, which is added to `z`.
/// Beside the image it gives that sum, and the label as it came.
pub fn conditional_generator(label_type: DataType) -> ModelProto {
    let image = ImageShape { channels: 1, height: 8, width: 8 };
    let mut builder = Builder::new(4, "label", &[]);
    let table = builder.weight("table", &[10, 12], 0.0, 1.0);
    // The data comes first, then the indices.
    builder.node("Gather", &[], vec![int("axis", 0)]).graph.node[0].input = vec![table, "label".into()];
    let metadata =
        ModelMetadata { label: Some("label".into()), classes: Some(10), ..generator_metadata(12, image) };
    let mut model = builder
        .node("Add", &["z"], vec![])
        .linear(12, 64)
        .node("Tanh", &[], vec![])
        .reshape(&[-1, 1, 8, 8])
        .build("image", &[1, 8, 8], &metadata);
    let graph = model.graph.as_mut().unwrap();
    graph.input.insert(0, value("z", Some("N"), &[12]));
    let Some(type_proto::Value::TensorType(tensor)) = &mut graph.input[1].r#type.as_mut().unwrap().value
    else {
        panic!()
    };
    tensor.elem_type = label_type as i32;
    graph.node[1].output[0] = "sum".into();
    graph.node[2].input[0] = "sum".into();
    graph.output.push(value("sum", Some("N"), &[12]));
    graph.node.push(NodeProto {
        op_type: "Cast".into(),
        name: "as_it_came".into(),
        input: vec!["label".into()],
        output: vec!["as_it_came".into()],
        attribute: vec![int("to", DataType::Int64 as i64)],
        ..Default::default()
    });
    graph.output.push(ValueInfoProto { name: "as_it_came".into(), ..graph.input[1].clone() });
    let Some(type_proto::Value::TensorType(tensor)) = &mut graph.output[2].r#type.as_mut().unwrap().value
    else {
        panic!()
    };
    tensor.elem_type = DataType::Int64 as i32;
    model
}

/// [`vanilla_generator`], packed.
pub fn packed(model: &ModelProto) -> Vec<u8> {
    let metadata = ModelMetadata::from_model(model);
    let mut builder = format::Builder::new(ModelInfo {
        kind: format::ModelKind::Generator,
        latent_size: 12,
        distribution: metadata.distribution,
        metadata: metadata.to_entries().into_iter().map(|entry| (entry.key, entry.value)).collect(),
        ..ModelInfo::default()
    });
    let weights = |name: &str| -> Vec<f32> {
        let graph = model.graph.as_ref().unwrap();
        let tensor = graph.initializer.iter().find(|tensor| tensor.name == name).unwrap();
        tensor.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let mut value = builder.input("z", &[12], Element::F32).unwrap();
    for (index, activation) in [("0", Activation::Relu), ("2", Activation::Tanh)] {
        let (weight, bias) = (weights(&format!("{index}.weight")), weights(&format!("{index}.bias")));
        let spec =
            LayerSpec { activation, ..LayerSpec::new(PlainWeights::F32(&weight), PlainBias::F32(&bias)) };
        value = builder.fully_connected(&format!("layer {index}"), value, spec).unwrap();
    }
    builder.output(value, "image", &[1, 8, 8]).unwrap();
    builder.finish().unwrap()
}

/// 12 latent values to an RGB 12x12 image through two transposed convolutions.
pub fn dcgan_generator() -> ModelProto {
    let image = ImageShape { channels: 3, height: 12, width: 12 };
    Builder::new(2, "z", &[12])
        .linear(12, 72)
        .node("Relu", &[], vec![])
        .batch_norm(72)
        .reshape(&[-1, 8, 3, 3])
        .conv_transpose(8, 6)
        .node("Relu", &[], vec![])
        .batch_norm(6)
        .conv_transpose(6, 3)
        .node("Tanh", &[], vec![])
        .build("image", &[3, 12, 12], &generator_metadata(12, image))
}

/// A gray 8x8 image to a raw score, with a convolution and pooling.
pub fn discriminator() -> ModelProto {
    let image = ImageShape { channels: 1, height: 8, width: 8 };
    Builder::new(3, "image", &[1, 8, 8])
        .conv(1, 4)
        .node("LeakyRelu", &[], vec![float("alpha", 0.01)])
        .node("MaxPool", &[], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
        .node("Flatten", &[], vec![int("axis", 1)])
        .linear(36, 10)
        .node("LeakyRelu", &[], vec![float("alpha", 0.01)])
        .linear(10, 1)
        .build("score", &[1], &metadata(ModelKind::Discriminator, image))
}
