//! What goes into a model and what comes out.

use std::collections::HashSet;
use std::fmt;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::element_type;
use super::proto::tensor_proto::DataType;
use super::proto::{GraphProto, ModelProto, ValueInfoProto, tensor_shape_proto, type_proto};
use super::shapes::{has_free_size, infer_shapes};
use crate::backend::{RunError, TensorInfo};

/// One dimension of a declared shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// A fixed size.
    Fixed(usize),
    /// A name for a size that is free, e.g. `N`.
    Symbol(String),
    /// Nothing is said.
    Unknown,
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// A declared value of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueInfo {
    /// The name.
    pub name: String,
    /// The element type, a [`DataType`] number; 0 if it is no tensor or the type is not given.
    pub data_type: i32,
    /// The shape; `None` if it is not given.
    pub shape: Option<Vec<Dimension>>,
}

impl ValueInfo {
    /// Reads a declaration.
    pub fn new(proto: &ValueInfoProto) -> Self {
        let tensor = match proto.r#type.as_ref().and_then(|t| t.value.as_ref()) {
            Some(type_proto::Value::TensorType(tensor)) => Some(tensor),
            _ => None,
        };
        let dimension = |dim: &tensor_shape_proto::Dimension| match &dim.value {
            Some(tensor_shape_proto::dimension::Value::DimValue(size)) => {
                // A negative size is what some writers put for an unknown one.
                usize::try_from(*size).map_or(Dimension::Unknown, Dimension::Fixed)
            }
            Some(tensor_shape_proto::dimension::Value::DimParam(name)) if !name.is_empty() => {
                Dimension::Symbol(name.clone())
            }
            _ => Dimension::Unknown,
        };
        Self {
            name: proto.name.clone(),
            data_type: tensor.map_or(0, |tensor| tensor.elem_type),
            shape: tensor
                .and_then(|tensor| tensor.shape.as_ref())
                .map(|shape| shape.dim.iter().map(dimension).collect()),
        }
    }
}

impl fmt::Display for ValueInfo {
    /// e.g. `image float32 (N, 1, 28, 28)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.name, element_type(self.data_type).map_or("?", |(name, _)| name))?;
        match &self.shape {
            None => f.write_str("(shape not given)"),
            Some(shape) => {
                let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
                write!(f, "({})", sizes.join(", "))
            }
        }
    }
}

/// The graph's inputs that a caller must give: those that are no initializers.
pub fn graph_inputs(graph: &GraphProto) -> Vec<ValueInfo> {
    let initialized: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    graph
        .input
        .iter()
        .filter(|input| !initialized.contains(input.name.as_str()))
        .map(ValueInfo::new)
        .collect()
}

/// The graph's outputs.
pub fn graph_outputs(graph: &GraphProto) -> Vec<ValueInfo> {
    graph.output.iter().map(ValueInfo::new).collect()
}

/// The floats of a model's input or output. Callers give and take f32 in any case; a back end converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatType {
    /// 32 bits.
    F32,
    /// 16 bits (IEEE binary16).
    F16,
}

/// The one input and the one output of a model that a back end can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The input's name.
    pub input: String,
    /// The input's shape per example, without the batch axis.
    pub input_shape: Vec<usize>,
    /// The input's type.
    pub input_type: FloatType,
    /// The output's name.
    pub output: String,
    /// The output's shape per example, without the batch axis.
    pub output_shape: Vec<usize>,
    /// The output's type.
    pub output_type: FloatType,
    /// The only batch size the model takes, if its first axis is not free.
    pub fixed_batch: Option<usize>,
}

impl Interface {
    /// Finds it: one input and one output of float32 or float16, the batch on axis 0 of both, all other sizes fixed. Sizes of
    /// the output that are not declared are those that follow from the operators.
    ///
    /// # Errors
    /// If the model is not like that; the message says what was found.
    pub fn of(model: &ModelProto) -> Result<Self, InterfaceError> {
        let graph = model.graph.as_ref().ok_or_else(|| InterfaceError("the model has no graph".into()))?;
        let mut outputs = graph_outputs(graph);
        if let [ValueInfo { name, shape: Some(shape), .. }] = outputs.as_mut_slice()
            && has_free_size(shape)
            && let Some(told) = infer_shapes(graph).remove(name)
            && told.len() == shape.len()
            && !has_free_size(&told)
        {
            shape[1..].clone_from_slice(&told[1..]);
        }
        Self::of_values(&graph_inputs(graph), &outputs)
    }

