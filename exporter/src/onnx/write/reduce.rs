//! Means and norms.

use super::graph_builder::Attribute;
use super::operator::ints;
use super::{Step, WriteError, Writer, error};
use crate::graph::{Dim, Reduce, ReduceKind};

impl Writer<'_> {
    /// A mean over the whole image has an operator of its own, which quantized models need.
    pub(super) fn reduce(&mut self, step: &Step, reduce: &Reduce) -> String {
        let input = self.read(step.node.inputs[0], step.float);
        let shape = self.graph.shape(step.node.inputs[0]);
        if reduce.kind == ReduceKind::Mean && shape.len() == 4 && reduce.axes == [2, 3] {
            if reduce.keep {
                return self.single(step, "GlobalAveragePool", &[input], vec![]);
            }
            let kept = [shape[0], shape[1], Dim::Size(1), Dim::Size(1)];
            let mean = self.before(step, "GlobalAveragePool", "mean", &[&input], &kept, vec![]);
            return self.single(step, "Flatten", &[mean], vec![("axis", Attribute::Int(1))]);
        }
        let op = if reduce.kind == ReduceKind::Mean { "ReduceMean" } else { "ReduceL2" };
        let keep = Attribute::Int(reduce.keep.into());
        self.single(step, op, &[input], vec![("axes", ints(&reduce.axes)), ("keepdims", keep)])
    }

    /// LpNormalization has no least norm: with one, the steps are nodes.
    pub(super) fn normalize(
        &mut self,
        step: &Step,
        axis: usize,
        p: u8,
        epsilon: f32,
    ) -> Result<String, WriteError> {
        let node = step.node;
        let input = self.read(node.inputs[0], step.float);
        let axis_attribute = Attribute::Int(axis as i64);
        if epsilon <= 0.0 {
            let attributes = vec![("axis", axis_attribute), ("p", Attribute::Int(p.into()))];
            return Ok(self.single(step, "LpNormalization", &[input], attributes));
        }
        if p != 2 {
            return Err(error(node, "a least norm is written for the Euclidean norm only"));
        }
        let mut shape = self.graph.shape(node.output);
        shape[axis] = Dim::Size(1);
        let attributes = vec![("axes", ints(&[axis])), ("keepdims", Attribute::Int(1))];
        let norm = self.before(step, "ReduceL2", "norm", &[&input], &shape, attributes);
        let least = self.scalar("least_norm", epsilon, step.float);
        let norm = self.before(step, "Clip", "least", &[&norm, &least], &shape, vec![]);
        Ok(self.single(step, "Div", &[input, norm], vec![]))
    }
}
