//! What goes wrong, as Python exceptions.

use std::any::Any;
use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use latent_runtime::Error as RuntimeError;
use latent_runtime::backend::RunError;
use latent_runtime::native::LoadError;
use latent_runtime::pixels::PixelError;
use pyo3::create_exception;
use pyo3::exceptions::{PyMemoryError, PyOSError, PyValueError};
use pyo3::prelude::*;

create_exception!(
    latent,
    Error,
    PyValueError,
    "What the engine cannot do; `code` is its stable number (`latent_runtime::CODES`), 0 where there is none."
);

/// No number of the runtime's.
pub(crate) const NO_CODE: u16 = 0;

/// A [`struct@Error`] with a number.
pub(crate) fn error(code: u16, message: impl Display) -> PyErr {
    let error = Error::new_err(message.to_string());
    Python::attach(|py| match error.value(py).setattr("code", code) {
        Ok(()) => error,
        Err(other) => other,
    })
}

/// A failed run.
pub(crate) fn run_error(error: RunError) -> PyErr {
    let message = error.to_string();
    self::error(RuntimeError::Run(error).code(), message)
}

/// A picture that cannot be converted.
pub(crate) fn pixel_error(error: PixelError) -> PyErr {
    self::error(RuntimeError::Pixels(error).code(), error)
}

/// A packed model that cannot be loaded.
pub(crate) fn load_error(error: LoadError) -> PyErr {
    let message = error.to_string();
    match error {
        LoadError::Io { source, .. } => io_error(&source, message),
        LoadError::Format { source, .. } => self::error(RuntimeError::Format(source).code(), message),
        LoadError::TooLarge => PyMemoryError::new_err(message),
        _ => self::error(NO_CODE, message),
    }
}

/// The exception of the system's error, such as FileNotFoundError.
pub(crate) fn io_error(source: &io::Error, message: String) -> PyErr {
    match source.raw_os_error() {
        // Python chooses the class by the number.
        Some(number) => PyOSError::new_err((number, message)),
        None => PyOSError::new_err(message),
    }
}

/// Does what needs nothing of Python's, so that its other threads go on meanwhile. A panic, which would be a fault of the
/// engine, is an error.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work))).map_err(|panic| {
        let message = format!("the engine failed, please report this: {}", text(panic.as_ref()));
        run_error(RunError::Engine { engine: "latent", message })
    })
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}
