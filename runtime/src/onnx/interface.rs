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
use crate::backend::{OwnedInfo, RunError, TensorInfo, check_whole};
use crate::format::PortType;

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

/// The element type of a model's input or output. Callers give and take f32 in any case; a back end converts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Floats of 32 bits.
    F32,
    /// Floats of 16 bits (IEEE binary16).
    F16,
    /// Integers of 32 bits.
    I32,
    /// Integers of 64 bits.
    I64,
}

impl Element {
    fn of(data_type: i32) -> Option<Self> {
        Some(match DataType::try_from(data_type).ok()? {
            DataType::Float => Self::F32,
            DataType::Float16 => Self::F16,
            DataType::Int32 => Self::I32,
            DataType::Int64 => Self::I64,
            _ => return None,
        })
    }

    fn kind(self) -> PortType {
        match self {
            Self::F32 | Self::F16 => PortType::Float,
            Self::I32 | Self::I64 => PortType::Integer,
        }
    }
}

/// An input or output of a model that a back end can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name, its shape without the batch axis, and whether it holds whole numbers.
    pub info: OwnedInfo,
    /// The type of its elements.
    pub element: Element,
}

impl Port {
    /// The shape of a batch.
    pub(crate) fn batch_shape(&self, batch: usize) -> Vec<usize> {
        [batch].iter().chain(&self.info.shape).copied().collect()
    }
}

/// The inputs and outputs of a model that a back end can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The inputs, of which there is at least one.
    pub inputs: Vec<Port>,
    /// The outputs, of which there is at least one.
    pub outputs: Vec<Port>,
    /// The only batch size the model takes, if its first axis is not free.
    pub fixed_batch: Option<usize>,
}

impl Interface {
    /// Finds it: inputs and outputs of float32, float16, int64 or int32, the batch on axis 0 of all, all other sizes fixed. Sizes
    /// of an output that are not declared are those that follow from the operators.
    ///
    /// # Errors
    /// If the model is not like that; the message says what was found.
    pub fn of(model: &ModelProto) -> Result<Self, InterfaceError> {
        let graph = model.graph.as_ref().ok_or_else(|| InterfaceError("the model has no graph".into()))?;
        let mut outputs = graph_outputs(graph);
        let open = |value: &ValueInfo| value.shape.as_deref().is_some_and(has_free_size);
        if outputs.iter().any(open) {
            let mut told = infer_shapes(graph);
            for output in &mut outputs {
                if let ValueInfo { name, shape: Some(shape), .. } = output
                    && has_free_size(shape)
                    && let Some(told) = told.remove(name)
                    && told.len() == shape.len()
                    && !has_free_size(&told)
                {
                    shape[1..].clone_from_slice(&told[1..]);
                }
            }
        }
        Self::of_values(&graph_inputs(graph), &outputs)
    }

    /// As [`Interface::of`], from the declared inputs and outputs.
    ///
    /// # Errors
    /// As [`Interface::of`].
    pub fn of_values(inputs: &[ValueInfo], outputs: &[ValueInfo]) -> Result<Self, InterfaceError> {
        let mut batch: Option<(String, usize)> = None;
        let mut ports = |role: &str, values: &[ValueInfo]| {
            if values.is_empty() {
                return Err(InterfaceError(format!("the model has no {role}")));
            }
            let mut ports = Vec::with_capacity(values.len());
            for value in values {
                let (port, size) = port(role, value)?;
                ports.push(port);
                match (&batch, size) {
                    (Some((other, a)), Some(b)) if *a != b => {
                        return Err(InterfaceError(format!(
                            "{other} has a batch of {a}, but the {role} {} one of {b}",
                            value.name
                        )));
                    }
                    (None, Some(size)) => batch = Some((value.name.clone(), size)),
                    _ => {}
                }
            }
            Ok(ports)
        };
        let (inputs, outputs) = (ports("input", inputs)?, ports("output", outputs)?);
        Ok(Self { inputs, outputs, fixed_batch: batch.map(|(_, size)| size) })
    }

