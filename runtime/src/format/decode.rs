//! Operators, decoded from their records. This checks everything that concerns the operator.

use super::error::{FormatError, Name};
use super::layout::{
    ALIGNMENT, BLOCK, FLAG_AFTER, FLAG_BEFORE, GROUP, MAX_EXTENT, NARROW, NONE, WINOGRAD_MAX_CHANNELS,
    WINOGRAD_SCRATCH, operator as field, weight_rows, word,
};
use super::operator::{
    Activation, Affine, Bias, BinaryKind, Coordinates, Interpolation, Kind, Layer, Operator, PadKind,
    PoolKind, Residual, WeightType, Weights,
};
use super::value::{Value, ValueType};
use super::window::Axis;

/// Numbers of the kinds in a record.
pub(super) mod number {
    pub(in crate::format) const FULLY_CONNECTED: u32 = 1;
    pub(in crate::format) const CONVOLUTION: u32 = 2;
    pub(in crate::format) const DEPTHWISE: u32 = 3;
    pub(in crate::format) const TRANSPOSED: u32 = 4;
    pub(in crate::format) const POOL: u32 = 5;
    pub(in crate::format) const ELEMENTWISE: u32 = 6;
    pub(in crate::format) const BINARY: u32 = 7;
    pub(in crate::format) const COPY: u32 = 8;
    pub(in crate::format) const PAD: u32 = 9;
    pub(in crate::format) const RESIZE: u32 = 10;
    pub(in crate::format) const SOFTMAX: u32 = 11;
    pub(in crate::format) const L2_NORMALIZE: u32 = 12;
    pub(in crate::format) const REORDER: u32 = 13;
}

/// What decoding needs to know of the model.
pub(super) struct Context<'a, 'v> {
    pub(super) strings: &'a [u8],
    pub(super) data: &'a [u8],
    pub(super) value: &'v dyn Fn(usize) -> Option<Value<'a>>,
    /// The bytes of scratch memory.
    pub(super) scratch: usize,
    /// Also read names and check what is too slow for every run and only concerns results: that all parameters are
    /// finite.
    pub(super) thorough: bool,
}

/// The reader of one record.
struct Reader<'a, 'v> {
    record: &'a [u8],
    name: &'a str,
    context: &'v Context<'a, 'v>,
}

