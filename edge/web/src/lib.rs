//! The engine as a WebAssembly module without imports: an instance of it holds one model, and its memory is the model's,
//! so that there is nothing to be freed but the instance. `latent.js` is the other side of each function here.
//!
//! Memory is taken from the end by [`latent_room`], where JavaScript puts the file. Functions that can fail give an
//! [`Error::code`], 0 for success; [`latent_text`] then has the constant words for it: formatted sentences, with numbers in
//! them, would take a fifth of the module.
#![no_std]
#![warn(missing_docs)]

mod describe;
mod memory;

use core::panic::PanicInfo;
use core::slice;

use latent_runtime::Error;
use latent_runtime::format::{Model, Port};
use latent_runtime::latent::{self, Distribution};
use latent_runtime::native::Session;
use latent_runtime::rng::Rng;

use memory::{Alone, room};

/// A model that has been opened, with the places of what goes in and comes out.
struct Opened {
    model: Model<'static>,
    session: Session<'static, 'static>,
    /// Values of an example of each input, one input after the other, then of each output.
    values: *mut f32,
    /// Bytes of the first output as a picture.
    pixels: *mut u8,
}

static OPENED: Alone<Option<Opened>> = Alone::new(None);
static TEXT: Alone<memory::Text> = Alone::new(memory::Text::new());

/// What a call has to give to JavaScript when it fails: a code, and the words for it in [`TEXT`].
fn code(result: Result<(), Error>) -> u32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            TEXT.with(|text| text.set(&error.text()));
            error.code().into()
        }
    }
}

/// What there is no code for: the browser gives no more memory.
const NO_MEMORY: u32 = 1;
/// Nothing has been opened.
const NOTHING_OPEN: u32 = 2;

fn is_open(work: impl FnOnce(&mut Opened) -> Result<(), Error>) -> u32 {
    OPENED.with(|opened| opened.as_mut().map_or(NOTHING_OPEN, |opened| code(work(opened))))
}

fn values(ports: impl Iterator<Item = Port<'static>>) -> usize {
    ports.map(|port| port.value.logical()).sum()
}

impl Opened {
    /// The values of an input.
    fn input(&self, index: usize) -> &'static [f32] {
        let from = values(self.model.inputs().take(index));
        let count = values(self.model.inputs().skip(index).take(1));
        // SAFETY: `latent_open` has made room for all ports; JavaScript writes only between calls.
        unsafe { slice::from_raw_parts(self.values.add(from), count) }
    }

    /// The place of an output's values.
    fn output(&self, index: usize) -> *mut f32 {
        let at = values(self.model.inputs()) + values(self.model.outputs().take(index));
        self.values.wrapping_add(at)
    }

    fn compute(&mut self) -> Result<(), Error> {
        for index in 0..self.model.inputs().len() {
            let input = self.input(index);
            self.session.give(index, input)?;
        }
        while self.session.step()?.is_some() {}
        Ok(())
    }
}

/// So many bytes of memory, zero, at a multiple of 64, as long as the instance lives; 0 if there are no more.
#[unsafe(no_mangle)]
pub extern "C" fn latent_room(bytes: usize) -> *mut u8 {
    room(bytes)
}

/// Opens the packed model that JavaScript has put into [`latent_room`].
///
/// # Safety
/// `bytes` is such a place, of so many bytes, that nobody writes to from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_open(bytes: *const u8, length: usize) -> u32 {
    // SAFETY: the caller's promise.
    let bytes: &'static [u8] = unsafe { slice::from_raw_parts(bytes, length) };
    let model = match Model::from_bytes(bytes) {
        Ok(model) => model,
        Err(error) => return code(Err(error.into())),
    };
    let arena_length = model.arena_len(1).unwrap_or(usize::MAX);
    let pixels = model.outputs().next().map_or(0, |port| port.value.logical());
    let numbers = values(model.inputs()).saturating_add(values(model.outputs()));
    let (arena, values, pixels) = (room(arena_length), room(numbers.saturating_mul(4)), room(pixels));
    if [arena, values, pixels].iter().any(|place| place.is_null()) {
        return NO_MEMORY;
    }
    // SAFETY: `room` has given these bytes to nobody else, and set them to zero.
    let arena: &'static mut [u8] = unsafe { slice::from_raw_parts_mut(arena, arena_length) };
    code(Session::new(&model, arena).map_err(Error::from).map(|session| {
        let values = values.cast();
        OPENED.with(|opened| *opened = Some(Opened { model, session, values, pixels }));
    }))
}

