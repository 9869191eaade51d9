//! Walks as small text files, so that they can be repeated.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use latent_files::regular::{self, ReadError};
use latent_files::run::MAX_LATENT;

use super::{Edits, Interpolation, KeyFrame};

/// The most key frames of one walk.
pub const MAX_KEY_FRAMES: usize = 10_000;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 20;

const HEADER: &str = "latent-walk 1";

/// What a walk file holds.
///
/// ```text
/// latent-walk 1
/// # Comments and empty lines are skipped.
/// interpolation slerp          lerp, slerp or spline
/// closed yes                   yes or no
/// speed 0.5                    key frames per second
/// key seed 7                   the latent vector drawn from this seed
/// key values 0.25 -0.5 1       a latent vector as it is
/// truncation 0.7               how far all of them stay from the mean
/// shift 0.5 0 -0.25            what is added to all of them
/// hold 2 0.75                  the third of their values, instead of the walk's
/// class 7                      what a generator that takes a class draws
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WalkFile {
    /// How the walk goes from one key frame to the next; slerp if the file does not say.
    pub interpolation: Interpolation,
    /// Whether it returns to its first key frame; it does if the file does not say.
    pub closed: bool,
    /// Key frames per second; `None` if the file does not say.
    pub speed: Option<f64>,
    /// The key frames, at least one.
    pub keys: Vec<KeyFrame>,
    /// What is done to every latent vector; nothing if the file does not say.
    pub edits: Edits,
    /// The class that is drawn; `None` if the file does not say.
    pub class: Option<usize>,
}

/// Why a walk file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkFileError {
    #[error("cannot read the walk {}: {cause}", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error("{} is too large for a walk: at most {MAX_BYTES} bytes are read", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} is not a walk: its first line is not \"{HEADER}\"", path.display())]
    NotAWalk { path: PathBuf },
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        problem: String,
    },
    #[error("the walk {} has no key frames; a line such as \"key seed 7\" gives one", path.display())]
    NoKeys { path: PathBuf },
}

impl WalkFile {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, WalkFileError> {
        let io = |cause| WalkFileError::Io { path: path.to_owned(), cause };
        let bytes = regular::read(path, MAX_BYTES).map_err(|error| match error {
            ReadError::TooLarge { .. } => WalkFileError::TooLarge { path: path.to_owned() },
            other => io(other.into()),
        })?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse(text, path),
            Err(_) => Err(WalkFileError::NotAWalk { path: path.to_owned() }),
        }
    }

    /// Reads the text of a file; `path` is what errors name.
    pub fn parse(text: &str, path: &Path) -> Result<Self, WalkFileError> {
        let mut lines = text.lines().zip(1..);
        if lines.next().is_none_or(|(first, _)| first.trim() != HEADER) {
            return Err(WalkFileError::NotAWalk { path: path.to_owned() });
        }
        let mut walk = Self {
            interpolation: Interpolation::Slerp,
            closed: true,
            speed: None,
            keys: Vec::new(),
            edits: Edits::default(),
            class: None,
        };
        for (line, number) in lines {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                walk.line(line).map_err(|problem| WalkFileError::Line {
                    path: path.to_owned(),
                    line: number,
                    problem,
                })?;
            }
        }
        if walk.keys.is_empty() {
            return Err(WalkFileError::NoKeys { path: path.to_owned() });
        }
        Ok(walk)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        match (name, rest.as_slice()) {
            ("interpolation", [name]) => {
                self.interpolation = Interpolation::from_name(name)
                    .ok_or_else(|| format!("\"{name}\" is not lerp, slerp or spline"))?;
            }
            ("closed", ["yes"]) => self.closed = true,
            ("closed", ["no"]) => self.closed = false,
            ("speed", [value]) => {
                let speed = value.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
                self.speed = Some(speed.ok_or_else(|| format!("\"{value}\" is not a positive number"))?);
            }
            ("truncation", [value]) => {
                let psi = value.parse().ok().filter(|psi: &f32| (0.0..=1.0).contains(psi));
                self.edits.truncation =
                    psi.ok_or_else(|| format!("\"{value}\" is not a number from 0 to 1"))?;
            }
            ("class", [class]) => {
                self.class =
                    Some(class.parse().map_err(|_| format!("\"{class}\" is not a class from 0 on"))?);
            }
            ("shift", values) if !values.is_empty() => self.edits.shift = numbers(values)?,
            ("hold", [index, value]) => {
                let index: usize = index
                    .parse()
                    .ok()
                    .filter(|&index| index < MAX_LATENT)
                    .ok_or_else(|| format!("\"{index}\" is not a whole number below {MAX_LATENT}"))?;
                let value = number(value)?;
                if self.edits.held.len() <= index {
                    self.edits.held.resize(index + 1, None);
                }
                self.edits.held[index] = Some(value);
            }
            ("key", _) if self.keys.len() >= MAX_KEY_FRAMES => {
                return Err(format!("a walk has at most {MAX_KEY_FRAMES} key frames"));
            }
            ("key", ["seed", seed]) => {
                let seed =
                    seed.parse().map_err(|_| format!("\"{seed}\" is not a seed from 0 to {}", u64::MAX))?;
                self.keys.push(KeyFrame::Seed(seed));
            }
            ("key", ["values", values @ ..]) if !values.is_empty() => {
                self.keys.push(KeyFrame::Values(numbers(values)?));
            }
            _ => {
                return Err(format!(
                    "\"{}\" is not understood; lines begin with interpolation, closed, speed, key seed, key values, \
                     truncation, shift, hold or class",
                    line.chars().take(60).collect::<String>().escape_debug()
                ));
            }
        }
        Ok(())
    }

    /// The text of a file that [`WalkFile::parse`] reads back to the same walk, bit for bit.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{HEADER}\ninterpolation {}\nclosed {}\n",
            self.interpolation,
            if self.closed { "yes" } else { "no" }
        );
        // Writing to a string cannot fail.
        if let Some(speed) = self.speed {
            let _ = writeln!(text, "speed {speed}");
        }
        for key in &self.keys {
            match key {
                KeyFrame::Seed(seed) => {
                    let _ = writeln!(text, "key seed {seed}");
                }
                KeyFrame::Values(values) => {
                    push_numbers(&mut text, "key values", values);
                }
            }
        }
        let Edits { truncation, shift, held } = &self.edits;
        if *truncation != 1.0 {
            let _ = writeln!(text, "truncation {truncation}");
        }
        if shift.iter().any(|&value| value != 0.0) {
            push_numbers(&mut text, "shift", shift);
        }
        for (index, value) in held.iter().enumerate().filter_map(|(index, held)| Some((index, (*held)?))) {
            let _ = writeln!(text, "hold {index} {value}");
        }
        if let Some(class) = self.class {
            let _ = writeln!(text, "class {class}");
        }
        text
    }
}

