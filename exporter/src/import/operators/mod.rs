//! The operators, each with the attributes it had in opsets 11 and later.

mod elementwise;
mod layout;
mod matrix;
mod quantize;
mod reduce;
mod shapes;
mod window;

use super::ImportError;
use super::node::NodeContext;

type Result<T = ()> = std::result::Result<T, ImportError>;

/// Takes in one node.
pub(super) fn import(node: &mut NodeContext) -> Result {
    if !matches!(node.domain(), "" | "ai.onnx") {
        return Err(node.unsupported());
    }
    match node.operator() {
        "MatMul" => matrix::matmul(node)?,
        "Gemm" => matrix::gemm(node)?,
        "Conv" => window::conv(node)?,
        "ConvTranspose" => window::conv_transpose(node)?,
        "MaxPool" => window::max_pool(node)?,
        "AveragePool" => window::average_pool(node)?,
        "Resize" => window::resize(node)?,
        "BatchNormalization" => elementwise::batch_normalization(node)?,
        "Relu" | "Sigmoid" | "Tanh" | "HardSwish" | "LeakyRelu" | "HardSigmoid" => {
            elementwise::activation(node)?
        }
        "Clip" => elementwise::clip(node)?,
        "Add" | "Sub" | "Mul" | "Div" => elementwise::binary(node)?,
        "Mod" => elementwise::modulo(node)?,
        "Identity" => elementwise::identity(node)?,
        "Dropout" => elementwise::dropout(node)?,
        "GlobalAveragePool" => reduce::global_average_pool(node)?,
        "ReduceMean" | "ReduceL2" => reduce::reduce(node)?,
        "Softmax" => reduce::softmax(node)?,
        "LpNormalization" => reduce::lp_normalization(node)?,
        "Reshape" => layout::reshape(node)?,
        "Flatten" => layout::flatten(node)?,
        "Squeeze" => layout::squeeze(node)?,
        "Unsqueeze" => layout::unsqueeze(node)?,
        "Expand" => layout::expand(node)?,
        "Tile" => layout::tile(node)?,
        "Transpose" => layout::transpose(node)?,
        "Concat" => layout::concat(node)?,
        "Pad" => layout::pad(node)?,
        "DepthToSpace" => layout::depth_to_space(node)?,
        "QuantizeLinear" => quantize::quantize(node)?,
        "DequantizeLinear" => quantize::dequantize(node)?,
        "Constant" => shapes::constant(node)?,
        "ConstantOfShape" => shapes::constant_of_shape(node)?,
        "Shape" => shapes::shape(node)?,
        "Gather" => shapes::gather(node)?,
        "Slice" => shapes::slice(node)?,
        "Cast" => shapes::cast(node)?,
        _ => return Err(node.unsupported()),
    }
    node.finish()
}
