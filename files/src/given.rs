//! What a user gives to one of a model's inputs: numbers, or a file of them.

use std::io;
use std::path::Path;

use crate::npy::{self, NpyError};

/// What goes into an input that is named, as `NAME=NUMBERS` or `NAME=FILE` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The input's name.
    pub name: String,
    /// The values, at least one, all finite.
    pub values: Vec<f32>,
}

/// Why what `--input` says cannot be given.
#[derive(Debug, thiserror::Error)]
pub enum GivenError {
    /// It names no input.
    #[error("--input {0}: the name of an input is expected, `=`, and its values")]
    Unnamed(String),
    /// What is given is neither numbers nor a file of them.
    #[error("--input {text}: these are no numbers with commas between them, and no file of them")]
    Values {
        /// All of it.
        text: String,
        /// Why it is no file of numbers.
        source: FileError,
    },
}

/// Why a file is none of values to be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no array.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// What is in it.
    #[error("it has no values, or some that are not finite")]
    Values,
}

impl Given {
    /// Reads `NAME=NUMBERS` (with commas between them) or `NAME=FILE` (.npy, .f32, .bin, .raw); `None` if the text is
    /// nothing of that kind, or the name of a file.
    ///
    /// # Errors
    /// If what stands behind `=` is neither, or has values that are not finite.
    pub fn read(text: &str) -> Result<Option<Self>, GivenError> {
        let Some((name, values)) = text.split_once('=').filter(|_| !Path::new(text).exists()) else {
            return Ok(None);
        };
        let numbers: Option<Vec<f32>> = values
            .split(',')
            .map(|number| number.trim().parse().ok().filter(|x: &f32| x.is_finite()))
            .collect();
        let values = match numbers {
            Some(numbers) => numbers,
            None => file(Path::new(values))
                .map_err(|source| GivenError::Values { text: text.to_owned(), source })?,
        };
        Ok(Some(Self { name: name.into(), values }))
    }

    /// Reads texts that all have to name an input, as names with values.
    ///
    /// # Errors
    /// The first that does not, or as for [`Given::read`].
    pub fn read_all(texts: &[String]) -> Result<Vec<(String, Vec<f32>)>, GivenError> {
        let read = |text: &String| {
            let Self { name, values } =
                Self::read(text)?.ok_or_else(|| GivenError::Unnamed(text.to_owned()))?;
            Ok((name, values))
        };
        texts.iter().map(read).collect()
    }
}

fn file(path: &Path) -> Result<Vec<f32>, FileError> {
    let values = npy::decode_named(path, &npy::read(path)?)?.values;
    match values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        true => Err(FileError::Values),
        false => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_numbers_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("values.f32");
        std::fs::write(&file, [1.5f32, -2.0].map(f32::to_le_bytes).concat()).unwrap();
        let odd = folder.path().join("a=b.png");
        std::fs::write(&odd, "").unwrap();
        type Case<'a> = (String, Option<(&'a str, &'a [f32])>);
        let cases: [Case<'_>; 4] = [
            ("c=1, 2.5,-3".into(), Some(("c", &[1.0, 2.5, -3.0]))),
            (format!("input.1={}", file.display()), Some(("input.1", &[1.5, -2.0]))),
            ("photo.png".into(), None),
            (odd.display().to_string(), None),
        ];
        for (text, expected) in cases {
            let found = Given::read(&text).unwrap();
            assert_eq!(
                found.as_ref().map(|given| (given.name.as_str(), &given.values[..])),
                expected,
                "{text}"
            );
        }
        for text in ["c=1,nan", "c=", "c=missing.npy"] {
            let error = Given::read(text).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("no file of them"), "{error}");
        }
    }
}
