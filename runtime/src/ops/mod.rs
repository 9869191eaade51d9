//! The vocabulary of operators: their attributes as ONNX has them, with everything resolved (no defaults, no automatic
//! padding, no negative axes).
//!
//! What reads and writes packed models ([`crate::format`]), what computes, and the exporter's graph share it; it depends
//! on nothing of the crate. How a record holds an operator is the format's affair, how it is computed the kernels'.

mod activation;
mod blocks;
mod element;
mod function;
mod operation;
mod resize;
mod view;
mod weights;
mod window;

pub use activation::Activation;
pub use blocks::{Normalize, NormalizeKind, Reduce, ReduceKind};
pub use element::{ValueType, WeightType};
pub use function::Function;
pub use operation::{Affine, Binary, Operation, Pad, PadMode, Pool, PoolKind};
pub use resize::{Coordinates, Interpolation, Resize};
pub use view::{VIEW_AXES, View, ViewAxis};
pub(crate) use weights::expanded_rows;
pub use weights::{BLOCK, Bias, CODES, GROUP, NARROW, PackedWeights, weight_rows};
pub use window::{Phase, Window, WindowAxis};
