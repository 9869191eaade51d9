//! Arrays of f32 in NumPy's `.npy` format or as raw little-endian bytes.
//!
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::path::Path;

use anyhow::{Context, bail};

const MAGIC: &[u8] = b"\x93NUMPY";

/// An array: its shape and its values, row-major.
#[derive(Debug, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// Reads an array; raw bytes make one of a single axis.
pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<Array> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let values = floats(bytes)?;
        return Ok(Array { shape: vec![values.len()], values });
    };
    let truncated = "the .npy header is truncated";
    let (length, at): (usize, usize) = match rest.first().context(truncated)? {
        1 => (u16::from_le_bytes(rest.get(2..4).context(truncated)?.try_into()?) as usize, 4),
        2 | 3 => (u32::from_le_bytes(rest.get(2..6).context(truncated)?.try_into()?) as usize, 6),
        version => bail!("it is .npy format version {version}, which is not known"),
    };
    let end = at.checked_add(length).context(truncated)?;
    let header =
        std::str::from_utf8(rest.get(at..end).context(truncated)?).context("the .npy header is not text")?;
    let entry = |key: &str| {
        let (_, rest) = header
            .split_once(&format!("'{key}':"))
            .with_context(|| format!("the .npy header has no {key}"))?;
        anyhow::Ok(rest.trim_start())
    };
    let descr = entry("descr")?;
    if !descr.starts_with("'<f4'") {
        let found = descr.split(',').next().unwrap_or(descr);
        bail!("its elements are {found}, but '<f4' is needed (in NumPy: .astype('float32'))");
    }
    if !entry("fortran_order")?.starts_with("False") {
        bail!("it is in Fortran order (in NumPy: numpy.ascontiguousarray)");
    }
    let sizes = entry("shape")?
        .strip_prefix('(')
        .and_then(|text| text.split_once(')'))
        .context("its shape is damaged")?
        .0;
    let shape = sizes
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .map(|size| size.parse().with_context(|| format!("its shape has \"{size}\"")))
        .collect::<anyhow::Result<Vec<usize>>>()?;
    let values = floats(&rest[end..])?;
    if shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size)) != Some(values.len()) {
        bail!("its shape is {shape:?}, but it holds {} values", values.len());
    }
    Ok(Array { shape, values })
}

fn floats(bytes: &[u8]) -> anyhow::Result<Vec<f32>> {
    if !bytes.len().is_multiple_of(4) {
        bail!("it holds {} bytes of data, which is no whole number of float32 values", bytes.len());
    }
    Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// The bytes of an array for a file of this name: `.npy` if it ends so, else raw little-endian values.
pub(super) fn encode(path: &Path, shape: &[usize], values: &[f32]) -> Vec<u8> {
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
        assert_eq!(decode(&raw).unwrap(), Array { shape: vec![6], values: values.to_vec() });
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
            (b"abc".to_vec(), "no whole number"),
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