    /// As [`Interface::of`], from the declared inputs and outputs.
    ///
    /// # Errors
    /// As [`Interface::of`].
    pub fn of_values(inputs: &[ValueInfo], outputs: &[ValueInfo]) -> Result<Self, InterfaceError> {
        let (input, output) = (only("input", inputs)?, only("output", outputs)?);
        let fixed_batch = match (input.batch, output.batch) {
            (Some(a), Some(b)) if a != b => {
                return Err(InterfaceError(format!(
                    "the input has a batch of {a} but the output one of {b}"
                )));
            }
            (a, b) => a.or(b),
        };
        Ok(Self {
            input: input.name,
            input_shape: input.shape,
            input_type: input.float,
            output: output.name,
            output_shape: output.shape,
            output_type: output.float,
            fixed_batch,
        })
    }

    /// The input, as a back end tells it.
    pub fn input_info(&self) -> TensorInfo<'_> {
        TensorInfo { name: &self.input, shape: &self.input_shape }
    }

    /// The output, as a back end tells it.
    pub fn output_info(&self) -> TensorInfo<'_> {
        TensorInfo { name: &self.output, shape: &self.output_shape }
    }

    /// Whether the model takes this batch size.
    ///
    /// # Errors
    /// [`RunError::FixedBatch`] if it takes only another one.
    pub fn check_batch(&self, batch: usize) -> Result<(), RunError> {
        match self.fixed_batch {
            Some(expected) if expected != batch => Err(RunError::FixedBatch { expected, found: batch }),
            _ => Ok(()),
        }
    }
}

/// The one input or output.
struct Only {
    name: String,
    /// `None` when it is free.
    batch: Option<usize>,
    /// Without the batch.
    shape: Vec<usize>,
    float: FloatType,
}

fn only(role: &str, values: &[ValueInfo]) -> Result<Only, InterfaceError> {
    let [value] = values else {
        let names: Vec<&str> = values.iter().take(8).map(|value| value.name.as_str()).collect();
        let (count, names) = (values.len(), names.join(", "));
        return Err(InterfaceError(format!("one {role} is expected, but the model has {count} ({names})")));
    };
    let float = match DataType::try_from(value.data_type) {
        Ok(DataType::Float) => FloatType::F32,
        Ok(DataType::Float16) => FloatType::F16,
        _ => {
            let what = format!("a float32 or float16 {role} is expected, but the model has {value}");
            return Err(InterfaceError(what));
        }
    };
    let Some((batch, shape)) = value.shape.as_deref().and_then(|shape| shape.split_first()) else {
        return Err(InterfaceError(format!(
            "a shape with a batch axis is expected, but the model's {role} is {value}"
        )));
    };
    let sizes: Option<Vec<usize>> = shape
        .iter()
        .map(|dimension| match dimension {
            Dimension::Fixed(size) if *size > 0 => Some(*size),
            _ => None,
        })
        .collect();
    let sizes = sizes.ok_or_else(|| {
        let advice = match role {
            "output" => {
                "; `exporter convert MODEL --precision fp32 --out FILE` writes a file that names the sizes"
            }
            _ => "",
        };
        InterfaceError(format!(
            "only the batch axis may be free or empty, but the model's {role} is {value}{advice}"
        ))
    })?;
    let batch = match batch {
        Dimension::Fixed(0) => {
            return Err(InterfaceError(format!("the batch cannot be 0, but the model's {role} is {value}")));
        }
        Dimension::Fixed(size) => Some(*size),
        _ => None,
    };
    Ok(Only { name: value.name.clone(), batch, shape: sizes, float })
}

/// Why a model cannot be run as one input to one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceError(String);