fn number(text: &str) -> Result<f32, String> {
    let value = text.parse().ok().filter(|value: &f32| value.is_finite());
    value.ok_or_else(|| format!("\"{text}\" is not a finite number"))
}

fn numbers(words: &[&str]) -> Result<Vec<f32>, String> {
    words.iter().map(|word| number(word)).collect()
}

fn push_numbers(text: &mut String, name: &str, values: &[f32]) {
    text.push_str(name);
    // Writing to a string cannot fail.
    for value in values {
        let _ = write!(text, " {value}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_survives_the_round_trip() {
        let walk = WalkFile {
            interpolation: Interpolation::Spline,
            closed: false,
            speed: Some(0.1),
            keys: vec![KeyFrame::Seed(u64::MAX), KeyFrame::Values(vec![0.1, -1.5e-20, f32::MAX, 0.0])],
            edits: Edits { truncation: 0.7, shift: vec![0.1, 0.0, -3.5e-9], held: vec![None, Some(-0.3)] },
            class: Some(7),
        };
        assert_eq!(WalkFile::parse(&walk.to_text(), Path::new("w")).unwrap(), walk);
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let text = "latent-walk 1\r\n\r\n# a comment\r\n  key seed 7  \r\n";
        let walk = WalkFile::parse(text, Path::new("w")).unwrap();
        assert_eq!((walk.interpolation, walk.closed, walk.speed), (Interpolation::Slerp, true, None));
        assert_eq!(walk.keys, [KeyFrame::Seed(7)]);
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, expected) in [
            ("", "walk.txt is not a walk"),
            ("P6 28 28", "first line is not \"latent-walk 1\""),
            ("latent-walk 1\n", "no key frames"),
            ("latent-walk 1\nkey seed 1\nkey seed -1", "line 3: \"-1\" is not a seed"),
            ("latent-walk 1\ninterpolation cubic", "line 2: \"cubic\" is not lerp, slerp or spline"),
            ("latent-walk 1\nclosed maybe", "line 2: \"closed maybe\" is not understood"),
            ("latent-walk 1\nspeed 0", "\"0\" is not a positive number"),
            ("latent-walk 1\nspeed inf", "\"inf\" is not a positive number"),
            ("latent-walk 1\nkey values 1 nan", "\"nan\" is not a finite number"),
            ("latent-walk 1\nkey values", "\"key values\" is not understood"),
            ("latent-walk 1\ntruncation 1.5", "\"1.5\" is not a number from 0 to 1"),
            ("latent-walk 1\nshift 1 inf", "\"inf\" is not a finite number"),
            ("latent-walk 1\nhold 99999999 1", "\"99999999\" is not a whole number below 65536"),
            ("latent-walk 1\nhold 1 x", "\"x\" is not a finite number"),
            ("latent-walk 1\nclass -1", "\"-1\" is not a class"),
            ("latent-walk 1\n\u{1b}[2J", "\"\\u{1b}[2J\" is not understood"),
        ] {
            let error = WalkFile::parse(text, Path::new("walk.txt")).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let error = WalkFile::load(Path::new("/no/such/walk.txt")).unwrap_err().to_string();
        assert!(error.contains("/no/such/walk.txt"), "{error}");
    }

    #[test]
    fn binary_files_and_too_many_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("walk.txt");
        std::fs::write(&path, [0xff, 0xd8]).unwrap();
        assert!(matches!(WalkFile::load(&path), Err(WalkFileError::NotAWalk { .. })));
        let text = format!("{HEADER}\n{}", "key seed 1\n".repeat(MAX_KEY_FRAMES + 1));
        let error = WalkFile::parse(&text, &path).unwrap_err().to_string();
        assert!(error.contains("at most 10000 key frames"), "{error}");
    }
}
