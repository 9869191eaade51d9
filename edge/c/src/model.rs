//! Models: opening them, and what they say of themselves.

use core::ffi::{CStr, c_char, c_int, c_void};

use latent_runtime::format::{Model, Port, PortType};
use latent_runtime::image_encoding::{Facts, ImageShape};

use crate::memory::{Place, open, opened, slice, write};
use crate::status::{Failure, LATENT_NO_SUCH, LATENT_NULL, code};

/// The memory of a latent_model, in words of the size of a pointer, to which it is aligned.
pub const LATENT_MODEL_WORDS: usize = 64;
/// The most axes of a shape.
pub const LATENT_MAX_RANK: usize = 6;

/// A packed model that has been opened: a view of its bytes, which stay where they are.
#[repr(C)]
pub struct latent_model {
    opaque: [usize; LATENT_MODEL_WORDS],
}

impl Place for latent_model {
    type Value = Model<'static>;
    const MARK: usize = 0x6d6f_6465;
}

/// Text that no zero ends. It lies in the model's bytes or is a constant: nothing to free.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct latent_text {
    /// UTF-8.
    pub data: *const c_char,
    /// Bytes.
    pub length: usize,
}

impl latent_text {
    pub(crate) fn new(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), length: text.len() }
    }
}

/// An input or an output of a model.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct latent_port {
    /// Its name.
    pub name: latent_text,
    /// The values of one example: the product of its shape.
    pub length: usize,
    /// The axes of its shape, without the batch axis.
    pub rank: usize,
    /// The extents of its axes, beyond the rank 0.
    pub shape: [usize; LATENT_MAX_RANK],
    /// 1 if its values are whole numbers, such as labels, else 0. They are given as float in any case.
    pub is_whole: c_int,
}

impl latent_port {
    fn new(port: &Port<'_>) -> Self {
        let mut shape = [0; LATENT_MAX_RANK];
        let extents = port.shape.as_slice();
        shape.iter_mut().zip(extents).for_each(|(to, from)| *to = *from);
        Self {
            name: latent_text::new(port.name),
            length: port.value.logical(),
            rank: extents.len(),
            shape,
            is_whole: (port.kind == PortType::Integer).into(),
        }
    }
}

/// The pictures that a model makes or takes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct latent_image {
    /// 1 (gray) or 3 (RGB).
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The value of a black pixel (0).
    pub black: f32,
    /// The value of a white pixel (255).
    pub white: f32,
    /// 1 if the model states these two, 0 if they are the usual ones of its kind.
    pub is_stated: c_int,
}

/// Opens a packed model (.lat), of which everything is checked, the checksum included. The bytes lie at an address that is a
/// multiple of 4; of 64 is fastest.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_open(
    model: *mut latent_model,
    bytes: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe { open(model, || Ok(Model::from_bytes(slice(bytes.cast(), length)?)?)) })
}

/// As latent_model_open, but without the checksum, which takes most of the time: for bytes that have been opened before and
/// cannot have changed since. It is as safe; what it does not see is a changed weight.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_open_trusted(
    model: *mut latent_model,
    bytes: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe { open(model, || Ok(Model::from_trusted(slice(bytes.cast(), length)?)?)) })
}

/// Bytes of working memory for a session that runs so many examples at once, wherever they lie; 0 if the model is not open or
/// there is no such memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_arena_length(model: *const latent_model, batch: usize) -> usize {
    // SAFETY: the caller's, as the header has it.
    unsafe { opened(model) }.ok().and_then(|model| model.arena_len(batch)).unwrap_or(0)
}

/// Values of one example of the first input; 0 if the model is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_input_length(model: *const latent_model) -> usize {
    // SAFETY: the caller's, as the header has it.
    unsafe { opened(model) }.ok().and_then(Model::input).map_or(0, |value| value.logical())
}

/// Values of one example of the first output; 0 if the model is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_output_length(model: *const latent_model) -> usize {
    // SAFETY: the caller's, as the header has it.
    unsafe { opened(model) }.ok().and_then(Model::output).map_or(0, |value| value.logical())
}

/// The number of inputs; 0 if the model is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_inputs(model: *const latent_model) -> usize {
    // SAFETY: the caller's, as the header has it.
    unsafe { opened(model) }.map_or(0, |model| model.inputs().len())
}

/// The number of outputs; 0 if the model is not open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_outputs(model: *const latent_model) -> usize {
    // SAFETY: the caller's, as the header has it.
    unsafe { opened(model) }.map_or(0, |model| model.outputs().len())
}

/// Writes what is said of an input or output, if there is such a one.
///
/// # Safety
/// A pointer that is not null leads to room for a port.
unsafe fn write_port(found: Option<Port<'_>>, port: *mut latent_port) -> Result<(), Failure> {
    let found = found.ok_or(Failure(LATENT_NO_SUCH))?;
    // SAFETY: the caller's promise.
    unsafe { write(port, latent_port::new(&found)) }
}

/// One of the inputs, counted from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_input(
    model: *const latent_model,
    index: usize,
    port: *mut latent_port,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe { opened(model).and_then(|model| write_port(model.inputs().nth(index), port)) })
}

/// One of the outputs, counted from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_output(
    model: *const latent_model,
    index: usize,
    port: *mut latent_port,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe { opened(model).and_then(|model| write_port(model.outputs().nth(index), port)) })
}

/// The pictures that go into a model or, if none do, come out of it. LATENT_NO_SUCH if neither.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_image(model: *const latent_model, image: *mut latent_image) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        opened(model).and_then(|model| {
            let facts = Facts::of(model);
            let shape = if facts.takes_images() { facts.input } else { facts.output };
            let (found, _) = ImageShape::of(shape, facts.image)
                .filter(|_| facts.takes_images() || facts.gives_images())
                .ok_or(Failure(LATENT_NO_SUCH))?;
            let range = facts.range.unwrap_or(facts.usual_range());
            let ImageShape { channels, height, width } = found;
            let (black, white, is_stated) = (range.low(), range.high(), facts.range.is_some().into());
            write(image, latent_image { channels, height, width, black, white, is_stated })
        })
    })
}

/// The text under a key of the metadata. LATENT_NO_SUCH if there is no such key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_metadata(
    model: *const latent_model,
    key: *const c_char,
    text: *mut latent_text,
) -> c_int {
    // SAFETY: the caller's, as the header has it; a key ends with a zero.
    code(unsafe {
        opened(model).and_then(|model| {
            let key = if key.is_null() { Err(Failure(LATENT_NULL)) } else { Ok(CStr::from_ptr(key)) }?;
            let mut entries = model.metadata();
            let found = entries.find(|(found, _)| found.as_bytes() == key.to_bytes());
            write(text, latent_text::new(found.ok_or(Failure(LATENT_NO_SUCH))?.1))
        })
    })
}

/// Key and text of an entry of the metadata, counted from 0. LATENT_NO_SUCH beyond the last.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_metadata_at(
    model: *const latent_model,
    index: usize,
    key: *mut latent_text,
    text: *mut latent_text,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        opened(model).and_then(|model| {
            let found = model.metadata().nth(index).ok_or(Failure(LATENT_NO_SUCH))?;
            write(key, latent_text::new(found.0))?;
            write(text, latent_text::new(found.1))
        })
    })
}
