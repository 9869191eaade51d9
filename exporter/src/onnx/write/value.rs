//! Values and constants under their names: what has been written is read, what has not is written where it is first read.

use std::collections::HashSet;

use latent_runtime::onnx::proto::tensor_proto::DataType;

use super::graph_builder::{Attribute, Declaration, GraphBuilder};
use super::{WriteError, Writer, Written, error};
use crate::graph::{Content, Dim, Element, Elements, Node, Tensor, ValueId};

impl Writer<'_> {
    /// The name of a value in the given float type; what is not of floats has but one type.
    pub(super) fn read(&mut self, id: ValueId, float: DataType) -> String {
        let wanted = match self.graph.element(id) {
            Element::F32 => float,
            other => data_type(other),
        };
        let written = self.written.get(&id).map(Vec::as_slice).unwrap_or_default();
        if let Some(written) = written.iter().find(|written| written.data_type == wanted) {
            return written.name.clone();
        }
        let graph = self.graph;
        let value = graph.value(id);
        let name = match &value.content {
            Content::Constant(tensor) => {
                let name = self.value_name(&value.name, None);
                match (tensor.floats(), wanted) {
                    (Some(values), DataType::Float16) => {
                        self.builder.halves(name.clone(), tensor.shape(), values)
                    }
                    _ => self.builder.tensor(name.clone(), tensor),
                }
                name
            }
            Content::Computed { .. } => {
                // Written before, by the order of the nodes, in the other float type.
                let from = written.first().map(|written| written.name.clone()).unwrap_or_default();
                let suffix = if wanted == DataType::Float16 { "half" } else { "float" };
                let name = self.node_name(&format!("{from}_{suffix}"));
                let output = self.value_name(&name, None);
                self.cast(&name, &from, &output, wanted, &graph.shape(id));
                output
            }
        };
        self.written.entry(id).or_default().push(Written { name: name.clone(), data_type: wanted });
        name
    }

    /// Declares an output. What has no node of its own under that name gets one.
    pub(super) fn output(&mut self, name: &str, id: ValueId, doc: &str) {
        let (wanted, shape) = (data_type(self.graph.element(id)), self.graph.shape(id));
        let written = self.written.get(&id).map(Vec::as_slice).unwrap_or_default();
        if !written.iter().any(|written| written.name == name && written.data_type == wanted) {
            let half = written.iter().find(|written| written.data_type == DataType::Float16);
            match half.filter(|_| written.len() == 1).map(|written| written.name.clone()) {
                Some(half) => {
                    let node = self.node_name(&format!("{half}_float"));
                    self.cast(&node, &half, name, wanted, &shape);
                    let now = Written { name: name.into(), data_type: wanted };
                    self.written.entry(id).or_default().push(now);
                }
                None => {
                    let from = self.read(id, wanted);
                    let node = self.node_name(name);
                    self.emit("Identity", &node, &[&from], name, wanted, &shape, vec![]);
                }
            }
        }
        self.builder.output(Declaration { name, data_type: wanted, shape: &shape }, doc);
    }

    /// A name for a node that no other has.
    pub(super) fn node_name(&mut self, wanted: &str) -> String {
        unique(&mut self.node_names, wanted)
    }

    /// A name for a value that no other has; `output` when it must have that.
    pub(super) fn value_name(&mut self, wanted: &str, output: Option<String>) -> String {
        output.unwrap_or_else(|| unique(&mut self.value_names, wanted))
    }

    /// A constant of floats.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32], float: DataType) -> String {
        let name = self.value_name(name, None);
        match float {
            DataType::Float16 => self.builder.halves(name.clone(), shape, values),
            _ => drop(self.builder.floats(name.clone(), shape, values)),
        }
        name
    }

    /// A constant that several nodes may share, named after what it is.
    pub(super) fn shared(&mut self, what: &str, write: impl FnOnce(&mut GraphBuilder, String)) -> String {
        if let Some(name) = self.constants.get(what) {
            return name.clone();
        }
        let name = self.value_name(what, None);
        write(&mut self.builder, name.clone());
        self.constants.insert(what.into(), name.clone());
        name
    }

    /// A constant vector of integers.
    pub(super) fn integers(&mut self, what: &str, values: &[i64]) -> String {
        let text: Vec<String> = values.iter().map(i64::to_string).collect();
        self.shared(&format!("{what}_{}", text.join("_")), |builder, name| {
            builder.ints(name, values);
        })
    }

    pub(super) fn scalar(&mut self, what: &str, value: f32, float: DataType) -> String {
        let suffix = if float == DataType::Float16 { "_half" } else { "" };
        self.shared(&format!("{what}_{value}{suffix}"), |builder, name| match float {
            DataType::Float16 => builder.halves(name, &[], &[value]),
            _ => drop(builder.floats(name, &[], &[value])),
        })
    }

    /// A shape as a value: a constant, unless the batch is in it, which is then read off `from`.
    pub(super) fn shape_value(
        &mut self,
        node: &Node,
        from: ValueId,
        target: &[Dim],
    ) -> Result<String, WriteError> {
        let sizes: Vec<i64> = target
            .iter()
            .map(|dim| match dim {
                Dim::Size(length) => *length as i64,
                Dim::Batch => -1,
            })
            .collect();
        if !target.contains(&Dim::Batch) {
            return Ok(self.integers("shape", &sizes));
        }
        let inputs = self.graph.inputs.iter();
        let source = std::iter::once(&from).chain(inputs).find_map(|&id| {
            let axis = self.graph.shape(id).iter().position(|&dim| dim == Dim::Batch)?;
            Some((id, axis as i64))
        });
        let Some((id, axis)) = source else { return Err(error(node, "it makes a batch out of nothing")) };
        let written = self.written.get(&id).and_then(|written| written.first());
        let from = written.map(|written| written.name.clone()).unwrap_or_default();
        let name = self.node_name(&format!("{}_batch", node.name));
        let batch = self.value_name(&name, None);
        let bounds = vec![("start", Attribute::Int(axis)), ("end", Attribute::Int(axis + 1))];
        self.emit("Shape", &name, &[&from], &batch, DataType::Int64, &[Dim::Size(1)], bounds);
        let mut parts = Vec::new();
        for run in sizes.chunk_by(|a, b| (*a < 0) == (*b < 0)) {
            match run[0] < 0 {
                true => parts.extend(vec![batch.clone(); run.len()]),
                false => parts.push(self.integers("shape", run)),
            }
        }
        let name = self.node_name(&format!("{}_shape", node.name));
        let output = self.value_name(&name, None);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let attributes = vec![("axis", Attribute::Int(0))];
        self.emit("Concat", &name, &parts, &output, DataType::Int64, &[Dim::Size(sizes.len())], attributes);
        Ok(output)
    }

    /// A constant under another shape of as many elements; written once.
    pub(super) fn parameter(
        &mut self,
        id: ValueId,
        name: &str,
        shape: &[usize],
        elements: Elements,
    ) -> String {
        if let Some(written) = self.written.get(&id).and_then(|written| written.first()) {
            return written.name.clone();
        }
        let data_type = data_type(self.graph.element(id));
        let name = self.value_name(name, None);
        if let Some(tensor) = Tensor::new(shape.to_vec(), elements) {
            self.builder.tensor(name.clone(), &tensor);
        }
        self.written.insert(id, vec![Written { name: name.clone(), data_type }]);
        name
    }
}

pub(super) fn unique(taken: &mut HashSet<String>, wanted: &str) -> String {
    let mut name = wanted.to_string();
    let mut count = 1;
    while taken.contains(&name) || name.is_empty() {
        count += 1;
        name = format!("{wanted}_{count}");
    }
    taken.insert(name.clone());
    name
}

pub(super) fn data_type(element: Element) -> DataType {
    match element {
        Element::F32 => DataType::Float,
        Element::U8 => DataType::Uint8,
        Element::I8 => DataType::Int8,
        Element::I32 => DataType::Int32,
        Element::I64 => DataType::Int64,
        Element::Bool => DataType::Bool,
    }
}
