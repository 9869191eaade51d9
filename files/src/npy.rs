//! Arrays of f32 in NumPy's `.npy` format, or as raw little-endian bytes in a file of such a name.
//!
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::fmt;

use std::io;
use std::path::Path;

use crate::regular;

/// The largest file that is read, in bytes: 2^30 values and a header.
const MAX_FILE: u64 = (4 << 30) + 65536;
const MAGIC: &[u8] = b"\x93NUMPY";
/// How the names of files end that hold raw values.
const RAW: [&str; 3] = ["f32", "bin", "raw"];

/// An array: its shape and its values, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// As many as the product of `shape`.
    pub values: Vec<f32>,
}

/// Why bytes are no array that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NpyError {
    /// It does not begin as a `.npy` file does.
    NoArray,
    /// The file ends within its header.
    Truncated,
    /// A version of the format that is not known.
    Version(u8),
    /// The header is not text.
    NotText,
    /// An entry of the header is not there.
    Missing(&'static str),
    /// Elements of another type; the text is NumPy's name for it.
    Elements(String),
    /// Columns come first.
    FortranOrder,
    /// What the header says of the shape cannot be understood.
    Shape(String),
    /// A number of bytes that is no whole number of values.
    Bytes(usize),
    /// More or fewer values than the shape has.
    Values {
        /// The shape.
        shape: Vec<usize>,
        /// How many values there are.
        found: usize,
    },
}

impl fmt::Display for NpyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoArray => {
                f.write_str("it is no array: it does not begin as a .npy file does (in NumPy: numpy.save)")?;
                let names = RAW.map(|name| format!(".{name}")).join(", ");
                write!(f, "; raw float32 values are read from files named {names}")
            }
            Self::Truncated => f.write_str("the .npy header is truncated"),
            Self::Version(version) => write!(f, "it is .npy format version {version}, which is not known"),
            Self::NotText => f.write_str("the .npy header is not text"),
            Self::Missing(key) => write!(f, "the .npy header has no {key}"),
            Self::Elements(found) => {
                write!(f, "its elements are {found}, but '<f4' is needed (in NumPy: .astype('float32'))")
            }
            Self::FortranOrder => f.write_str("it is in Fortran order (in NumPy: numpy.ascontiguousarray)"),
            Self::Shape(text) if text.is_empty() => f.write_str("its shape is damaged"),
            Self::Shape(text) => write!(f, "its shape has \"{text}\""),
            Self::Bytes(found) => {
                write!(f, "it holds {found} bytes of data, which is no whole number of float32 values")
            }
            Self::Values { shape, found } => write!(f, "its shape is {shape:?}, but it holds {found} values"),
        }
    }
}

impl std::error::Error for NpyError {}

/// The bytes of a file of values.
///
/// # Errors
/// If it is no regular file, too large, or the system refuses.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    Ok(regular::read(path, MAX_FILE)?)
}

/// Reads the array of a file: in NumPy's format, whatever the name is; or, under a name that ends in `.f32`, `.bin` or
/// `.raw`, raw little-endian values, which make an array of a single axis.
///
/// # Errors
/// Those of [`decode`], and if raw bytes are no whole number of values.
pub fn decode_named(path: &Path, bytes: &[u8]) -> Result<Array, NpyError> {
    let raw =
        path.extension().is_some_and(|extension| RAW.iter().any(|raw| extension.eq_ignore_ascii_case(raw)));
    if raw && !bytes.starts_with(MAGIC) {
        let values = floats(bytes)?;
        return Ok(Array { shape: vec![values.len()], values });
    }
    decode(bytes)
}

