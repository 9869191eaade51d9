//! Panics of other people's engines, which become errors of theirs.

use std::any::Any;
use std::cell::Cell;
use std::format;
use std::panic::{self, AssertUnwindSafe};
use std::string::String;

std::thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a part of an engine; a panic in it becomes an error.
pub(crate) fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let outer = CATCHING.replace(true);
    // What the engine was working on is thrown away with the error.
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    CATCHING.set(outer);
    result.unwrap_or_else(|panic| Err(format!("it stopped with a fault of its own: {}", message(&*panic))))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it did not say which")
}

/// Keeps the panics of engines that become errors from being reported as panics, too: changes the program's panic hook, for
/// good. For a program to call when it begins.
pub fn report_engine_panics_as_errors_only() {
    let others = panic::take_hook();
    panic::set_hook(std::boxed::Box::new(move |info| {
        if !CATCHING.get() {
            others(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_says_why() {
        assert_eq!(caught(|| Ok(1)), Ok(1));
        let index = 7;
        type Case<'a> = (&'a dyn Fn() -> Result<(), String>, &'static str);
        let cases: [Case<'_>; 3] = [
            (&|| Err("refused".into()), "refused"),
            (&|| panic!("a constant"), "it stopped with a fault of its own: a constant"),
            (&|| panic!("at {index}"), "it stopped with a fault of its own: at 7"),
        ];
        for (run, expected) in cases {
            assert_eq!(caught(run), Err(expected.into()));
        }
        assert!(!CATCHING.get());
    }
}