impl fmt::Display for InterfaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InterfaceError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn value(name: &str, shape: &[i64]) -> ValueInfo {
        // -1 stands for the symbol N, -2 for an unknown size.
        let dimension = |&size: &i64| match size {
            -1 => Dimension::Symbol("N".into()),
            -2 => Dimension::Unknown,
            size => Dimension::Fixed(size as usize),
        };
        let shape = Some(shape.iter().map(dimension).collect());
        ValueInfo { name: name.into(), data_type: DataType::Float as i32, shape }
    }

    #[test]
    fn one_input_and_one_output_with_a_batch_axis_are_found() {
        let image = [value("image", &[-1, 1, 28, 28])];
        let interface = Interface::of_values(&[value("z", &[-2, 96])], &image).unwrap();
        assert_eq!(interface.input_info().to_string(), "z (N, 96)");
        assert_eq!(interface.output_info().to_string(), "image (N, 1, 28, 28)");
        assert_eq!(interface.check_batch(5), Ok(()));
        let fixed = Interface::of_values(&[value("z", &[2, 96])], &image).unwrap();
        assert_eq!(fixed.check_batch(2), Ok(()));
        assert_eq!(fixed.check_batch(3), Err(RunError::FixedBatch { expected: 2, found: 3 }));
    }

    #[test]
    fn other_interfaces_are_refused_with_what_was_found() {
        let image = vec![value("image", &[-1, 4])];
        let double = ValueInfo { data_type: DataType::Double as i32, ..value("z", &[-1, 8]) };
        let bare = ValueInfo { shape: None, ..value("z", &[]) };
        let cases = [
            (vec![], image.clone(), "one input is expected, but the model has 0"),
            (vec![value("a", &[-1]), value("b", &[-1])], image.clone(), "but the model has 2 (a, b)"),
            (
                vec![double],
                image.clone(),
                "a float32 or float16 input is expected, but the model has z float64 (N, 8)",
            ),
            (vec![bare], image.clone(), "z float32 (shape not given)"),
            (vec![value("z", &[])], image.clone(), "a batch axis is expected"),
            (vec![value("z", &[-1, -2])], image.clone(), "only the batch axis may be free"),
            (
                vec![value("z", &[-1, 8])],
                vec![value("y", &[-1, -1])],
                "`exporter convert MODEL --precision fp32",
            ),
            (vec![value("z", &[-1, 0])], image.clone(), "only the batch axis may be free or empty"),
            (vec![value("z", &[0, 8])], image, "the batch cannot be 0"),
            (
                vec![value("z", &[2, 8])],
                vec![value("image", &[3, 4])],
                "a batch of 2 but the output one of 3",
            ),
        ];
        for (inputs, outputs, expected) in cases {
            let error = Interface::of_values(&inputs, &outputs).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    /// As PyTorch writes it: each size of an output has a name of its own, if it is made to name one.
    #[test]
    fn sizes_of_an_output_follow_from_the_operators() {
        use crate::onnx::proto::{NodeProto, TensorShapeProto, TypeProto};
        use tensor_shape_proto::dimension::Value;
        let port = |name: &str, shape: Vec<Value>| {
            let dim = shape
                .into_iter()
                .map(|value| tensor_shape_proto::Dimension { value: Some(value), ..Default::default() });
            let shape = Some(TensorShapeProto { dim: dim.collect() });
            let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
            let value = Some(type_proto::Value::TensorType(tensor));
            let r#type = Some(TypeProto { value, ..Default::default() });
            ValueInfoProto { name: name.into(), r#type, ..Default::default() }
        };
        let named = |name: &str| Value::DimParam(name.into());
        let model = |operator: &str| ModelProto {
            graph: Some(GraphProto {
                input: vec![port("x", vec![named("batch"), Value::DimValue(3), Value::DimValue(8)])],
                output: vec![port("y", vec![named("batch"), named("y_dim_1"), named("y_dim_2")])],
                node: vec![NodeProto {
                    op_type: operator.into(),
                    input: vec!["x".into()],
                    output: vec!["y".into()],
                    ..Default::default()
                }],
                ..Default::default()
            }),
            ..Default::default()
        };
        let interface = Interface::of(&model("Tanh")).unwrap();
        assert_eq!(interface.output_info().to_string(), "y (N, 3, 8)");
        let error = Interface::of(&model("Mystery")).unwrap_err().to_string();
        assert!(error.contains("y float32 (batch, y_dim_1, y_dim_2); `exporter convert"), "{error}");
    }

    #[test]
    fn initializers_are_no_inputs() {
        use crate::onnx::proto::TensorProto;
        let named = |name: &str| ValueInfoProto { name: name.into(), ..Default::default() };
        let graph = GraphProto {
            input: vec![named("z"), named("weight")],
            initializer: vec![TensorProto { name: "weight".into(), ..Default::default() }],
            ..Default::default()
        };
        let names: Vec<String> = graph_inputs(&graph).into_iter().map(|input| input.name).collect();
        assert_eq!(names, ["z"]);
    }
}
