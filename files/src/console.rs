//! Lines to stdout and stderr, which may be closed, or a file on a full disk.
//!
//! [`say!`](crate::say) is for progress, notes and errors: where nobody can read them any more, work goes on.
//! [`output!`](crate::output) and [`print()`] are for results, and [`fail`] ends a program on an error of any kind.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use crate::text::printable;

/// Why a result was not written to stdout.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Whoever read it has seen enough (`| head`): no failure of the program.
    #[error("nobody reads the output any more")]
    ReaderGone,
    /// Another reason, such as a full disk.
    #[error("cannot write to stdout")]
    Io(#[source] io::Error),
}

/// Writes a line to stderr, formatted as by `format!`. Cannot fail.
#[macro_export]
macro_rules! say {
    ($($format:tt)*) => { $crate::console::write_stderr(format_args!($($format)*)) };
}

/// Writes a line to stdout, formatted as by `format!`. Returns a result with an
/// [`OutputError`](crate::console::OutputError).
#[macro_export]
macro_rules! output {
    ($($format:tt)*) => { $crate::console::print(&format!("{}\n", format_args!($($format)*))) };
}

/// What [`say!`](crate::say) does.
pub fn write_stderr(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes text to stdout, at once.
///
/// # Errors
/// Where it cannot be written.
pub fn print(text: &str) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => OutputError::ReaderGone,
        _ => OutputError::Io(error),
    })
}

/// Ends a program on an error: says it with its causes, each once and on one line, and returns the exit code, `code` or
/// that of success where only the output's reader has gone.
pub fn fail(error: &(dyn Error + 'static), code: u8) -> ExitCode {
    let causes = || std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source());
    if causes().any(|cause| matches!(cause.downcast_ref::<OutputError>(), Some(OutputError::ReaderGone))) {
        return ExitCode::SUCCESS;
    }
    let mut text = String::new();
    for cause in causes().map(ToString::to_string) {
        // Some errors repeat their cause in their own words.
        if !text.ends_with(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    say!("error: {}", printable(&text));
    ExitCode::from(code)
}
