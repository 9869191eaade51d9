//! Operators that move elements about.

use super::graph_builder::Attribute;
use super::operator::{blocks, window};
use super::{Step, WriteError, Writer, error};
use crate::graph::{
    Coordinates, Dim, Element, Elements, Interleaved, Interpolation, Op, Pad, PadMode, Resize, Slice, Tensor,
    infer, shape_text,
};

impl Writer<'_> {
    /// Conv, DepthToSpace and, if something is cut off, Slice.
    pub(super) fn interleaved(
        &mut self,
        step: &Step,
        interleaved: &Interleaved,
    ) -> Result<String, WriteError> {
        let Interleaved { window: of_conv, depth, .. } = interleaved;
        let mut typed: Vec<_> =
            step.node.inputs.iter().map(|&id| (self.graph.element(id), self.graph.shape(id))).collect();
        let inputs: Vec<String> = step.node.inputs.iter().map(|&id| self.read(id, step.float)).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let mut shape_after = |op: Op| {
            let result = infer(&op, &typed).map_err(|why| error(step.node, why.to_string()))?;
            typed = vec![result];
            Ok(typed[0].1.clone())
        };
        let shape = shape_after(Op::Conv(interleaved.convolution()))?;
        let small = self.before(step, "Conv", "phases", &inputs, &shape, window(of_conv));
        let shape = shape_after(Op::DepthToSpace(*depth))?;
        let lengths = [2, 3].map(|axis| if let Dim::Size(length) = shape[axis] { length } else { 0 });
        let slices = interleaved.slices(lengths);
        if slices.is_empty() {
            return Ok(self.single(step, "DepthToSpace", &[small], blocks(depth)));
        }
        let spread = self.before(step, "DepthToSpace", "spread", &[&small], &shape, blocks(depth));
        Ok(self.slice(step, spread, &slices))
    }

    pub(super) fn slice(&mut self, step: &Step, whole: String, slices: &[Slice]) -> String {
        let part = |place: fn(&Slice) -> i64| -> Vec<i64> { slices.iter().map(place).collect() };
        let starts = part(|s| s.first() as i64);
        // Before element 0 there is none: -1 would be the last.
        let ends = part(|s| match s.start.checked_sub(1) {
            _ if s.step > 0 => s.end as i64,
            Some(before) => before as i64,
            None => i64::MIN,
        });
        let (axes, steps) = (part(|s| s.axis as i64), part(|s| s.step as i64));
        let mut inputs = vec![
            whole,
            self.integers("starts", &starts),
            self.integers("ends", &ends),
            self.integers("axes", &axes),
        ];
        if steps.iter().any(|&step| step != 1) {
            inputs.push(self.integers("steps", &steps));
        }
        self.single(step, "Slice", &inputs, vec![])
    }

    pub(super) fn reshape(&mut self, step: &Step, target: &[Dim]) -> Result<String, WriteError> {
        let node = step.node;
        let input = self.read(node.inputs[0], step.float);
        let shape = self.graph.shape(node.inputs[0]);
        if let [first, Dim::Size(_)] = target
            && shape.len() > 2
            && shape[0] == *first
        {
            return Ok(self.single(step, "Flatten", &[input], vec![("axis", Attribute::Int(1))]));
        }
        let is_empty = target.contains(&Dim::Size(0));
        let mut sizes = Vec::with_capacity(target.len());
        for (axis, dim) in target.iter().enumerate() {
            sizes.push(match dim {
                Dim::Size(length) => *length as i64,
                Dim::Batch if is_empty => return Err(error(node, "its result is empty")),
                // 0 keeps an axis; one -1 is what is left.
                Dim::Batch if shape.get(axis) == Some(&Dim::Batch) => 0,
                Dim::Batch if !sizes.contains(&-1) => -1,
                Dim::Batch => {
                    let target = shape_text(target);
                    return Err(error(node, format!("the batch moves to several axes of {target}")));
                }
            });
        }
        let sizes = self.integers("shape", &sizes);
        let attributes = if is_empty { vec![("allowzero", Attribute::Int(1))] } else { vec![] };
        Ok(self.single(step, "Reshape", &[input, sizes], attributes))
    }

    pub(super) fn pad(&mut self, step: &Step, pad: &Pad) -> String {
        let input = self.read(step.node.inputs[0], step.float);
        let sides: Vec<i64> = pad.before.iter().chain(&pad.after).map(|&side| side as i64).collect();
        let mut inputs = vec![input, self.integers("pads", &sides)];
        let mode = match pad.mode {
            PadMode::Constant(value) => {
                // Zero is what is put there when nothing is said.
                if value != 0.0 {
                    inputs.push(self.pad_value(step, value));
                }
                "constant"
            }
            PadMode::Edge => "edge",
            PadMode::Reflect => "reflect",
        };
        self.single(step, "Pad", &inputs, vec![("mode", Attribute::Text(mode))])
    }

    /// What is put around a tensor, in the tensor's type.
    pub(super) fn pad_value(&mut self, step: &Step, value: f32) -> String {
        let elements = match self.graph.element(step.node.output) {
            Element::F32 => return self.scalar("pad", value, step.float),
            Element::U8 => Elements::U8(vec![value as u8]),
            Element::I8 => Elements::I8(vec![value as i8]),
            Element::I32 => Elements::I32(vec![value as i32]),
            Element::I64 => Elements::I64(vec![value as i64]),
            Element::Bool => Elements::Bool(vec![value != 0.0]),
        };
        let what = format!("pad_{value}_{}", self.graph.element(step.node.output));
        self.shared(&what, |builder, name| {
            if let Some(tensor) = Tensor::new(vec![], elements) {
                builder.tensor(name, &tensor);
            }
        })
    }

    /// By scales, when they give the result's size and are what the coordinates use; else by sizes.
    pub(super) fn resize(&mut self, step: &Step, resize: &Resize) -> Result<String, WriteError> {
        let node = step.node;
        let input = self.read(node.inputs[0], step.float);
        let shape = self.graph.shape(node.inputs[0]);
        let (mode, nearest) = match resize.interpolation {
            Interpolation::RoundPreferFloor => ("nearest", Some("round_prefer_floor")),
            Interpolation::RoundPreferCeil => ("nearest", Some("round_prefer_ceil")),
            Interpolation::Floor => ("nearest", Some("floor")),
            Interpolation::Ceil => ("nearest", Some("ceil")),
            Interpolation::Linear => ("linear", None),
            Interpolation::Cubic { .. } => ("cubic", None),
        };
        let coordinates = match resize.coordinates {
            Coordinates::HalfPixel => "half_pixel",
            Coordinates::PytorchHalfPixel => "pytorch_half_pixel",
            Coordinates::Asymmetric => "asymmetric",
            Coordinates::AlignCorners => "align_corners",
        };
        let mut attributes = vec![
            ("mode", Attribute::Text(mode)),
            ("coordinate_transformation_mode", Attribute::Text(coordinates)),
        ];
        if let Interpolation::Cubic { a } = resize.interpolation {
            attributes.push(("cubic_coeff_a", Attribute::Float(a)));
        }
        attributes.extend(nearest.map(|nearest| ("nearest_mode", Attribute::Text(nearest))));
        let lengths = [2, 3].map(|axis| match shape[axis] {
            Dim::Size(length) => length as f32,
            Dim::Batch => 0.0,
        });
        let by_scales =
            (0..2).all(|axis| (lengths[axis] * resize.scale[axis]).floor() == resize.output[axis] as f32);
        let by_sizes = (0..2).all(|axis| resize.output[axis] as f32 / lengths[axis] == resize.scale[axis]);
        let none = String::new();
        let inputs = if by_scales {
            let [rows, columns] = resize.scale;
            let scales = self.shared(&format!("scales_{rows}_{columns}"), |builder, name| {
                builder.floats(name, &[4], &[1.0, 1.0, rows, columns]);
            });
            vec![input, none, scales]
        } else if by_sizes {
            let sizes = self.shape_value(node, node.inputs[0], &self.graph.shape(node.output))?;
            vec![input, none.clone(), none, sizes]
        } else {
            let what = format!("scales of {:?} do not give {:?} pixels", resize.scale, resize.output);
            return Err(error(node, what));
        };
        Ok(self.single(step, "Resize", &inputs, attributes))
    }
}
