//! Writing ONNX: a graph builder, the networks of [`crate::network`] as ONNX models, and any [`crate::graph::Graph`].

mod graph_builder;
mod model;
mod write;

pub use graph_builder::{Attribute, Declaration, GraphBuilder};
pub use model::{Folding, IR_VERSION, OPSET, Port, model};
pub(crate) use write::can_be_half;
pub use write::{About, FloatType, WriteError, write, write_keeping};
