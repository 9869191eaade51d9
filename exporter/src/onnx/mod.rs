//! Writing any [`crate::graph::Graph`] as an ONNX model.

mod write;

pub(crate) use write::can_be_half;
pub use write::{About, FloatType, IR_VERSION, OPSET, WriteError, write, write_keeping};
