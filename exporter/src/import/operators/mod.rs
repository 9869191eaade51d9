//! The operators, each with the attributes it had in opsets 11 and later.

mod einsum;
mod elementwise;
mod integers;
mod layout;
mod lookup;
mod matrix;
mod normalize;
#[cfg(test)]
mod page;
mod quantize;
mod reduce;
mod shapes;
mod window;

use super::ImportError;
use super::node::NodeContext;

type Result<T = ()> = std::result::Result<T, ImportError>;

/// An operator of ONNX that is taken in.
struct Operator {
    name: &'static str,
    import: fn(&mut NodeContext) -> Result,
    /// What it may have; any other attribute is refused.
    attributes: &'static [&'static str],
}

const fn operator(
    name: &'static str,
    import: fn(&mut NodeContext) -> Result,
    attributes: &'static [&'static str],
) -> Operator {
    Operator { name, import, attributes }
}

/// All of them. `docs/OPERATORS.md` is made from this table (see `page`).
#[rustfmt::skip] // One line an operator.
const OPERATORS: &[Operator] = &[
    operator("MatMul", matrix::matmul, &[]),
    operator("Einsum", einsum::einsum, &["equation"]),
    operator("Gemm", matrix::gemm, &["alpha", "beta", "transA", "transB"]),
    operator("Conv", window::conv, &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]),
    operator("ConvTranspose", window::conv_transpose, &["auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads", "strides"]),
    operator("MaxPool", window::max_pool, &["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"]),
    operator("AveragePool", window::average_pool, &["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"]),
    operator("Resize", window::resize, &["antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode"]),
    operator("BatchNormalization", elementwise::batch_normalization, &["epsilon", "momentum", "training_mode"]),
    operator("Relu", elementwise::activation, &[]),
    operator("Sigmoid", elementwise::activation, &[]),
    operator("Tanh", elementwise::activation, &[]),
    operator("HardSwish", elementwise::activation, &[]),
    operator("LeakyRelu", elementwise::activation, &["alpha"]),
    operator("HardSigmoid", elementwise::activation, &["alpha", "beta"]),
    operator("Clip", elementwise::clip, &[]),
    operator("Add", elementwise::binary, &[]),
    operator("Sub", elementwise::binary, &[]),
    operator("Mul", elementwise::binary, &[]),
    operator("Div", elementwise::binary, &[]),
    operator("Max", elementwise::several, &[]),
    operator("Min", elementwise::several, &[]),
    operator("Sum", elementwise::several, &[]),
    operator("Mean", elementwise::several, &[]),
    operator("Pow", elementwise::power, &[]),
    operator("PRelu", elementwise::prelu, &[]),
    operator("Neg", elementwise::negative, &[]),
    operator("Elu", elementwise::function, &["alpha"]),
    operator("Celu", elementwise::celu, &["alpha"]),
    operator("Selu", elementwise::selu, &["alpha", "gamma"]),
    operator("Gelu", elementwise::function, &["approximate"]),
    operator("Softsign", elementwise::softsign, &[]),
    operator("Softplus", elementwise::function, &[]),
    operator("Mish", elementwise::function, &[]),
    operator("Erf", elementwise::function, &[]),
    operator("Exp", elementwise::function, &[]),
    operator("Log", elementwise::function, &[]),
    operator("Sqrt", elementwise::function, &[]),
    operator("Reciprocal", elementwise::function, &[]),
    operator("Abs", elementwise::function, &[]),
    operator("Floor", elementwise::function, &[]),
    operator("Ceil", elementwise::function, &[]),
    operator("Round", elementwise::function, &[]),
    operator("Sign", elementwise::function, &[]),
    operator("Sin", elementwise::function, &[]),
    operator("Cos", elementwise::function, &[]),
    operator("Tan", elementwise::function, &[]),
    operator("Asin", elementwise::function, &[]),
    operator("Acos", elementwise::function, &[]),
    operator("Atan", elementwise::function, &[]),
    operator("Sinh", elementwise::function, &[]),
    operator("Cosh", elementwise::function, &[]),
    operator("Asinh", elementwise::function, &[]),
    operator("Acosh", elementwise::function, &[]),
    operator("Atanh", elementwise::function, &[]),
    operator("Mod", elementwise::modulo, &["fmod"]),
    operator("Identity", elementwise::identity, &[]),
    operator("Dropout", elementwise::dropout, &["ratio", "seed"]),
    operator("GlobalAveragePool", reduce::global_pool, &[]),
    operator("GlobalMaxPool", reduce::global_pool, &[]),
    operator("ReduceMean", reduce::reduce, &["axes", "keepdims", "noop_with_empty_axes"]),
    operator("ReduceSum", reduce::reduce, &["axes", "keepdims", "noop_with_empty_axes"]),
    operator("ReduceMax", reduce::reduce, &["axes", "keepdims", "noop_with_empty_axes"]),
    operator("ReduceMin", reduce::reduce, &["axes", "keepdims", "noop_with_empty_axes"]),
    operator("ReduceL1", reduce::reduce, &["axes", "keepdims", "noop_with_empty_axes"]),
    operator("ReduceL2", reduce::reduce, &["axes", "keepdims", "noop_with_empty_axes"]),
    operator("ReduceSumSquare", reduce::reduce, &["axes", "keepdims", "noop_with_empty_axes"]),
    operator("ReduceLogSum", reduce::reduce, &["axes", "keepdims", "noop_with_empty_axes"]),
    operator("ReduceLogSumExp", reduce::reduce, &["axes", "keepdims", "noop_with_empty_axes"]),
    operator("Softmax", reduce::softmax, &["axis"]),
    operator("LogSoftmax", reduce::softmax, &["axis"]),
    operator("LpNormalization", reduce::lp_normalization, &["axis", "p"]),
    operator("InstanceNormalization", normalize::instance, &["epsilon"]),
    operator("GroupNormalization", normalize::group, &["epsilon", "num_groups", "stash_type"]),
    operator("LayerNormalization", normalize::layer, &["axis", "epsilon", "stash_type"]),
    operator("RMSNormalization", normalize::root_mean_square, &["axis", "epsilon", "stash_type"]),
    operator("Reshape", layout::reshape, &["allowzero"]),
    operator("Flatten", layout::flatten, &["axis"]),
    operator("Squeeze", layout::squeeze, &["axes"]),
    operator("Unsqueeze", layout::unsqueeze, &["axes"]),
    operator("Expand", layout::expand, &[]),
    operator("Tile", layout::tile, &[]),
    operator("Transpose", layout::transpose, &["perm"]),
    operator("Concat", layout::concat, &["axis"]),
    operator("Pad", layout::pad, &["mode"]),
    operator("Split", layout::split, &["axis", "num_outputs", "split"]),
    operator("SpaceToDepth", layout::space_to_depth, &["blocksize", "mode"]),
    operator("DepthToSpace", layout::depth_to_space, &["blocksize", "mode"]),
    operator("QuantizeLinear", quantize::quantize, &["axis", "block_size", "output_dtype", "precision", "saturate"]),
    operator("DequantizeLinear", quantize::dequantize, &["axis", "block_size", "output_dtype"]),
    operator("Constant", shapes::constant, &["value", "value_float", "value_floats", "value_int", "value_ints"]),
    operator("ConstantOfShape", shapes::constant_of_shape, &["value"]),
    operator("Shape", shapes::shape, &["end", "start"]),
    operator("Gather", lookup::gather, &["axis"]),
    operator("OneHot", lookup::one_hot, &["axis"]),
    operator("Range", shapes::range, &[]),
    operator("Equal", shapes::compare, &[]),
    operator("Less", shapes::compare, &[]),
    operator("Greater", shapes::compare, &[]),
    operator("Where", shapes::choose, &[]),
    operator("Slice", shapes::slice, &[]),
    operator("Cast", shapes::cast, &["round_mode", "saturate", "to"]),
];

/// Takes in one node.
pub(super) fn import(node: &mut NodeContext) -> Result {
    if !matches!(node.domain(), "" | "ai.onnx") {
        return Err(node.unsupported());
    }
    if integers::moving(node)? {
        return Ok(());
    }
    let Some(operator) = OPERATORS.iter().find(|operator| operator.name == node.operator()) else {
        return Err(node.unsupported());
    };
    node.attributes.only(operator.attributes)?;
    (operator.import)(node)?;
    node.finish()
}
