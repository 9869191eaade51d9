//! What functions give: 0, or the number of an error.

use core::ffi::{c_char, c_int};

use latent_runtime::{CODES, Error};

/// Success.
pub const LATENT_OK: c_int = 0;
/// A pointer is null.
pub const LATENT_NULL: c_int = 1;
/// A pointer is not aligned for its type.
pub const LATENT_MISALIGNED: c_int = 2;
/// What is given overlaps what is written.
pub const LATENT_OVERLAP: c_int = 3;
/// A model, session or random number generator has not been opened or seeded, or opening it failed.
pub const LATENT_NOT_OPEN: c_int = 4;
/// There is no such input, output or metadata.
pub const LATENT_NO_SUCH: c_int = 5;
/// The model does not state it.
pub const LATENT_NOT_STATED: c_int = 6;
/// A parameter is out of range.
pub const LATENT_PARAMETER: c_int = 7;
/// A length is impossible.
pub const LATENT_LENGTH: c_int = 8;

/// Those that only C can cause, with their texts; the others are the runtime's.
const OWN: [(c_int, &str); 9] = [
    (LATENT_OK, "success"),
    (LATENT_NULL, "null pointer"),
    (LATENT_MISALIGNED, "pointer not aligned for its type"),
    (LATENT_OVERLAP, "what is given overlaps what is written"),
    (LATENT_NOT_OPEN, "not opened or seeded, or opening failed"),
    (LATENT_NO_SUCH, "no such input, output or metadata"),
    (LATENT_NOT_STATED, "the model does not state it"),
    (LATENT_PARAMETER, "parameter out of range"),
    (LATENT_LENGTH, "impossible length"),
];

/// Why a function failed: a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) c_int);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into().code() as c_int)
    }
}

/// What a function of the API gives for a result.
pub(crate) fn code(result: Result<(), Failure>) -> c_int {
    result.map_or_else(|Failure(code)| code, |()| LATENT_OK)
}

const COUNT: usize = OWN.len() + CODES.len();

const fn entry(index: usize) -> (c_int, &'static str) {
    if index < OWN.len() {
        OWN[index]
    } else {
        (CODES[index - OWN.len()].0 as c_int, CODES[index - OWN.len()].1)
    }
}

const NUMBERS: [c_int; COUNT] = {
    let (mut numbers, mut index) = ([0; COUNT], 0);
    while index < COUNT {
        numbers[index] = entry(index).0;
        index += 1;
    }
    numbers
};

const LENGTH: usize = {
    let (mut length, mut index) = (0, 0);
    while index < COUNT {
        length += entry(index).1.len() + 1;
        index += 1;
    }
    length
};

/// All texts, each with C's end.
static TEXTS: [u8; LENGTH] = {
    let (mut texts, mut at, mut index) = ([0; LENGTH], 0, 0);
    while index < COUNT {
        let (text, mut byte) = (entry(index).1.as_bytes(), 0);
        while byte < text.len() {
            texts[at + byte] = text[byte];
            byte += 1;
        }
        at += text.len() + 1;
        index += 1;
    }
    texts
};

/// What a code means, in a few constant words; "unknown code" for what is none. Never null.
#[unsafe(no_mangle)]
pub extern "C" fn latent_error_text(code: c_int) -> *const c_char {
    let index = NUMBERS.iter().position(|&number| number == code);
    let text = index.and_then(|index| TEXTS.split(|&byte| byte == 0).nth(index));
    text.map_or(c"unknown code".as_ptr(), |text| text.as_ptr().cast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::CStr;

    #[test]
    fn every_code_has_its_text() {
        // SAFETY: the function's texts end as C's do.
        let text = |code| unsafe { CStr::from_ptr(latent_error_text(code)) }.to_str().unwrap();
        for (code, expected) in OWN {
            assert_eq!(text(code), expected);
        }
        for &(code, expected) in CODES {
            assert_eq!(text(code.into()), expected);
        }
        for code in [-1, 9, 99, 9999] {
            assert_eq!(text(code), "unknown code");
        }
        assert!(NUMBERS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