/// Reads an array in NumPy's format.
///
/// # Errors
/// When the bytes are no array of 32-bit floats in row-major order.
pub fn decode(bytes: &[u8]) -> Result<Array, NpyError> {
    use NpyError::{FortranOrder, Missing, NoArray, NotText, Truncated, Version};
    let rest = bytes.strip_prefix(MAGIC).ok_or(NoArray)?;
    let little_endian = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    let (length, at) = match rest.first().ok_or(Truncated)? {
        1 => (little_endian(rest.get(2..4).ok_or(Truncated)?), 4usize),
        2 | 3 => (little_endian(rest.get(2..6).ok_or(Truncated)?), 6),
        version => return Err(Version(*version)),
    };
    let end = at.checked_add(length).ok_or(Truncated)?;
    let header = std::str::from_utf8(rest.get(at..end).ok_or(Truncated)?).map_err(|_| NotText)?;
    let entry = |key: &'static str| {
        let (_, rest) = header.split_once(&format!("'{key}':")).ok_or(Missing(key))?;
        Ok(rest.trim_start())
    };
    let descr = entry("descr")?;
    if !descr.starts_with("'<f4'") {
        return Err(NpyError::Elements(descr.split(',').next().unwrap_or(descr).into()));
    }
    if !entry("fortran_order")?.starts_with("False") {
        return Err(FortranOrder);
    }
    let sizes = entry("shape")?
        .strip_prefix('(')
        .and_then(|text| text.split_once(')'))
        .ok_or_else(|| NpyError::Shape(String::new()))?
        .0;
    let shape = sizes
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().map_err(|_| NpyError::Shape(size.to_string())))
        .collect::<Result<Vec<usize>, _>>()?;
    let values = floats(&rest[end..])?;
    if shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)) != Some(values.len()) {
        return Err(NpyError::Values { shape, found: values.len() });
    }
    Ok(Array { shape, values })
}

fn floats(bytes: &[u8]) -> Result<Vec<f32>, NpyError> {
    if !bytes.len().is_multiple_of(4) {
        return Err(NpyError::Bytes(bytes.len()));
    }
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// The bytes of an array for a file of this name: `.npy` if it ends so, else raw little-endian values.
pub fn encode(path: &Path, shape: &[usize], values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
        let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
        let mut header =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
        // The data begins at a multiple of 64.
        let padding = 64 - (MAGIC.len() + 4 + header.len() + 1) % 64;
        header.extend(std::iter::repeat_n(' ', padding % 64));
        header.push('\n');
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[1, 0]);
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
    }
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_survive_the_round_trip() {
        let values = [1.0, -2.5, 3.0, 0.0, 1e-30, f32::MAX];
        for shape in [vec![2, 3], vec![6], vec![1, 6, 1, 1]] {
            let bytes = encode(Path::new("a.npy"), &shape, &values);
            assert_eq!((bytes.len() - 24) % 64, 0);
            assert_eq!(decode(&bytes).unwrap(), Array { shape, values: values.to_vec() });
        }
        let raw = encode(Path::new("a.f32"), &[2, 3], &values);
        let expected = Array { shape: vec![6], values: values.to_vec() };
        for name in ["a.f32", "a.BIN", "b/c.raw"] {
            assert_eq!(decode_named(Path::new(name), &raw).unwrap(), expected);
        }
        assert_eq!(decode_named(Path::new("a.f32"), b"abc"), Err(NpyError::Bytes(3)));
        for name in ["a.npy", "a.jpg", "f32"] {
            assert_eq!(decode_named(Path::new(name), &raw), Err(NpyError::NoArray));
        }
    }

    /// What numpy.save writes for `numpy.arange(3, dtype='float32')`.
    #[test]
    fn numpys_own_bytes_are_read() {
        let mut bytes =
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }".to_vec();
        bytes.resize(127, b' ');
        bytes.push(b'\n');
        bytes.extend([0.0f32, 1.0, 2.0].iter().flat_map(|x| x.to_le_bytes()));
        assert_eq!(decode(&bytes).unwrap(), Array { shape: vec![3], values: vec![0.0, 1.0, 2.0] });
    }

    #[test]
    fn damaged_arrays_are_refused() {
        let header = |dict: &str| {
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((dict.len() as u16).to_le_bytes());
            bytes.extend(dict.as_bytes());
            bytes
        };
        let cases: [(Vec<u8>, &str); 8] = [
            (b"abcd".to_vec(), "read from files named .f32, .bin, .raw"),
            (b"\x93NUMPY".to_vec(), "truncated"),
            (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), "truncated"),
            (b"\x93NUMPY\x09\x00\x00\x00".to_vec(), "version 9"),
            (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"), "'<f8'"),
            (header("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }"), "Fortran"),
            (header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"), "holds 0 values"),
            (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), "\"-1\""),
        ];
        for (bytes, expected) in cases {
            let error = decode(&bytes).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
