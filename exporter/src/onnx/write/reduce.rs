//! Means and norms.

use super::graph_builder::Attribute;
use super::operator::ints;
use super::{Step, WriteError, Writer};
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
        let op = step.node.op.name();
        let keep = Attribute::Int(reduce.keep.into());
        if reduce.kind == ReduceKind::Sum {
            // The only one whose axes are an input before opset 18.
            let axes: Vec<i64> = reduce.axes.iter().map(|&axis| axis as i64).collect();
            let axes = self.integers("axes", &axes);
            return self.single(step, op, &[input, axes], vec![("keepdims", keep)]);
        }
        self.single(step, op, &[input], vec![("axes", ints(&reduce.axes)), ("keepdims", keep)])
    }

    /// The steps of it: LayerNormalization has only the last axes, and its scale is no choice.
    pub(super) fn standardize(&mut self, step: &Step, axes: &[usize], epsilon: f32) -> String {
        let input = self.read(step.node.inputs[0], step.float);
        let shape = self.graph.shape(step.node.output);
        let mut one = shape.clone();
        axes.iter().for_each(|&axis| one[axis] = Dim::Size(1));
        let over = || vec![("axes", ints(axes)), ("keepdims", Attribute::Int(1))];
        let mean = self.before(step, "ReduceMean", "mean", &[&input], &one, over());
        let centered = self.before(step, "Sub", "centered", &[&input, &mean], &shape, vec![]);
        let squares = self.before(step, "Mul", "squares", &[&centered, &centered], &shape, vec![]);
        let variance = self.before(step, "ReduceMean", "variance", &[&squares], &one, over());
        let epsilon = self.scalar("epsilon", epsilon, step.float);
        let sum = self.before(step, "Add", "least", &[&variance, &epsilon], &one, vec![]);
        let deviation = self.before(step, "Sqrt", "deviation", &[&sum], &one, vec![]);
        self.single(step, "Div", &[centered, deviation], vec![])
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
        let mut shape = self.graph.shape(node.output);
        shape[axis] = Dim::Size(1);
        let attributes = vec![("axes", ints(&[axis])), ("keepdims", Attribute::Int(1))];
        let op = if p == 1 { "ReduceL1" } else { "ReduceL2" };
        let norm = self.before(step, op, "norm", &[&input], &shape, attributes);
        let least = self.scalar("least_norm", epsilon, step.float);
        let norm = self.before(step, "Clip", "least", &[&norm, &least], &shape, vec![]);
        Ok(self.single(step, "Div", &[input, norm], vec![]))
    }
}