/// Writes what the model is, in JSON, to [`latent_text`].
#[unsafe(no_mangle)]
pub extern "C" fn latent_describe() -> u32 {
    is_open(|opened| {
        TEXT.with(|text| text.set(&describe::Description(&opened.model)));
        Ok(())
    })
}

/// Where the last text begins: UTF-8.
#[unsafe(no_mangle)]
pub extern "C" fn latent_text() -> *const u8 {
    TEXT.with(|text| text.start())
}

/// Bytes of the last text.
#[unsafe(no_mangle)]
pub extern "C" fn latent_text_length() -> usize {
    TEXT.with(|text| text.length())
}

/// Where the values of an input go.
#[unsafe(no_mangle)]
pub extern "C" fn latent_input(index: usize) -> *const f32 {
    OPENED.with(|opened| opened.as_ref().map_or(core::ptr::null(), |opened| opened.input(index).as_ptr()))
}

/// Where the values of an output are after [`latent_run`].
#[unsafe(no_mangle)]
pub extern "C" fn latent_output(index: usize) -> *const f32 {
    OPENED.with(|opened| opened.as_ref().map_or(core::ptr::null(), |opened| opened.output(index)))
}

/// Where the pixels of the first output are after [`latent_draw`]: rows from above, the channels of a pixel side by side.
#[unsafe(no_mangle)]
pub extern "C" fn latent_pixels() -> *const u8 {
    OPENED.with(|opened| opened.as_ref().map_or(core::ptr::null(), |opened| opened.pixels))
}

/// Computes all outputs from all inputs.
#[unsafe(no_mangle)]
pub extern "C" fn latent_run() -> u32 {
    is_open(|opened| {
        opened.compute()?;
        for (index, port) in opened.model.outputs().enumerate() {
            // SAFETY: `latent_open` has made room for all ports; JavaScript reads only between calls.
            let output = unsafe { slice::from_raw_parts_mut(opened.output(index), port.value.logical()) };
            opened.session.take(index, output)?;
        }
        Ok(())
    })
}

/// Computes the first output as pixels.
#[unsafe(no_mangle)]
pub extern "C" fn latent_draw() -> u32 {
    is_open(|opened| {
        opened.compute()?;
        let length = opened.model.outputs().next().map_or(0, |port| port.value.logical());
        // SAFETY: `latent_open` has made room for as many bytes as the output has values.
        let pixels = unsafe { slice::from_raw_parts_mut(opened.pixels, length) };
        Ok(opened.session.take(0, pixels)?)
    })
}

/// Draws a latent vector from what the model states, else uniformly from -1 to 1: with the same seed the same as every
/// other program of the project.
///
/// # Safety
/// There are `length` numbers at `to`, in [`latent_room`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_sample(seed: u64, to: *mut f32, length: usize) -> u32 {
    is_open(|opened| {
        let distribution = opened.model.distribution().unwrap_or(Distribution::REFERENCE);
        // SAFETY: the caller's promise.
        let latent = unsafe { slice::from_raw_parts_mut(to, length) };
        distribution.fill(&mut Rng::from_seed(seed), latent);
        Ok(())
    })
}

/// Spherical interpolation between two vectors.
///
/// # Safety
/// There are `length` numbers at each place, in [`latent_room`], and those at `to` are others than what is read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_slerp(a: *const f32, b: *const f32, t: f32, to: *mut f32, length: usize) {
    // SAFETY: the caller's promise.
    let (a, b, to) = unsafe {
        (
            slice::from_raw_parts(a, length),
            slice::from_raw_parts(b, length),
            slice::from_raw_parts_mut(to, length),
        )
    };
    latent::slerp(a, b, t, to);
}

/// Ends in a trap, which JavaScript sees as an error. No input is known that comes here.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