impl<'a> Reader<'a, '_> {
    fn word(&self, at: usize) -> u32 {
        word(self.record, at * 4)
    }

    fn float(&self, at: usize) -> f32 {
        f32::from_bits(self.word(at))
    }

    fn operator(&self) -> Name {
        Name::new(self.name)
    }

    fn shapes(&self, what: &'static str) -> FormatError {
        FormatError::Shapes { operator: self.operator(), what }
    }

    fn types(&self) -> FormatError {
        FormatError::Types { operator: self.operator() }
    }

    fn parameter(&self, parameter: &'static str) -> FormatError {
        FormatError::Parameter { operator: self.operator(), parameter }
    }

    fn value(&self, at: usize) -> Result<Value<'a>, FormatError> {
        let index = self.word(at);
        (self.context.value)(index as usize)
            .ok_or_else(|| FormatError::NoSuchValue { operator: self.operator(), index })
    }

    fn argument(
        &self,
        at: usize,
        range: core::ops::Range<u32>,
        name: &'static str,
    ) -> Result<usize, FormatError> {
        let found = self.word(field::ARGUMENTS + at);
        if range.contains(&found) { Ok(found as usize) } else { Err(self.parameter(name)) }
    }

    fn extent(&self, at: usize, least: u32, name: &'static str) -> Result<usize, FormatError> {
        self.argument(at, least..MAX_EXTENT + 1, name)
    }

    /// Arguments 0..8.
    fn window(&self) -> Result<[Axis; 2], FormatError> {
        let axis = |n: usize| {
            Ok(Axis {
                kernel: self.extent(n, 1, "kernel")?,
                stride: self.extent(2 + n, 1, "stride")?,
                dilation: self.extent(4 + n, 1, "dilation")?,
                pad: self.extent(6 + n, 0, "pad")?,
            })
        };
        let [rows, columns] = [axis(0)?, axis(1)?];
        // Keeps every product of extents below within 64 bits, on 32-bit targets too.
        for axis in [rows, columns] {
            if (axis.kernel as u64) * (axis.dilation as u64) > u64::from(MAX_EXTENT) {
                return Err(self.parameter("kernel"));
            }
        }
        Ok([rows, columns])
    }

    fn activation(&self) -> Result<Activation, FormatError> {
        let (a, b) = (self.float(field::ACTIVATION_A), self.float(field::ACTIVATION_B));
        Activation::decode(self.word(field::ACTIVATION), a, b).ok_or_else(|| self.parameter("activation"))
    }

    fn flags(&self, allowed: u32) -> Result<u32, FormatError> {
        let flags = self.word(field::FLAGS);
        if flags & !allowed == 0 { Ok(flags) } else { Err(self.parameter("flags")) }
    }

    /// A part of the data section of exactly this length.
    fn data(&self, at: usize, expected: u64, what: &'static str) -> Result<&'a [u8], FormatError> {
        let (offset, length) = (self.word(at) as usize, self.word(at + 1));
        if u64::from(length) != expected {
            let found = length.into();
            return Err(FormatError::DataLength { operator: self.operator(), what, found, expected });
        }
        if offset % ALIGNMENT != 0 {
            return Err(FormatError::DataOutOfRange { operator: self.operator(), what });
        }
        self.context
            .data
            .get(offset..)
            .and_then(|rest| rest.get(..length as usize))
            .ok_or_else(|| FormatError::DataOutOfRange { operator: self.operator(), what })
    }

    fn cast<T: bytemuck::AnyBitPattern>(
        &self,
        bytes: &'a [u8],
        what: &'static str,
    ) -> Result<&'a [T], FormatError> {
        // Fails only where the whole file is misaligned, which the model has checked.
        bytemuck::try_cast_slice(bytes)
            .map_err(|_| FormatError::DataOutOfRange { operator: self.operator(), what })
    }

    /// `count` arrays of `rows` words each.
    fn parameters<const COUNT: usize>(
        &self,
        rows: u64,
        count: usize,
    ) -> Result<[&'a [u8]; COUNT], FormatError> {
        let bytes = self.data(field::PARAMETERS, rows * 4 * count as u64, "parameters")?;
        let mut arrays = [&[][..]; COUNT];
        if rows > 0 {
            for (array, part) in arrays.iter_mut().zip(bytes.chunks_exact(rows as usize * 4)) {
                *array = part;
            }
        }
        Ok(arrays)
    }

    fn floats(&self, bytes: &'a [u8]) -> Result<&'a [f32], FormatError> {
        let what = "parameters";
        let floats: &[f32] = self.cast(bytes, what)?;
        if self.context.thorough && floats.iter().any(|value| !value.is_finite()) {
            return Err(FormatError::NotFinite { operator: self.operator(), what });
        }
        Ok(floats)
    }

    fn affine(&self, scale: &'a [u8], shift: &'a [u8]) -> Result<Affine<'a>, FormatError> {
        Ok(Affine { scale: self.floats(scale)?, shift: self.floats(shift)? })
    }

    /// The layer of an operator with `weights` weights and `rows` entries in each array of parameters (padding included).
    fn layer(
        &self,
        weights: u64,
        rows: u64,
        input: &Value<'a>,
        second: Option<Value<'a>>,
        output: &Value<'a>,
    ) -> Result<Layer<'a>, FormatError> {
        let kind = match self.word(field::WEIGHTS_TYPE) {
            0 => WeightType::F32,
            1 => WeightType::F16,
            2 => WeightType::I8,
            _ => return Err(self.parameter("weight type")),
        };
        if input.kind != kind.input() || (output.kind == ValueType::U8 && kind != WeightType::I8) {
            return Err(self.types());
        }
        let bytes = self.data(field::WEIGHTS, weights * kind.size() as u64, "weights")?;
        let weights = match kind {
            WeightType::F32 => Weights::F32(self.cast(bytes, "weights")?),
            WeightType::F16 => Weights::F16(self.cast(bytes, "weights")?),
            WeightType::I8 => Weights::I8(self.cast(bytes, "weights")?),
        };
        let flags = self.flags(FLAG_AFTER)?;
        let own = if kind == WeightType::I8 { 3 } else { 1 };
        let count = own + if flags & FLAG_AFTER != 0 { 2 } else { 0 };
        let arrays: [&[u8]; 5] = self.parameters(rows, count)?;
        let bias = match kind {
            WeightType::I8 => Bias::I32 {
                bias: self.cast(arrays[0], "parameters")?,
                scale: self.floats(arrays[1])?,
                sum128: self.cast(arrays[2], "parameters")?,
            },
            _ => Bias::F32(self.floats(arrays[0])?),
        };
        let after = match flags & FLAG_AFTER {
            0 => None,
            _ if own == 3 => Some(self.affine(arrays[3], arrays[4])?),
            _ => Some(self.affine(arrays[1], arrays[2])?),
        };
        let residual = match second {
            None => None,
            Some(value) => {
                if value.kind != output.kind {
                    return Err(self.types());
                }
                if !value.same_shape(output) {
                    return Err(self.shapes("the residual has another shape than the output"));
                }
                let scale = self.float(field::RESIDUAL_SCALE);
                if !scale.is_finite() {
                    return Err(self.parameter("residual scale"));
                }
                Some(Residual { value, scale })
            }
        };
        Ok(Layer { weights, bias, residual, activation: self.activation()?, after })
    }

    /// Checks that a grouped convolution's channels divide, and gives input and output channels per group.
    fn groups(&self, input: &Value<'_>, output: &Value<'_>) -> Result<(usize, usize, usize), FormatError> {
        let groups = self.extent(8, 1, "number of groups")?;
        if !input.channels.is_multiple_of(groups) || !output.channels.is_multiple_of(groups) {
            return Err(self.shapes("the groups do not divide the channels"));
        }
        let channels = input.channels / groups;
        if groups > 1 && input.kind == ValueType::U8 && !channels.is_multiple_of(GROUP) {
            return Err(self.shapes("groups of an int8 convolution must have a multiple of 4 input channels"));
        }
        Ok((groups, channels, output.channels / groups))
    }

    fn kind(
        &self,
        input: &Value<'a>,
        second: Option<Value<'a>>,
        output: &Value<'a>,
    ) -> Result<Kind<'a>, FormatError> {
        // Elements read at each tap: whole groups of four for int8.
        let depth = |channels: usize| match input.kind {
            ValueType::F32 => channels as u64,
            ValueType::U8 => channels.next_multiple_of(GROUP) as u64,
        };
        let blocks = |channels: usize| channels.div_ceil(BLOCK) as u64;
        let block = BLOCK as u64;
        Ok(match self.word(field::KIND) {
            number::FULLY_CONNECTED => {
                if !input.halo.is_empty() || !output.halo.is_empty() {
                    return Err(self.shapes("a fully connected operator takes no halo"));
                }
                if second.is_some_and(|residual| !residual.halo.is_empty()) {
                    return Err(self.shapes("a fully connected operator takes no halo"));
                }
                let rows = blocks(output.elements()) * block;
                let weights = weight_rows(output.elements()) as u64 * input.elements() as u64;
                Kind::FullyConnected(self.layer(weights, rows, input, second, output)?)
            }
            number::CONVOLUTION => {
                let window = self.window()?;
                let (groups, inputs, outputs) = self.groups(input, output)?;
                self.covered(input, output, &window)?;
                let winograd = self.argument(9, 0..2, "weight transform")? == 1;
                let rows = groups as u64 * blocks(outputs) * block;
                let stored = (groups * weight_rows(outputs)) as u64;
                let [kernel_rows, kernel_columns] = [0, 1].map(|n| window[n].kernel as u64);
                let mut weights = product([stored, kernel_rows, kernel_columns, depth(inputs)]);
                if winograd {
                    if !can_be_winograd(input, output, &window, groups)
                        || self.context.scratch < WINOGRAD_SCRATCH
                    {
                        return Err(self.parameter("weight transform"));
                    }
                    weights = product([stored, 4, 4, depth(inputs)]);
                }
                let layer = self.layer(weights, rows, input, second, output)?;
                Kind::Convolution { window, groups, winograd, layer }
            }
            number::DEPTHWISE => {
                let window = self.window()?;
                if input.channels != output.channels {
                    return Err(self.shapes("a depthwise convolution keeps the number of channels"));
                }
                self.covered(input, output, &window)?;
                let rows = blocks(output.channels) * block;
                let weights = product([rows, window[0].kernel as u64, window[1].kernel as u64, 1]);
                Kind::Depthwise { window, layer: self.layer(weights, rows, input, second, output)? }
            }
            number::TRANSPOSED => {
                let window = self.window()?;
                if window.iter().any(|axis| axis.dilation != 1) {
                    return Err(self.parameter("dilation"));
                }
                let (groups, inputs, outputs) = self.groups(input, output)?;
                let rows = groups as u64 * blocks(outputs) * block;
                for (axis, (input, output, before, after)) in window.iter().zip([
                    (input.height, output.height, input.halo.top, input.halo.bottom),
                    (input.width, output.width, input.halo.left, input.halo.right),
                ]) {
                    // A phase beyond the output's end would have weights that nothing uses.
                    if axis.stride > output || axis.stride > 64 {
                        return Err(self.parameter("stride"));
                    }
                    let reach = axis.transposed_reach(input, output);
                    if reach.0 > before || reach.1 > after {
                        return Err(FormatError::Halo { operator: self.operator() });
                    }
                }
                // Every tap belongs to exactly one phase; each phase has its own sum of weights, so its own parameters.
                let stored = (groups * weight_rows(outputs)) as u64;
                let weights =
                    product([stored, window[0].kernel as u64, window[1].kernel as u64, depth(inputs)]);
                let phases = (window[0].stride * window[1].stride) as u64;
                Kind::Transposed {
                    window,
                    groups,
                    layer: self.layer(weights, rows * phases, input, second, output)?,
                }
            }
            number::POOL => {
                let window = self.window()?;
                let kind = match self.argument(8, 0..3, "pool kind")? {
                    0 => PoolKind::Max,
                    1 => PoolKind::Average,
                    _ => PoolKind::AverageWithPadding,
                };
                if input.channels != output.channels {
                    return Err(self.shapes("a pool keeps the number of channels"));
                }
                for (axis, (input, output)) in
                    window.iter().zip([(input.height, output.height), (input.width, output.width)])
                {
                    if (output as u64 - 1) * axis.stride as u64 >= (input + axis.pad) as u64 {
                        return Err(self.shapes("the last window of the pool lies outside the input"));
                    }
                }
                if kind == PoolKind::Max && !same_quantization(input, output) {
                    return Err(self.types());
                }
                if input.kind != output.kind && output.kind == ValueType::U8 {
                    return Err(self.types());
                }
                Kind::Pool { window, kind }
            }
            number::ELEMENTWISE => {
                if !input.same_shape(output) {
                    return Err(self.shapes("input and output have different shapes"));
                }
                let flags = self.flags(FLAG_BEFORE | FLAG_AFTER)?;
                let rows = blocks(output.channels) * block;
                let arrays: [&[u8]; 4] = self.parameters(rows, 2 * flags.count_ones() as usize)?;
                let mut rest = &arrays[..];
                let mut next = |flag| -> Result<Option<Affine<'a>>, FormatError> {
                    match rest {
                        [scale, shift, tail @ ..] if flags & flag != 0 => {
                            rest = tail;
                            self.affine(scale, shift).map(Some)
                        }
                        _ => Ok(None),
                    }
                };
                let (before, after) = (next(FLAG_BEFORE)?, next(FLAG_AFTER)?);
                Kind::Elementwise { before, activation: self.activation()?, after }
            }
            number::BINARY => {
                let kind = match self.argument(0, 0..3, "operation")? {
                    0 => BinaryKind::Add,
                    1 => BinaryKind::Subtract,
                    _ => BinaryKind::Multiply,
                };
                let Some(second) = second else {
                    return Err(FormatError::NoSuchValue { operator: self.operator(), index: NONE });
                };
                let pixel = second.channels == output.channels && second.height == 1 && second.width == 1;
                if !input.same_shape(output) || !(pixel || second.same_shape(output)) {
                    return Err(self.shapes("the operands' shapes do not fit"));
                }
                Kind::Binary { kind, activation: self.activation()? }
            }
            number::COPY => {
                let at =
                    [self.extent(0, 0, "channel")?, self.extent(1, 0, "row")?, self.extent(2, 0, "column")?];
                if at[0] + input.channels > output.channels
                    || at[1] + input.height > output.height
                    || at[2] + input.width > output.width
                {
                    return Err(self.shapes("the input does not fit into the output at this place"));
                }
                Kind::Copy { at }
            }
            number::PAD => {
                let before = [self.extent(1, 0, "pad")?, self.extent(2, 0, "pad")?];
                let value = self.float(field::ARGUMENTS + 3);
                let kind = match self.argument(0, 0..3, "pad mode")? {
                    0 if value.is_nan() => return Err(self.parameter("pad value")),
                    0 => PadKind::Constant(value),
                    1 => PadKind::Edge,
                    _ => PadKind::Reflect,
                };
                if input.channels != output.channels
                    || before[0] + input.height > output.height
                    || before[1] + input.width > output.width
                {
                    return Err(self.shapes("the padded input does not fit the output"));
                }
                let after =
                    [output.height - input.height - before[0], output.width - input.width - before[1]];
                let reflects = |pad: usize, extent: usize| pad < extent;
                if kind == PadKind::Reflect
                    && !(reflects(before[0].max(after[0]), input.height)
                        && reflects(before[1].max(after[1]), input.width))
                {
                    return Err(self.parameter("pad"));
                }
                Kind::Pad { before, kind }
            }
            number::RESIZE => {
                let interpolation = match self.argument(0, 0..5, "interpolation")? {
                    0 => Interpolation::NearestPreferFloor,
                    1 => Interpolation::NearestPreferCeil,
                    2 => Interpolation::Floor,
                    3 => Interpolation::Ceil,
                    _ => Interpolation::Bilinear,
                };
                let coordinates = match self.argument(1, 0..4, "coordinates")? {
                    0 => Coordinates::HalfPixel,
                    1 => Coordinates::HalfPixelPytorch,
                    2 => Coordinates::Asymmetric,
                    _ => Coordinates::AlignCorners,
                };
                let scale = [self.float(field::ARGUMENTS + 2), self.float(field::ARGUMENTS + 3)];
                if scale.iter().any(|scale| !(scale.is_normal() && *scale > 0.0)) {
                    return Err(self.parameter("scale"));
                }
                if input.channels != output.channels {
                    return Err(self.shapes("a resize keeps the number of channels"));
                }
                Kind::Resize { scale, coordinates, interpolation }
            }
            number::SOFTMAX | number::L2_NORMALIZE if !input.same_shape(output) => {
                return Err(self.shapes("input and output have different shapes"));
            }
            number::SOFTMAX => Kind::Softmax,
            number::L2_NORMALIZE => {
                let epsilon = self.float(field::ARGUMENTS);
                if !(epsilon >= 0.0 && epsilon.is_finite()) {
                    return Err(self.parameter("epsilon"));
                }
                Kind::L2Normalize { epsilon }
            }
            number::REORDER => {
                if input.logical() != output.logical() {
                    return Err(self.shapes("input and output have different numbers of elements"));
                }
                Kind::Reorder
            }
            found => return Err(FormatError::OperatorKind { operator: self.operator(), found }),
        })
    }

    /// Checks that a convolution's windows stay within the input and its halo.
    fn covered(&self, input: &Value<'_>, output: &Value<'_>, window: &[Axis; 2]) -> Result<(), FormatError> {
        for (axis, (input, output, before, after)) in window.iter().zip([
            (input.height, output.height, input.halo.top, input.halo.bottom),
            (input.width, output.width, input.halo.left, input.halo.right),
        ]) {
            let last = (output as u64 - 1) * axis.stride as u64 + axis.span() as u64;
            if axis.pad > before || last > (axis.pad + input + after) as u64 {
                return Err(FormatError::Halo { operator: self.operator() });
            }
        }
        Ok(())
    }
}

