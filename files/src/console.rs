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
    print_bytes(text.as_bytes())
}

/// Writes bytes to stdout, at once.
///
/// # Errors
/// Where they cannot be written.
pub fn print_bytes(bytes: &[u8]) -> Result<(), OutputError> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
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
    say!("error: {}", printable(&chain(causes().map(ToString::to_string))));
    ExitCode::from(code)
}

/// An error and its causes in one sentence, each once: some errors tell their cause in their own words.
fn chain(causes: impl Iterator<Item = String>) -> String {
    causes.fold(String::new(), |text, cause| match () {
        () if text.is_empty() => cause,
        () if text.contains(&cause) => text,
        () => format!("{text}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_told_once() {
        let cases: [(&[&str], &str); 4] = [
            (&["a"], "a"),
            (&["cannot read x", "no such file"], "cannot read x: no such file"),
            (&["cannot read x: no such file", "no such file"], "cannot read x: no such file"),
            (&["failed: disk full; make room", "disk full"], "failed: disk full; make room"),
        ];
        for (causes, expected) in cases {
            assert_eq!(chain(causes.iter().map(ToString::to_string)), expected);
        }
    }
}