    /// The first input, as a back end tells it.
    pub fn input_info(&self) -> TensorInfo<'_> {
        self.inputs[0].info.info()
    }

    /// The first output, as a back end tells it.
    pub fn output_info(&self) -> TensorInfo<'_> {
        self.outputs[0].info.info()
    }

    /// Whether the model takes this batch, of inputs that have been checked otherwise.
    ///
    /// # Errors
    /// [`RunError::FixedBatch`] if it takes only another batch size, [`RunError::NotWhole`] if an integer does not fit the
    /// model's type.
    pub(crate) fn check(&self, batch: usize, inputs: &[&[f32]]) -> Result<(), RunError> {
        if let Some(expected) = self.fixed_batch
            && expected != batch
        {
            return Err(RunError::FixedBatch { expected, found: batch });
        }
        let mut narrow = self.inputs.iter().zip(inputs).filter(|(port, _)| port.element == Element::I32);
        narrow.try_for_each(|(port, values)| check_whole(&port.info.name, values, 32))
    }
}

/// A declared input or output as a port, and its batch size unless that is free.
fn port(role: &str, value: &ValueInfo) -> Result<(Port, Option<usize>), InterfaceError> {
    let Some(element) = Element::of(value.data_type) else {
        return Err(InterfaceError(format!(
            "an {role} of float32, float16, int64 or int32 is expected, but the model has {value}"
        )));
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
    let info = OwnedInfo { name: value.name.clone(), shape: sizes, kind: element.kind() };
    Ok((Port { info, element }, batch))
}

/// Why a model's inputs and outputs are not such that a back end can run it.
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
    fn inputs_and_outputs_with_a_batch_axis_are_found() {
        let image = [value("image", &[-1, 1, 28, 28])];
        let interface = Interface::of_values(&[value("z", &[-2, 96])], &image).unwrap();
        assert_eq!(interface.input_info().to_string(), "z (N, 96)");
        assert_eq!(interface.output_info().to_string(), "image (N, 1, 28, 28)");
        assert_eq!(interface.check(5, &[]), Ok(()));
        let fixed = Interface::of_values(&[value("z", &[2, 96])], &image).unwrap();
        assert_eq!(fixed.check(2, &[]), Ok(()));
        assert_eq!(fixed.check(3, &[]), Err(RunError::FixedBatch { expected: 2, found: 3 }));
        let label = ValueInfo { data_type: DataType::Int64 as i32, ..value("label", &[-1]) };
        let outputs = [value("h", &[-1, 8]), value("z", &[-1, 4])];
        let several = Interface::of_values(&[value("z", &[-1, 96]), label], &outputs).unwrap();
        let told = |ports: &[Port]| ports.iter().map(|port| port.info.info().to_string()).collect::<Vec<_>>();
        assert_eq!(told(&several.inputs), ["z (N, 96)", "label (N)"]);
        assert_eq!(told(&several.outputs), ["h (N, 8)", "z (N, 4)"]);
        assert_eq!(
            (several.inputs[1].element, several.inputs[1].info.kind),
            (Element::I64, PortType::Integer)
        );
    }

    #[test]
    fn other_interfaces_are_refused_with_what_was_found() {
        let image = vec![value("image", &[-1, 4])];
        let double = ValueInfo { data_type: DataType::Double as i32, ..value("z", &[-1, 8]) };
        let bare = ValueInfo { shape: None, ..value("z", &[]) };
        let cases = [
            (vec![], image.clone(), "the model has no input"),
            (
                vec![value("a", &[2]), value("b", &[3])],
                image.clone(),
                "a has a batch of 2, but the input b one of 3",
            ),
            (
                vec![double],
                image.clone(),
                "an input of float32, float16, int64 or int32 is expected, but the model has z float64 (N, 8)",
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
                "z has a batch of 2, but the output image one of 3",
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
