//! Latent vectors: drawing them, and walking between them.

use core::ffi::c_int;

use latent_runtime::latent::{Distribution, slerp};
use latent_runtime::native::instruction_set;
use latent_runtime::rng::Rng;

use crate::memory::{apart, opened, slice, slice_mut, write};
use crate::model::{latent_model, latent_text};
use crate::status::{Failure, LATENT_NOT_OPEN, LATENT_NOT_STATED, LATENT_NULL, LATENT_PARAMETER, code};

/// A random number generator (xoshiro256++), whose numbers are the same bits on every machine.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct latent_rng {
    /// All there is to save; never all 0.
    pub state: [u64; 4],
}

/// Begins with a seed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_rng_seed(rng: *mut latent_rng, seed: u64) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe { write(rng, latent_rng { state: Rng::from_seed(seed).state() }) })
}

/// Draws values of a distribution.
///
/// # Safety
/// Pointers that are not null lead to what they say.
unsafe fn fill(
    rng: *mut latent_rng,
    distribution: Option<Distribution>,
    values: *mut f32,
    length: usize,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    unsafe {
        let state = slice(rng, 1)?.first().ok_or(Failure(LATENT_NULL))?.state;
        let mut drawn = Rng::from_state(state).ok_or(Failure(LATENT_NOT_OPEN))?;
        let distribution = distribution.ok_or(Failure(LATENT_PARAMETER))?;
        apart((rng, 1), (values, length))?;
        distribution.fill(&mut drawn, slice_mut(values, length)?);
        write(rng, latent_rng { state: drawn.state() })
    }
}

/// Draws values that are uniform between `low` and `high`, which is more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_fill_uniform(
    rng: *mut latent_rng,
    low: f32,
    high: f32,
    values: *mut f32,
    length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe { fill(rng, Distribution::from_parts("uniform", low, high), values, length) })
}

/// Draws normal values of a mean and a standard deviation, which is positive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_fill_normal(
    rng: *mut latent_rng,
    mean: f32,
    std: f32,
    values: *mut f32,
    length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe { fill(rng, Distribution::from_parts("normal", mean, std), values, length) })
}

/// Draws latent values of the model's own distribution. LATENT_NOT_STATED if it states none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_model_sample(
    model: *const latent_model,
    rng: *mut latent_rng,
    values: *mut f32,
    length: usize,
) -> c_int {
    // SAFETY: the caller's, as the header has it.
    code(unsafe {
        opened(model).and_then(|model| {
            let distribution = model.distribution().ok_or(Failure(LATENT_NOT_STATED))?;
            fill(rng, Some(distribution), values, length)
        })
    })
}

/// Spherical interpolation: `between` becomes what lies at `t` of the way, 0 to 1, on the arc from `a` to `b`. All three have
/// `length` values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn latent_slerp(
    a: *const f32,
    b: *const f32,
    t: f32,
    between: *mut f32,
    length: usize,
) -> c_int {
    let walk = || {
        apart((a, length), (between, length))?;
        apart((b, length), (between, length))?;
        // SAFETY: the caller's, as the header has it.
        let (a, b, between) = unsafe { (slice(a, length)?, slice(b, length)?, slice_mut(between, length)?) };
        slerp(a, b, t, between);
        Ok(())
    };
    code(walk())
}

/// The name of the best instruction set that this machine has and the library knows, such as AVX-512 VNNI: what sessions use.
#[unsafe(no_mangle)]
pub extern "C" fn latent_instruction_set() -> latent_text {
    latent_text::new(instruction_set())
}
