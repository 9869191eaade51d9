//! What a packed model does when it runs: its operators with what is fused into them, their cost, and where its
//! activations lie in the arena.

use latent_runtime::format::{Model, Operator, OperatorKind, Value};
use latent_runtime::ops::{Activation, Binary, Operation, Pool, PoolKind, ValueType, WindowAxis};
use serde::Serialize;

/// A packed model's plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The operators in the order of evaluation.
    pub operators: Vec<PlannedOperator>,
    /// The activations.
    pub values: Vec<PlannedValue>,
    /// Bytes of the arena that activations take, for a batch of one.
    pub activation_bytes: usize,
    /// Bytes of the arena that kernels work in.
    pub scratch_bytes: usize,
    /// Bytes of weights, biases and other parameters.
    pub parameter_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedOperator {
    pub name: String,
    /// What it does.
    pub kind: String,
    /// What is fused into it, in the order in which it is done.
    pub fused: Vec<String>,
    /// Channels, rows and columns of its input.
    pub input: [usize; 3],
    /// Channels, rows and columns of its output.
    pub output: [usize; 3],
    /// Whether the output takes the input's place.
    pub in_place: bool,
    /// Multiply-accumulates for one example, taps on padding included.
    pub macs: u64,
    /// How its weights are stored: `f32`, `f16`, `bf16`, `int8` or `int4`.
    pub weight_type: Option<&'static str>,
    pub weight_bytes: usize,
}

/// One activation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedValue {
    pub name: String,
    /// Channels, rows and columns.
    pub shape: [usize; 3],
    /// `f32` or `u8`.
    pub element: &'static str,
    /// Of a `u8`: what a step stands for, and which integer stands for 0.
    pub grid: Option<(f32, u8)>,
    /// Where it lies in the arena.
    pub offset: usize,
    /// Its length, border included.
    pub bytes: usize,
    /// When it is written: 0 is the input, n + 1 operator n.
    pub first: usize,
    /// When it is last read.
    pub last: usize,
}

fn extents(value: &Value) -> [usize; 3] {
    [value.channels, value.height, value.width]
}

impl Plan {
    pub fn of(model: &Model) -> Plan {
        let operators =
            (0..model.operators_len()).filter_map(|index| model.operator(index)).map(|operator| {
                let layer = operator.kind.layer();
                PlannedOperator {
                    name: operator.name.into(),
                    kind: describe(&operator),
                    fused: fused(&operator),
                    input: extents(&operator.input),
                    output: extents(&operator.output),
                    in_place: operator.in_place,
                    macs: operator.multiply_accumulates(),
                    weight_type: layer.map(|layer| layer.weights.weight_type().name()),
                    weight_bytes: layer.map_or(0, |layer| layer.weights.bytes()),
                }
            });
        let values =
            (0..model.values_len()).filter_map(|index| model.value(index)).map(|value| PlannedValue {
                name: value.name.into(),
                shape: extents(&value),
                element: match value.kind {
                    ValueType::F32 => "f32",
                    ValueType::U8 => "u8",
                },
                grid: (value.kind == ValueType::U8).then_some((value.scale, value.zero_point)),
                offset: value.offset,
                bytes: value.bytes(),
                first: value.first,
                last: value.last,
            });
        Plan {
            operators: operators.collect(),
            values: values.collect(),
            activation_bytes: model.activations_len(),
            scratch_bytes: model.scratch_len(),
            parameter_bytes: model.data_len(),
        }
    }

