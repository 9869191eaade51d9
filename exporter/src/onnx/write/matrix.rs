//! Products and affine maps.

use super::operator::ints;
use super::{Step, WriteError, Writer, error};
use crate::graph::{Gemm, Op, Tensor, interpret};

impl Writer<'_> {
    /// MatMul and Add instead of Gemm: not every engine has a Gemm in half precision.
    pub(super) fn product(&mut self, step: &Step, gemm: &Gemm) -> Result<String, WriteError> {
        let (node, float) = (step.node, step.float);
        let [a, b] = [
            self.factor(step, 0, gemm.transpose_a, 1.0)?,
            self.factor(step, 1, gemm.transpose_b, gemm.alpha)?,
        ];
        let Some(&bias) = node.inputs.get(2) else { return Ok(self.single(step, "MatMul", &[a, b], vec![])) };
        let shape = self.graph.shape(node.output);
        let product = self.before(step, "MatMul", "product", &[&a, &b], &shape, vec![]);
        let bias = match self.graph.constant(bias).and_then(Tensor::floats).filter(|_| gemm.beta != 1.0) {
            Some(values) => {
                let scaled: Vec<f32> = values.iter().map(|value| gemm.beta * value).collect();
                let lengths = self.graph.constant(bias).map(|bias| bias.shape().to_vec()).unwrap_or_default();
                self.floats(&self.graph.value(bias).name.clone(), &lengths, &scaled, float)
            }
            None if gemm.beta != 1.0 => return Err(error(node, "its c is computed and has a factor")),
            None => self.read(bias, float),
        };
        Ok(self.single(step, "Add", &[product, bias], vec![]))
    }

    /// A matrix that is multiplied: transposed and scaled before, if it is constant.
    pub(super) fn factor(
        &mut self,
        step: &Step,
        input: usize,
        transpose: bool,
        scale: f32,
    ) -> Result<String, WriteError> {
        let id = step.node.inputs[input];
        if !transpose && scale == 1.0 {
            return Ok(self.read(id, step.float));
        }
        let swap = Op::Transpose(vec![1, 0]);
        if let Some(tensor) = self.graph.constant(id) {
            let turned = if transpose { interpret::fold(&swap, &[tensor]) } else { Some(tensor.clone()) };
            let name = self.graph.value(id).name.clone();
            if let Some((shape, values)) =
                turned.as_ref().and_then(|tensor| Some((tensor.shape(), tensor.floats()?)))
            {
                let values: Vec<f32> = values.iter().map(|value| scale * value).collect();
                return Ok(self.floats(&name, shape, &values, step.float));
            }
        }
        let mut value = self.read(id, step.float);
        let mut shape = self.graph.shape(id);
        if transpose {
            shape.reverse();
            let part = ["a", "b"][input];
            value = self.before(step, "Transpose", part, &[&value], &shape, vec![("perm", ints(&[1, 0]))]);
        }
        if scale != 1.0 {
            let factor = self.scalar("factor", scale, step.float);
            value = self.before(step, "Mul", "factor", &[&value, &factor], &shape, vec![]);
        }
        Ok(value)
    }

    /// A multiplication and an addition, with constants that have an axis for each of the input's after the batch.
    pub(super) fn affine(&mut self, step: &Step) -> Result<String, WriteError> {
        let (node, float) = (step.node, step.float);
        let shape = self.graph.shape(node.output);
        let [scale, shift] =
            [1, 2].map(|input| self.graph.constant(node.inputs[input]).and_then(Tensor::floats));
        let (Some(scale), Some(shift)) = (scale, shift) else {
            return Err(error(node, "its scale or shift is computed"));
        };
        let mut lengths = vec![1; shape.len() - 1];
        lengths[0] = scale.len();
        let [scale, shift] = [(1, scale), (2, shift)].map(|(input, values)| {
            let name = self.graph.value(node.inputs[input]).name.clone();
            self.floats(&name, &lengths, values, float)
        });
        let input = self.read(node.inputs[0], float);
        let product = self.before(step, "Mul", "mul", &[&input, &scale], &shape, vec![]);
        Ok(self.single(step, "Add", &[product, shift], vec![]))
    }
}
