//! Operators: what a model does, one after the other.

use super::error::{FormatError, Name};
use super::layer::Layer;
use super::layout::{NONE, operator as field, word};
use super::ops::OperatorKind;
use super::record::{Context, Ends, Reader};
use super::strings;
use super::value::Value;
use crate::ops::{Operation, PackedWeights, WindowAxis};

/// One step of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operator<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it does.
    pub kind: OperatorKind<Layer<'a>, &'a [f32]>,
    /// What it reads; of a constant, which reads nothing, what it writes.
    pub input: Value<'a>,
    /// What else it reads: the second operand or the residual.
    pub second: Option<Value<'a>>,
    /// What it writes.
    pub output: Value<'a>,
    /// Whether the output takes the input's place in memory.
    pub in_place: bool,
}

impl<'a> Operator<'a> {
    /// Multiply-accumulates for one example, taps on padding included, as if none were saved (as by Winograd).
    pub fn multiply_accumulates(&self) -> u64 {
        let taps = |window: &[WindowAxis; 2]| window.iter().map(|axis| axis.kernel as u64).product::<u64>();
        let (inputs, outputs) = (self.input.logical() as u64, self.output.logical() as u64);
        match &self.kind {
            OperatorKind::FullyConnected(_) => inputs * outputs,
            OperatorKind::Convolution { window, groups, .. } => {
                outputs * (self.input.channels / groups.max(&1)) as u64 * taps(window)
            }
            OperatorKind::Depthwise { window, .. } => outputs * taps(window),
            OperatorKind::Transposed { window, groups, .. } => {
                inputs * (self.output.channels / groups.max(&1)) as u64 * taps(window)
            }
            OperatorKind::Unweighted(Operation::Product) => outputs * self.input.width as u64,
            OperatorKind::Unweighted(_) => 0,
        }
    }

    /// The features of this crate that it needs: that of its weights, and that of its kind.
    pub fn features(&self) -> [Option<&'static str>; 2] {
        let of_weights = self.kind.layer().map(|layer| match layer.weights {
            PackedWeights::F32(_) => "f32",
            PackedWeights::F16(_) => "f16",
            PackedWeights::Bf16(_) => "bf16",
            PackedWeights::I8(_) => "int8",
            PackedWeights::I4 { .. } => "int4",
        });
        let second = self.second.as_ref().map(Value::extents);
        let of_kind = match &self.kind {
            OperatorKind::Convolution { winograd: true, .. } => Some("winograd"),
            OperatorKind::Depthwise { .. } => Some("depthwise"),
            OperatorKind::Unweighted(operation) => Some(match operation {
                operation if operation.is_extended(self.input.extents(), second) => "extended-operators",
                Operation::Pool(_) => "pool",
                Operation::Elementwise { .. } | Operation::Binary { .. } => "elementwise",
                Operation::Resize(_) => "resize",
                Operation::Normalize(_) => "normalize",
                _ => "arrange",
            }),
            _ => None,
        };
        [of_weights, of_kind]
    }

    /// Reads a record and checks everything that concerns the operator.
    pub(super) fn decode(
        record: &'a [u8],
        index: usize,
        context: &Context<'a, '_>,
    ) -> Result<Self, FormatError> {
        let name = if context.thorough {
            let [offset, length] = [0, 1].map(|n| word(record, (field::NAME + n) * 4));
            strings::name(context.strings, offset, length)
                .ok_or(FormatError::NameOutOfRange { what: "operator", index })?
        } else {
            ""
        };
        let reader = Reader { record, name, context };
        let output = reader.value(field::OUTPUT)?;
        let without_input = reader.word(field::INPUT) == NONE;
        let input = if without_input { output } else { reader.value(field::INPUT)? };
        let second = match reader.word(field::SECOND) {
            NONE => None,
            _ => Some(reader.value(field::SECOND)?),
        };
        let kind = OperatorKind::read(&reader, &Ends { input, second, output })?;
        if without_input == kind.takes_input() {
            return Err(reader.parameter("input"));
        }
        if second.is_some() && !kind.takes_second() {
            return Err(reader.parameter("second input"));
        }
        let now = index + 1;
        for value in [Some(input).filter(|_| !without_input), second].into_iter().flatten() {
            if value.first >= now || value.last < now {
                return Err(FormatError::NotAlive {
                    operator: reader.operator(),
                    value: Name::new(value.name),
                });
            }
        }
        // A copy may add to an output that an earlier one began.
        let copies = matches!(kind, OperatorKind::Unweighted(Operation::Copy { .. }));
        let begun = copies && output.first < now && output.last > now;
        if output.first != now && !begun {
            return Err(FormatError::NotAlive { operator: reader.operator(), value: Name::new(output.name) });
        }
        let overlap = |a: &Value<'_>, b: &Value<'_>| {
            let (a, b) = (a.range(1), b.range(1));
            a.start < b.end && b.start < a.end
        };
        let index_of = |at| reader.word(at);
        let in_place = overlap(&input, &output);
        let can_be_in_place = kind.works_in_place()
            && input.kind == output.kind
            && input.offset == output.offset
            && input.halo == output.halo
            && input.last == now
            && index_of(field::SECOND) != index_of(field::INPUT);
        if index_of(field::INPUT) == index_of(field::OUTPUT)
            || (in_place && !can_be_in_place && !without_input)
            || second.is_some_and(|second| overlap(&second, &output))
        {
            return Err(FormatError::Aliased { operator: reader.operator() });
        }
        Ok(Self { name, kind, input, second, output, in_place })
    }
}