    /// The arena as a picture: a line for each step, `width` letters for the activations' bytes. Each activation has
    /// its letter wherever it is in use; a dot is memory that is free.
    pub fn arena(&self, width: usize) -> String {
        let total = self.values.iter().map(|value| value.offset + value.bytes).max().unwrap_or(0).max(1);
        let steps = self.values.iter().map(|value| value.last).max().unwrap_or(0);
        let name_of = |step: usize| match step.checked_sub(1) {
            None => "input",
            Some(index) => self.operators.get(index).map_or("output", |operator| &operator.name),
        };
        let names = (0..=steps).map(|step| name_of(step).chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for step in 0..=steps {
            let mut line = vec!['.'; width];
            for (index, value) in self.values.iter().enumerate() {
                if (value.first..=value.last).contains(&step) {
                    let from = value.offset * width / total;
                    // However small, it is seen.
                    let to = ((value.offset + value.bytes) * width)
                        .div_ceil(total)
                        .clamp(from + 1, width.max(from + 1));
                    if let Some(cells) = line.get_mut(from..to) {
                        cells.fill(letter(index));
                    }
                }
            }
            let line: String = line.into_iter().collect();
            text += &format!("{:<names$}  {line}\n", name_of(step));
        }
        text
    }
}

/// The letter that stands for an activation.
pub fn letter(index: usize) -> char {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    LETTERS[index % LETTERS.len()].into()
}

/// The kind with its geometry.
fn describe(operator: &Operator) -> String {
    let kind = &operator.kind;
    let geometry = |window: &[WindowAxis; 2], groups: usize| {
        let pair = |get: fn(&WindowAxis) -> usize| (get(&window[0]), get(&window[1]));
        let mut text = format!(" {}x{}", window[0].kernel, window[1].kernel);
        for (letter, (rows, columns), usual) in [
            ('s', pair(|axis| axis.stride), 1),
            ('d', pair(|axis| axis.dilation), 1),
            ('p', pair(|axis| axis.pad), 0),
        ] {
            match (rows, columns) {
                (rows, columns) if (rows, columns) == (usual, usual) => {}
                (rows, columns) if rows == columns => text += &format!(" {letter}{rows}"),
                (rows, columns) => text += &format!(" {letter}{rows},{columns}"),
            }
        }
        if groups > 1 {
            text += &format!(" g{groups}");
        }
        text
    };
    let name = kind.name();
    match kind {
        OperatorKind::Convolution { window, groups, winograd, .. } => {
            name.to_string() + &geometry(window, *groups) + if *winograd { " winograd" } else { "" }
        }
        OperatorKind::Transposed { window, groups, .. } => name.to_string() + &geometry(window, *groups),
        OperatorKind::Depthwise { window, .. } => name.to_string() + &geometry(window, 1),
        OperatorKind::Unweighted(Operation::Pool(Pool { window, kind })) => {
            let name = match kind {
                PoolKind::Max => "max pool",
                PoolKind::Average | PoolKind::AverageWithPadding => "average pool",
            };
            name.to_string() + &geometry(window, 1)
        }
        OperatorKind::Unweighted(Operation::Binary { binary, .. }) => match binary {
            Binary::Add => "add".into(),
            Binary::Subtract => "subtract".into(),
            Binary::Multiply => "multiply".into(),
            Binary::Divide => "divide".into(),
            Binary::Maximum => "maximum".into(),
            Binary::Minimum => "minimum".into(),
            Binary::Power => "power".into(),
            Binary::Prelu => "prelu".into(),
        },
        OperatorKind::Unweighted(Operation::Function(function)) => function.name().to_lowercase(),
        // What does nothing else changes the element type.
        OperatorKind::Unweighted(Operation::Elementwise {
            before: None,
            activation: Activation::Identity,
            after: None,
        }) => match (operator.input.kind, operator.output.kind) {
            (ValueType::F32, ValueType::U8) => "quantize".into(),
            (ValueType::U8, ValueType::F32) => "dequantize".into(),
            (ValueType::U8, ValueType::U8) => "requantize".into(),
            (ValueType::F32, ValueType::F32) => name.into(),
        },
        _ => name.into(),
    }
}

/// What is fused into an operator.
fn fused(operator: &Operator) -> Vec<String> {
    let kind = &operator.kind;
    // Layers that give integers compute in steps of their output.
    let step = match (kind.layer(), operator.output.kind) {
        (Some(_), ValueType::U8) => operator.output.scale,
        _ => 1.0,
    };
    let function = |activation: &Activation| match activation {
        Activation::Identity => None,
        Activation::Clip { low, high } => {
            Some(Activation::Clip { low: low * step, high: high * step }.to_string())
        }
        activation => Some(activation.to_string()),
    };
    let affine = |is: bool| is.then(|| "affine".to_string());
    let parts = match kind {
        OperatorKind::Unweighted(Operation::Elementwise { before, activation, after }) => {
            [affine(before.is_some()), function(activation), affine(after.is_some())]
        }
        OperatorKind::Unweighted(Operation::Binary { activation, .. }) => [function(activation), None, None],
        _ => match kind.layer() {
            Some(layer) => [
                layer.residual.map(|residual| format!("+ {}", residual.value.name)),
                function(&layer.activation),
                affine(layer.after.is_some()),
            ],
            None => [None, None, None],
        },
    };
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use latent_runtime::AlignedBytes;
    use latent_runtime::format::{Builder, Element, LayerSpec, ModelInfo, PlainBias, PlainWeights, Window};

    #[test]
    fn a_plan_says_what_is_fused_and_what_it_costs() {
        let mut builder = Builder::new(ModelInfo::default());
        let x = builder.input("x", &[2, 4, 4], Element::F32).unwrap();
        let weights = [0.5; 3 * 2 * 9];
        let spec = LayerSpec {
            activation: Activation::LeakyRelu { slope: 0.2 },
            after: Some((&[1.0; 3], &[2.0; 3])),
            ..LayerSpec::new(PlainWeights::F16(&weights), PlainBias::None)
        };
        let y = builder.convolution("conv", x, Window::square(3, 1, 1), 1, spec).unwrap();
        let y = builder.global_average_pool("mean", y, Element::F32).unwrap();
        builder.output(y, "y", &[3]).unwrap();
        let packed = AlignedBytes::copy_of(&builder.finish().unwrap());
        let plan = Plan::of(&Model::from_bytes(packed.as_slice()).unwrap());

        let [conv, mean] = &*plan.operators else { panic!("{plan:?}") };
        assert_eq!((conv.name.as_str(), conv.kind.as_str()), ("conv", "convolution 3x3 p1"));
        assert_eq!(conv.fused, ["leaky relu 0.2", "affine"]);
        assert_eq!((conv.macs, conv.weight_type), (16 * 3 * 2 * 9, Some("f16")));
        assert_eq!((mean.kind.as_str(), mean.macs, mean.output), ("average pool 4x4", 0, [3, 1, 1]));

        let arena = plan.arena(40);
        let lines: Vec<&str> = arena.lines().collect();
        // Input, two operators, and the output: the first value is in use when the model is given its input and when
        // the convolution reads it, but not after.
        assert_eq!(lines.len(), 4, "{arena}");
        assert!(
            lines[0].starts_with("input   ") && lines[0].contains('A') && !lines[0].contains('B'),
            "{arena}"
        );
        assert!(lines[1].contains('A') && lines[1].contains('B'), "{arena}");
        assert!(!lines[2].contains('A') && lines[2].contains('B') && lines[2].contains('C'), "{arena}");
    }
}
