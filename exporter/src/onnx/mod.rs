//! Writing ONNX: a graph builder, and the networks of [`crate::network`] as ONNX models.

mod graph_builder;
mod model;

pub use graph_builder::{Attribute, GraphBuilder};
pub use model::{Folding, IR_VERSION, OPSET, Port, model};
