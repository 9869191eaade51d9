//! From ONNX to a [`Graph`].
//!
//! Models of PyTorch's two exporters, of ours, and of anyone else who keeps to the supported operators. Whatever is not
//! supported is an error that names node, operator and attribute; nothing is ignored that would change a result.
//! What depends on constants alone is computed at once; Identity and Dropout vanish; computations on shapes, as
//! exporters write them for a dynamic batch, become shapes.

mod attributes;
mod error;
mod expand;
mod functions;
mod node;
mod operators;
mod shape_values;
mod tensors;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::Path;

use latent_runtime::onnx::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};
use latent_runtime::onnx::{self, Dimension, ValueInfo};

pub use error::ImportError;

use crate::graph::{Dim, Element, Graph, Output, Tensor, ValueId, is_too_large, too_large};
use node::{NodeContext, QuantizedBy};
use shape_values::ShapeValue;

/// The operator sets that are understood. Those after 21 add types to the supported operators, but change none.
pub const OPSETS: RangeInclusive<i64> = 11..=28;

/// Reads the ONNX file `path`, with the data that it keeps in other files.
///
/// # Errors
/// When the file cannot be read or uses what is not supported.
pub fn import_file(path: &Path) -> Result<Graph, ImportError> {
    import(&onnx::load(path)?)
}

/// The most nodes of a model: each rewrite looks at all of them.
const MAX_NODES: usize = 1 << 14;

/// Takes in a model whose data is all in memory.
///
/// # Errors
/// When the model uses what is not supported.
pub fn import(model: &ModelProto) -> Result<Graph, ImportError> {
    let opset = opset_of(&model.opset_import).unwrap_or(0);
    if !OPSETS.contains(&opset) {
        return Err(ImportError::Opset { found: opset });
    }
    let empty = GraphProto::default();
    let proto = model.graph.as_ref().unwrap_or(&empty);
    let mut importer = Importer {
        graph: Graph { name: proto.name.clone(), ..Graph::default() },
        opset,
        bound: HashMap::new(),
        quantized: HashMap::new(),
        flags: HashSet::new(),
        node_names: HashSet::new(),
    };
    importer.constants(proto)?;
    importer.inputs(proto)?;
    let (nodes, dynamic) = expand::expanded(functions::inlined(model, opset)?);
    if dynamic {
        importer.graph.notes.push(
            "the model quantizes activations while it runs; their values are taken as they are, and the integers of its \
             weights as floats"
                .into(),
        );
    }
    if nodes.len() > MAX_NODES {
        return Err(ImportError::Nodes { found: nodes.len() });
    }
    defined_once(proto, &nodes)?;
    for (index, node) in nodes.iter().enumerate() {
        operators::import(&mut NodeContext::new(&mut importer, index, node))?;
    }
    importer.outputs(proto)?;
    importer.graph.remove_unread();
    Ok(importer.graph)
}

