//! What this build can run. Where something is left out, [`Model::from_bytes`](crate::format::Model::from_bytes) refuses the
//! models that need it and names the feature; the code for it is unreachable then, and the compiler drops it.

/// Layers with int8 weights.
pub(crate) const INT8: bool = cfg!(feature = "int8");
/// Layers with int4 weights.
pub(crate) const INT4: bool = cfg!(feature = "int4");
/// Layers with weights in half precision.
pub(crate) const F16: bool = cfg!(feature = "f16");
/// Layers with weights in bfloat16.
pub(crate) const BF16: bool = cfg!(feature = "bf16");
/// Layers with weights in single precision.
pub(crate) const F32: bool = cfg!(feature = "f32");
/// Convolutions with transformed weights.
pub(crate) const WINOGRAD: bool = cfg!(feature = "winograd");
/// Depthwise convolutions.
pub(crate) const DEPTHWISE: bool = cfg!(feature = "depthwise");
/// Affines, activations and quantization by themselves; sums and products of two values.
pub(crate) const ELEMENTWISE: bool = cfg!(feature = "elementwise");
/// Copies (concatenation, vectors that become images), pads, other orders of elements.
pub(crate) const ARRANGE: bool = cfg!(feature = "arrange");
/// Pools.
pub(crate) const POOL: bool = cfg!(feature = "pool");
/// Resizing.
pub(crate) const RESIZE: bool = cfg!(feature = "resize");
/// Softmax and L2 norms.
pub(crate) const NORMALIZE: bool = cfg!(feature = "normalize");
/// See [`crate::ops::Operation::is_extended`].
pub(crate) const EXTENDED: bool = cfg!(feature = "extended-operators");
/// Version 1 of the packed format.
pub(crate) const VERSION_1: bool = cfg!(feature = "version-1");
