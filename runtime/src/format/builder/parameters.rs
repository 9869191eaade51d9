//! A layer's parameters in the units that the kernels compute in.

use alloc::vec::Vec;

use super::Builder;
use super::encode::put_data;
use super::node::{Bias, LayerPlan, Node};
use super::spec::Element;
use crate::format::layout::{FLAG_AFTER, OPERATOR_RECORD, operator as field};
use crate::format::operator::{Activation, WeightType};

impl Builder {
    /// Bias, scales and affine of each packed row (`None`: padding) with the sum of its weights; and the activation, in
    /// the units that the kernel computes in.
    pub(super) fn put_parameters(
        &self,
        words: &mut [u32; OPERATOR_RECORD / 4],
        node: &Node,
        layer: &LayerPlan,
        rows: &[(Option<usize>, i64)],
        data: &mut Vec<u8>,
    ) {
        let mut arrays: Vec<Vec<u32>> = Vec::new();
        let float = |get: &dyn Fn(usize) -> f64| {
            rows.iter()
                .map(|&(row, _)| row.map_or(0, |row| (get(row) as f32).to_bits()))
                .collect::<Vec<u32>>()
        };
        let mut activation = layer.activation;
        let mut residual_scale = 1.0;
        let after = layer.after.as_ref();
        if layer.weights.kind() == WeightType::I8 {
            let (in_scale, zero_point) = match self.values[node.input].element {
                Element::U8 { scale, zero_point } => (f64::from(scale), i64::from(zero_point)),
                Element::F32 => (1.0, 0),
            };
            // Where the activation allows it, everything is computed in steps of the output.
            let step = match self.values[node.output].element {
                Element::U8 { scale, .. } => f64::from(scale),
                Element::F32 => 1.0,
            };
            let homogeneous = match layer.activation {
                Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. } => true,
                Activation::Clip { low, high } => {
                    let scaled = |limit: f32| (f64::from(limit) / step) as f32;
                    activation = Activation::Clip { low: scaled(low), high: scaled(high) };
                    true
                }
                _ => false,
            };
            let before = if homogeneous { step } else { 1.0 };
            let real = |row: usize| in_scale * f64::from(layer.scales[row % layer.scales.len()]);
            let bias = |row: usize| match &layer.bias {
                Bias::F32(bias) => libm::rint(f64::from(bias[row % bias.len()]) / real(row)) as i64,
                Bias::I32(bias) => i64::from(bias[row % bias.len()]),
            };
            let clamp = |value: i64| value.clamp(i32::MIN.into(), i32::MAX.into()) as i32 as u32;
            arrays.push(
                rows.iter()
                    .map(|&(row, sum)| row.map_or(0, |row| clamp(bias(row).saturating_sub(zero_point * sum))))
                    .collect(),
            );
            arrays.push(float(&|row| real(row) / before));
            arrays.push(rows.iter().map(|&(_, sum)| clamp(128 * sum)).collect());
            let rest = step / before;
            match after {
                // A scale within the step's units stays, a shift is divided.
                Some((scale, shift)) => {
                    arrays.push(float(&|row| f64::from(scale[row % scale.len()]) / rest));
                    arrays.push(float(&|row| f64::from(shift[row % shift.len()]) / step));
                }
                None if rest != 1.0 => {
                    arrays.push(float(&|_| 1.0 / rest));
                    arrays.push(float(&|_| 0.0));
                }
                None => {}
            }
            if let Some(second) = node.second
                && let Element::U8 { scale, .. } = self.values[second].element
            {
                residual_scale = f64::from(scale) / before;
            } else {
                residual_scale = 1.0 / before;
            }
            words[field::FLAGS] = if after.is_some() || rest != 1.0 { FLAG_AFTER } else { 0 };
        } else {
            arrays.push(float(&|row| match &layer.bias {
                Bias::F32(bias) => bias[row % bias.len()].into(),
                Bias::I32(_) => 0.0,
            }));
            if let Some((scale, shift)) = after {
                words[field::FLAGS] = FLAG_AFTER;
                arrays.push(float(&|row| scale[row % scale.len()].into()));
                arrays.push(float(&|row| shift[row % shift.len()].into()));
            }
        }
        let (kind, a, b) = activation.encode();
        words[field::ACTIVATION] = kind;
        words[field::ACTIVATION_A] = a.to_bits();
        words[field::ACTIVATION_B] = b.to_bits();
        words[field::RESIDUAL_SCALE] = (residual_scale as f32).to_bits();
        let bytes: Vec<u8> = arrays.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        put_data(words, field::PARAMETERS, &bytes, data);
    }
}
