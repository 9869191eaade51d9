//! Matrix products.

use super::{NodeContext, Result};
use crate::graph::{Gemm, Op};

pub(super) fn matmul(node: &mut NodeContext) -> Result {
    node.check_counts(2)?;
    (0..2).try_for_each(|index| node.check_finite(index))?;
    let inputs = vec![node.input(0)?, node.input(1)?];
    node.emit(Op::MatMul, inputs)
}

pub(super) fn gemm(node: &mut NodeContext) -> Result {
    node.check_counts(3)?;
    let gemm = Gemm {
        alpha: node.attributes.float("alpha")?.unwrap_or(1.0),
        beta: node.attributes.float("beta")?.unwrap_or(1.0),
        transpose_a: node.attributes.flag("transA")?,
        transpose_b: node.attributes.flag("transB")?,
    };
    (1..3).try_for_each(|index| node.check_finite(index))?;
    let inputs = node.inputs(3)?;
    node.emit(Op::Gemm(gemm), inputs)
}