/// The product, or `u64::MAX`, which no length equals, if it overflows.
fn product(factors: [u64; 4]) -> u64 {
    factors
        .into_iter()
        .try_fold(1u64, u64::checked_mul)
        .filter(|&product| product < 1 << 40)
        .unwrap_or(1 << 40)
}

/// Whether the runtime can compute a convolution by Winograd's F(2x2, 3x3).
pub(super) fn can_be_winograd(
    input: &Value<'_>,
    output: &Value<'_>,
    window: &[Axis; 2],
    groups: usize,
) -> bool {
    groups == 1
        && window.iter().all(|axis| axis.kernel == 3 && axis.stride == 1 && axis.dilation == 1)
        && output.height.is_multiple_of(2)
        && output.width.is_multiple_of(2)
        && input.channels <= WINOGRAD_MAX_CHANNELS
        && (NARROW + 1..=WINOGRAD_MAX_CHANNELS).contains(&output.channels)
        && input.kind == ValueType::F32
}

fn same_quantization(a: &Value<'_>, b: &Value<'_>) -> bool {
    (a.kind, a.scale.to_bits(), a.zero_point) == (b.kind, b.scale.to_bits(), b.zero_point)
}

impl<'a> Operator<'a> {
    pub(super) fn decode(
        record: &'a [u8],
        index: usize,
        context: &Context<'a, '_>,
    ) -> Result<Self, FormatError> {
        let name = if context.thorough {
            super::model::name(
                context.strings,
                word(record, field::NAME * 4),
                word(record, field::NAME * 4 + 4),
            )
            .ok_or(FormatError::NameOutOfRange { what: "operator", index })?
        } else {
            ""
        };
        let reader = Reader { record, name, context };
        let input = reader.value(field::INPUT)?;
        let output = reader.value(field::OUTPUT)?;
        let second = match reader.word(field::SECOND) {
            NONE => None,
            _ => Some(reader.value(field::SECOND)?),
        };
        let takes_second = matches!(
            reader.word(field::KIND),
            number::FULLY_CONNECTED
                | number::CONVOLUTION
                | number::DEPTHWISE
                | number::TRANSPOSED
                | number::BINARY
        );
        if second.is_some() && !takes_second {
            return Err(reader.parameter("second input"));
        }
        let kind = reader.kind(&input, second, &output)?;
        let now = index + 1;
        for value in [Some(input), second].into_iter().flatten() {
            if value.first >= now || value.last < now {
                return Err(FormatError::NotAlive {
                    operator: reader.operator(),
                    value: Name::new(value.name),
                });
            }
        }
        // A copy may add to an output that an earlier one began.
        let begun = matches!(kind, Kind::Copy { .. }) && output.first < now && output.last > now;
        if output.first != now && !begun {
            return Err(FormatError::NotAlive { operator: reader.operator(), value: Name::new(output.name) });
        }
        let overlap = |a: &Value<'_>, b: &Value<'_>| {
            let (a, b) = (a.range(1), b.range(1));
            a.start < b.end && b.start < a.end
        };
        let index_of = |at| reader.word(at);
        let in_place = overlap(&input, &output);
        let can_be_in_place = matches!(kind, Kind::Elementwise { .. } | Kind::Binary { .. })
            && input.kind == output.kind
            && input.offset == output.offset
            && input.halo == output.halo
            && input.last == now
            && index_of(field::SECOND) != index_of(field::INPUT);
        if index_of(field::INPUT) == index_of(field::OUTPUT)
            || (in_place && !can_be_in_place)
            || second.is_some_and(|second| overlap(&second, &output))
        {
            return Err(FormatError::Aliased { operator: reader.operator() });
        }
        Ok(Self { name, kind, input, second, output, in_place })
    }
}
