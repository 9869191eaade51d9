//! Sessions: a model at work in an arena.

use core::ffi::{c_int, c_void};

use latent_runtime::native::Session;

use crate::memory::{Place, apart, open, opened, opened_mut, slice, slice_mut, write};
use crate::model::latent_model;
use crate::status::code;

/// The memory of a latent_session, in words of the size of a pointer, to which it is aligned.
pub const LATENT_SESSION_WORDS: usize = 80;

/// A model at work in an arena.
#[repr(C)]
pub struct latent_session {
    opaque: [usize; LATENT_SESSION_WORDS],
}

impl Place for latent_session {
    type Value = Session<'static, 'static>;
    const MARK: usize = 0x7365_7373;
}

/// Begins a session in an arena of latent_model_arena_length bytes or more, at any address, its own from now on. The
/// latent_model may go; its bytes may not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_session_open(
    session: *mut latent_session,
    model: *const latent_model,
    arena: *mut c_void,
    arena_length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        open(session, || {
            let model = opened(model)?;
            let bytes = model.bytes();
            apart((bytes.as_ptr(), bytes.len()), (arena.cast::<u8>(), arena_length))?;
            Ok(Session::new(model, slice_mut(arena.cast(), arena_length)?)?)
        })
    })
}

/// Runs a model of one input and one output on as many examples as the input holds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_session_run(
    session: *mut latent_session,
    input: *const f32,
    input_length: usize,
    output: *mut f32,
    output_length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        opened_mut(session).and_then(|session| {
            apart((input, input_length), (output, output_length))?;
            Ok(session.run(slice(input, input_length)?, slice_mut(output, output_length)?)?)
        })
    })
}

/// Runs a model that makes a picture, such as a generator, on one example. Pixels are 0 to 255, rows from above, the channels
/// of a pixel side by side.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_session_run_to_u8(
    session: *mut latent_session,
    input: *const f32,
    input_length: usize,
    pixels: *mut u8,
    pixels_length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        opened_mut(session).and_then(|session| {
            apart((input, input_length), (pixels, pixels_length))?;
            Ok(session.run_u8(slice(input, input_length)?, slice_mut(pixels, pixels_length)?)?)
        })
    })
}

/// Runs a model that takes a picture, such as an encoder, on one example. Pixels are as those of latent_session_run_to_u8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_session_run_from_u8(
    session: *mut latent_session,
    pixels: *const u8,
    pixels_length: usize,
    output: *mut f32,
    output_length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        opened_mut(session).and_then(|session| {
            apart((pixels, pixels_length), (output, output_length))?;
            Ok(session.run_u8(slice(pixels, pixels_length)?, slice_mut(output, output_length)?)?)
        })
    })
}

/// Gives one of the inputs, counted from 0, the values of one example. All inputs are given, in any order, before the first
/// latent_session_step.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_session_give(
    session: *mut latent_session,
    index: usize,
    values: *const f32,
    length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe { opened_mut(session).and_then(|session| Ok(session.give(index, slice(values, length)?)?)) })
}

/// As latent_session_give, with the pixels of a picture.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_session_give_u8(
    session: *mut latent_session,
    index: usize,
    pixels: *const u8,
    length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe { opened_mut(session).and_then(|session| Ok(session.give(index, slice(pixels, length)?)?)) })
}

/// Runs the next operator, and writes to `is_done` 1 once all have run, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_session_step(session: *mut latent_session, is_done: *mut c_int) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        opened_mut(session).and_then(|session| {
            write(is_done, 0)?;
            write(is_done, session.step()?.is_none().into())
        })
    })
}

/// Takes the values of one of the outputs, counted from 0, once all operators have run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_session_take(
    session: *mut latent_session,
    index: usize,
    values: *mut f32,
    length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        opened_mut(session).and_then(|session| Ok(session.take(index, slice_mut(values, length)?)?))
    })
}

/// As latent_session_take, as the pixels of a picture.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_session_take_u8(
    session: *mut latent_session,
    index: usize,
    pixels: *mut u8,
    length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        opened_mut(session).and_then(|session| Ok(session.take(index, slice_mut(pixels, length)?)?))
    })
}
