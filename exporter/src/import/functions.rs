//! A model's own functions, put in place of their calls (onnx.proto, `FunctionProto`).

use std::borrow::Cow;
use std::collections::HashMap;

use latent_runtime::onnx::proto::{AttributeProto, FunctionProto, ModelProto, NodeProto};

use super::{ImportError, opset_of};

/// Functions may call functions, but not for ever.
const MAX_DEPTH: usize = 32;
/// The most nodes that calls may become: a few lines of nested functions can ask for billions.
const MAX_NODES: usize = 1 << 20;

type Key<'a> = (&'a str, &'a str, &'a str);

/// The nodes of a model's graph with no call of its own functions left.
///
/// # Errors
/// When a function was written for another version of the operators, calls itself, or becomes too many nodes.
pub(super) fn inlined(model: &ModelProto, opset: i64) -> Result<Vec<Cow<'_, NodeProto>>, ImportError> {
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    if model.functions.is_empty() {
        return Ok(nodes.map(Cow::Borrowed).collect());
    }
    let functions: HashMap<Key<'_>, &FunctionProto> = model
        .functions
        .iter()
        .map(|function| ((domain(&function.domain), &*function.name, &*function.overload), function))
        .collect();
    let mut inliner = Inliner { functions, opset, out: Vec::new(), calls: 0 };
    for node in nodes {
        inliner.add(Cow::Borrowed(node), 0)?;
    }
    Ok(inliner.out)
}

/// ONNX's own operators have two names for their domain.
fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

struct Inliner<'m> {
    functions: HashMap<Key<'m>, &'m FunctionProto>,
    opset: i64,
    out: Vec<Cow<'m, NodeProto>>,
    calls: usize,
}

impl<'m> Inliner<'m> {
    fn add(&mut self, node: Cow<'m, NodeProto>, depth: usize) -> Result<(), ImportError> {
        let key = (domain(&node.domain), &*node.op_type, &*node.overload);
        let Some(&function) = self.functions.get(&key) else {
            if depth > 0 && self.out.len() > MAX_NODES {
                return Err(self.error(&node.name, format!("calls become more than {MAX_NODES} nodes")));
            }
            self.out.push(node);
            return Ok(());
        };
        if depth == MAX_DEPTH {
            return Err(self.error(&node.name, format!("it calls functions {MAX_DEPTH} deep, or itself")));
        }
        if let Some(found) = opset_of(&function.opset_import).filter(|&found| found != self.opset) {
            return Err(self.error(
                &node.name,
                format!(
                    "the function was written for opset {found}, the model for opset {}; export the model with one opset, \
                     or inline its functions (onnx.inliner.inline_local_functions)",
                    self.opset
                ),
            ));
        }
        self.calls += 1;
        let prefix = match &*node.name {
            "" => format!("{}_{}", function.name, self.calls),
            name => name.to_string(),
        };
        // What the body calls its inputs and outputs is called by the node's names; the rest gets names of its own.
        let mut names: HashMap<&str, String> = HashMap::new();
        let given = node.input.iter().map(String::as_str).chain(std::iter::repeat(""));
        names.extend(function.input.iter().map(String::as_str).zip(given.map(str::to_string)));
        for (index, inner) in function.output.iter().enumerate() {
            if let Some(outer) = node.output.get(index).filter(|outer| !outer.is_empty()) {
                names.insert(inner, outer.clone());
            }
        }
        for (index, inner) in function.node.iter().enumerate() {
            let mut copy = inner.clone();
            copy.name = match &*inner.name {
                "" => format!("{prefix}/{}_{index}", inner.op_type),
                name => format!("{prefix}/{name}"),
            };
            for name in copy.input.iter_mut().chain(&mut copy.output).filter(|name| !name.is_empty()) {
                *name = match names.get(name.as_str()) {
                    Some(outer) => outer.clone(),
                    None => format!("{prefix}/{name}"),
                };
            }
            copy.attribute = inner.attribute.iter().filter_map(|own| resolve(own, &node, function)).collect();
            self.add(Cow::Owned(copy), depth + 1)?;
        }
        Ok(())
    }

    fn error(&self, node: &str, what: String) -> ImportError {
        ImportError::Node { node: node.into(), operator: "a function of the model".into(), what }
    }
}

/// An attribute of a node in a function: its own, that of the call which it refers to, or the function's default. `None`
/// when it refers to one that the call left out.
fn resolve(own: &AttributeProto, call: &NodeProto, function: &FunctionProto) -> Option<AttributeProto> {
    if own.ref_attr_name.is_empty() {
        return Some(own.clone());
    }
    let named = |attribute: &&AttributeProto| attribute.name == own.ref_attr_name;
    let found = call.attribute.iter().find(named).or_else(|| function.attribute_proto.iter().find(named))?;
    Some(AttributeProto { name: own.name.clone(), ..found.clone() })
}
