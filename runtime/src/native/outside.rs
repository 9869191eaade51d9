//! What goes into a session and comes out of it, one example at a time: values, the bytes of pictures, or what lies in the
//! arena itself.

use super::execute::{Broken, export, fill_halo, import, values, values_mut};
use crate::backend::{RunError, Slot, check_count, check_slots};
use crate::format::{Model, Port, Value};
use crate::image_encoding::{Facts, ImageShape, Normalization};
use crate::kernels::epilogue::quantize;
use crate::kernels::values::{Values, ValuesMut};
use crate::pixels::ValueRange;

/// One example for an input.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Values, in the order of the input's shape.
    Values(&'a [f32]),
    /// The pixels of a picture, the channels of each side by side.
    Pixels(&'a [u8]),
}

/// Room for one example of an output.
#[derive(Debug)]
pub enum Output<'a> {
    /// Values, in the order of the output's shape.
    Values(&'a mut [f32]),
    /// The pixels of a picture, the channels of each side by side.
    Pixels(&'a mut [u8]),
}

macro_rules! from_slices {
    ($element:ty, $variant:ident) => {
        impl<'a> From<&'a [$element]> for Input<'a> {
            fn from(slice: &'a [$element]) -> Self {
                Self::$variant(slice)
            }
        }
        impl<'a, const LEN: usize> From<&'a [$element; LEN]> for Input<'a> {
            fn from(array: &'a [$element; LEN]) -> Self {
                Self::$variant(array)
            }
        }
        impl<'a> From<&'a mut [$element]> for Output<'a> {
            fn from(slice: &'a mut [$element]) -> Self {
                Self::$variant(slice)
            }
        }
        impl<'a, const LEN: usize> From<&'a mut [$element; LEN]> for Output<'a> {
            fn from(array: &'a mut [$element; LEN]) -> Self {
                Self::$variant(array)
            }
        }
    };
}
from_slices!(f32, Values);
from_slices!(u8, Pixels);

/// What makes the error of a broken model of its first operator, or of the end.
fn damaged(operator: usize) -> impl Fn(Broken) -> RunError {
    move |Broken| RunError::Damaged { operator }
}

impl Input<'_> {
    pub(super) fn write(self, model: &Model<'_>, index: usize, arena: &mut [u8]) -> Result<(), RunError> {
        if index >= model.inputs().len() {
            check_count("input", model.inputs().map(|port| port.name), index + 1)?;
        }
        let port = model.inputs().nth(index).ok_or(RunError::Damaged { operator: 0 })?;
        let value = &port.value;
        match self {
            Self::Values(given) => {
                let slot = Slot { name: port.name, kind: port.kind, values: value.logical() };
                check_slots(core::iter::once(slot), core::iter::empty(), 1, &[given], &[])?;
                import(value, arena, 1, given).map_err(damaged(0))
            }
            Self::Pixels(pixels) => {
                let (expected, found) = (value.logical(), pixels.len());
                if expected != found {
                    return Err(RunError::InputLength { expected, found });
                }
                if Normalization::is_stated(model) {
                    return Err(RunError::Normalized);
                }
                write_pixels(model, &port, arena, pixels).map_err(damaged(0))
            }
        }
    }
}

impl Output<'_> {
    /// Whether it has room for exactly one example.
    pub(super) fn check(&self, model: &Model<'_>, index: usize) -> Result<(), RunError> {
        let found = match self {
            Self::Values(values) => values.len(),
            Self::Pixels(pixels) => pixels.len(),
        };
        if index >= model.outputs().len() {
            check_count("output", model.outputs().map(|port| port.name), index + 1)?;
        }
        match model
            .output_to_run(index)
            .ok_or(RunError::Damaged { operator: model.operators_len() })?
            .logical()
        {
            expected if expected == found => Ok(()),
            expected => Err(RunError::OutputLength { expected, found }),
        }
    }

    pub(super) fn read(self, model: &Model<'_>, index: usize, arena: &[u8]) -> Result<(), RunError> {
        self.check(model, index)?;
        let end = model.operators_len();
        let port = model.outputs().nth(index).ok_or(RunError::Damaged { operator: end })?;
        match self {
            Self::Values(room) => export(&port.value, arena, 1, room),
            Self::Pixels(pixels) => read_pixels(model, &port, arena, pixels),
        }
        .map_err(damaged(end))
    }
}

/// How the pixels of a model's pictures are values: black and white, and channels that lie in planes (1 where they do not).
fn picture(model: &Model<'_>, port: &Port<'_>) -> (ValueRange, usize) {
    let facts = Facts::of(model);
    let planes = match ImageShape::of(port.shape.as_slice(), facts.image) {
        Some((image, false)) => image.channels,
        Some((_, true)) => 1,
        // A picture as a vector: its planes one after the other.
        None => facts.image.map_or(1, |image| image.channels),
    };
    (facts.range.unwrap_or(facts.usual_range()), planes)
}

/// Calls `each(element in the arena, pixel)` for all elements of one example, in the order of the outer shape.
#[inline(always)]
fn pair(value: &Value<'_>, planes: usize, mut each: impl FnMut(usize, usize) -> Option<()>) -> Option<()> {
    let (mut pixel, mut plane) = (0, 0);
    for channel in 0..value.channels {
        for row in 0..value.height {
            let mut inside = value.origin() + row * value.row() + channel;
            for _ in 0..value.width {
                each(inside, pixel)?;
                inside += value.stride();
                pixel += planes;
                if pixel >= value.logical() {
                    plane += 1;
                    pixel = plane;
                }
            }
        }
    }
    Some(())
}