/// Checks that no name stands for two values.
fn defined_once(proto: &GraphProto, nodes: &[Cow<'_, NodeProto>]) -> Result<(), ImportError> {
    let constants: HashSet<&str> = proto.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    let inputs = proto.input.iter().map(|input| input.name.as_str());
    let inputs = inputs.filter(|name| !constants.contains(name)).map(|name| ("an input of the model", name));
    let initializers = proto.initializer.iter().map(|tensor| ("a constant", tensor.name.as_str()));
    let results = nodes
        .iter()
        .flat_map(|node| node.output.iter().map(|output| ("the result of a node", output.as_str())));
    let mut seen = HashMap::new();
    for (what, name) in inputs.chain(initializers).chain(results).filter(|(_, name)| !name.is_empty()) {
        if let Some(before) = seen.insert(name, what) {
            let what = format!("it is defined twice: {before}, and {what}");
            return Err(ImportError::Tensor { tensor: name.into(), what });
        }
    }
    Ok(())
}

/// The version of ONNX's own operators.
fn opset_of(imports: &[OperatorSetIdProto]) -> Option<i64> {
    let own = |import: &&OperatorSetIdProto| matches!(import.domain.as_str(), "" | "ai.onnx");
    imports.iter().find(own).map(|import| import.version)
}

/// What a name in the model stands for.
#[derive(Debug, Clone)]
enum Bound {
    Value(ValueId),
    /// Integers computed from shapes.
    Shape(ShapeValue),
    /// The value with its first `axes` axes as one, the batch among them: what a graph has no length for.
    Joined {
        value: ValueId,
        axes: usize,
    },
}

#[derive(Debug)]
struct Importer {
    graph: Graph,
    opset: i64,
    bound: HashMap<String, Bound>,
    /// What the integers of a Quantize, and of what moves them about, stand for.
    quantized: HashMap<ValueId, QuantizedBy>,
    /// Floats of 0 and 1 that stand for false and true.
    flags: HashSet<ValueId>,
    node_names: HashSet<String>,
}

impl Importer {
    fn constants(&mut self, proto: &GraphProto) -> Result<(), ImportError> {
        if let Some(sparse) = proto.sparse_initializer.first() {
            let name = sparse.values.as_ref().map(|values| values.name.clone()).unwrap_or_default();
            return Err(ImportError::Tensor {
                tensor: name,
                what: "sparse tensors are not supported".into(),
            });
        }
        for initializer in &proto.initializer {
            let tensor = tensors::tensor(initializer, &initializer.name)?;
            self.bind_constant(&initializer.name, tensor);
        }
        Ok(())
    }

    fn inputs(&mut self, proto: &GraphProto) -> Result<(), ImportError> {
        for input in &proto.input {
            // An input with an initializer has a default, which is what we take.
            if self.bound.contains_key(&input.name) {
                continue;
            }
            let (element, shape) = port("input", input)?;
            let id = self.graph.add_input(&input.name, element, shape);
            self.bound.insert(input.name.clone(), Bound::Value(id));
        }
        Ok(())
    }

    fn outputs(&mut self, proto: &GraphProto) -> Result<(), ImportError> {
        for output in &proto.output {
            let error = |what: String| ImportError::Port { role: "output", name: output.name.clone(), what };
            let value = match self.bound.get(&output.name) {
                Some(Bound::Value(value)) => *value,
                Some(Bound::Shape(_)) => return Err(error("it is a shape, which is not supported".into())),
                Some(Bound::Joined { .. }) => {
                    return Err(error("it joins the batch with other axes, which is not supported".into()));
                }
                None => return Err(error("no node computes it".into())),
            };
            self.graph.outputs.push(Output { name: output.name.clone(), value });
        }
        Ok(())
    }

    fn bind_constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let id = self.graph.add_constant(name, tensor);
        self.bound.insert(name.to_string(), Bound::Value(id));
        id
    }
}

/// The type and shape of an input of the model. The batch is the first axis, when it is free.
fn port(role: &'static str, proto: &ValueInfoProto) -> Result<(Element, Vec<Dim>), ImportError> {
    let info = ValueInfo::new(proto);
    let error = |what: String| ImportError::Port { role, name: proto.name.clone(), what };
    let element = match tensors::element(info.data_type) {
        // Integers of more bits are labels, which OneHot, Gather and Cast read.
        Some(element @ (Element::F32 | Element::U8 | Element::I8 | Element::I32 | Element::I64)) => element,
        _ => {
            let found = tensors::type_name(info.data_type);
            return Err(error(format!(
                "its type is {found}; only float32 and integers of 8, 32 and 64 bits are supported"
            )));
        }
    };
    let Some(shape) = info.shape else { return Err(error("its shape is not given".into())) };
    let dims = shape.iter().enumerate().map(|(axis, dimension)| match dimension {
        Dimension::Fixed(size @ 0..=0x7fff_ffff) => Ok(Dim::Size(*size)),
        _ if axis == 0 => Ok(Dim::Batch),
        other => Err(error(format!(
            "axis {axis} has no fixed length ({other}); only the first axis, the batch, may be free: export the model again with a fixed image size"
        ))),
    });
    let dims: Vec<Dim> = dims.collect::<Result<_, _>>()?;
    if is_too_large(&dims) {
        return Err(error(too_large(&dims)));
    }
    Ok((element, dims))
}