/// All 256 results of a function, or the function itself where there are fewer elements than that.
fn tabulated<T: Copy + Default>(elements: usize, function: impl Fn(u8) -> T) -> impl Fn(u8) -> T {
    let mut table = [T::default(); 256];
    let is_used = elements > table.len();
    if is_used {
        for (byte, result) in (0..=255).zip(&mut table) {
            *result = function(byte);
        }
    }
    move |byte| {
        if is_used { table.get(usize::from(byte)).copied().unwrap_or_default() } else { function(byte) }
    }
}

fn write_pixels(model: &Model<'_>, port: &Port<'_>, arena: &mut [u8], pixels: &[u8]) -> Result<(), Broken> {
    let value = &port.value;
    let (range, planes) = picture(model, port);
    let mut target = values_mut(value, arena.get_mut(value.range(1)).ok_or(Broken)?)?;
    fill_halo(value, 1, &mut target)?;
    let inverse = 1.0 / value.scale;
    match target {
        ValuesMut::U8(to) => {
            let byte = tabulated(value.logical(), |pixel| {
                quantize(range.from_u8(pixel) * inverse, value.zero_point)
            });
            pair(value, planes, |at, pixel| {
                *to.get_mut(at)? = byte(*pixels.get(pixel)?);
                Some(())
            })
        }
        ValuesMut::F32(to) => pair(value, planes, |at, pixel| {
            *to.get_mut(at)? = range.from_u8(*pixels.get(pixel)?);
            Some(())
        }),
    }
    .ok_or(Broken)
}

fn read_pixels(model: &Model<'_>, port: &Port<'_>, arena: &[u8], pixels: &mut [u8]) -> Result<(), Broken> {
    let value = &port.value;
    let (range, planes) = picture(model, port);
    match values(value, arena.get(value.range(1)).ok_or(Broken)?)? {
        Values::U8(from) => {
            let byte = tabulated(value.logical(), |q| range.to_u8(real(value, q)));
            pair(value, planes, |at, pixel| {
                *pixels.get_mut(pixel)? = byte(*from.get(at)?);
                Some(())
            })
        }
        Values::F32(from) => pair(value, planes, |at, pixel| {
            *pixels.get_mut(pixel)? = range.to_u8(*from.get(at)?);
            Some(())
        }),
    }
    .ok_or(Broken)
}

/// The real value of a quantized element.
fn real(value: &Value<'_>, byte: u8) -> f32 {
    (i32::from(byte) - i32::from(value.zero_point)) as f32 * value.scale
}

/// An output where it lies in the arena.
#[derive(Clone, Copy, Debug)]
pub struct View<'m, 'a> {
    /// Its shape, where its elements lie and, of quantized ones, their scale and zero point.
    pub value: Value<'m>,
    /// Its bytes, whatever lies around the picture included: f32 in the machine's order, or quantized.
    pub bytes: &'a [u8],
}

impl<'m, 'a> View<'m, 'a> {
    pub(super) fn new(model: &Model<'m>, index: usize, arena: &'a [u8]) -> Option<Self> {
        let value = model.output_to_run(index)?;
        Some(Self { value, bytes: arena.get(value.range(1))? })
    }

    /// The real value of an element; `None` beyond the shape.
    pub fn get(&self, channel: usize, row: usize, column: usize) -> Option<f32> {
        let at = element(&self.value, channel, row, column)?;
        Some(match values(&self.value, self.bytes).ok()? {
            Values::F32(values) => *values.get(at)?,
            Values::U8(bytes) => real(&self.value, *bytes.get(at)?),
        })
    }
}

/// An input where it lies in the arena, to be written.
#[derive(Debug)]
pub struct ViewMut<'m, 'a> {
    /// Its shape, where its elements lie and, of quantized ones, their scale and zero point.
    pub value: Value<'m>,
    /// Its bytes: f32 in the machine's order, or quantized. What lies around the picture must stay as it is.
    pub bytes: &'a mut [u8],
}

impl<'m, 'a> ViewMut<'m, 'a> {
    pub(super) fn new(model: &Model<'m>, index: usize, arena: &'a mut [u8]) -> Option<Self> {
        let value = model.input_to_run(index)?;
        let bytes = arena.get_mut(value.range(1))?;
        fill_halo(&value, 1, &mut values_mut(&value, bytes).ok()?).ok()?;
        Some(Self { value, bytes })
    }

    /// Sets an element to a real value, or to what is nearest to it; `None` beyond the shape.
    pub fn set(&mut self, channel: usize, row: usize, column: usize, real: f32) -> Option<()> {
        let at = element(&self.value, channel, row, column)?;
        match values_mut(&self.value, self.bytes).ok()? {
            ValuesMut::F32(values) => *values.get_mut(at)? = real,
            ValuesMut::U8(bytes) => {
                *bytes.get_mut(at)? = quantize(real * (1.0 / self.value.scale), self.value.zero_point);
            }
        }
        Some(())
    }
}

/// Where an element lies among those of its value.
fn element(value: &Value<'_>, channel: usize, row: usize, column: usize) -> Option<usize> {
    let inside = channel < value.channels && row < value.height && column < value.width;
    inside.then(|| value.origin() + row * value.row() + column * value.stride() + channel)
}
