//! The weights of one network, from a safetensors file, taken out one by one and checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

use super::RunError;
use crate::regular;

/// The largest file of weights that is read, in bytes.
pub const MAX_WEIGHTS: u64 = 16 << 30;

/// A tensor of 32-bit floats, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// The tensors of a safetensors file. A network takes those it knows; what is left over at the end is an error.
#[derive(Debug)]
pub struct Weights {
    path: PathBuf,
    tensors: BTreeMap<String, Stored>,
}

#[derive(Debug)]
enum Stored {
    Float(Tensor),
    /// `num_batches_tracked`: a count that inference does not need.
    Count,
    Other(Dtype),
}

/// The tensors in the content of the file `path`.
///
/// # Errors
/// When it is no safetensors file.
pub fn parse_safetensors<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, RunError> {
    SafeTensors::deserialize(bytes)
        .map_err(|reason| RunError::Safetensors { path: path.to_path_buf(), reason })
}

impl Weights {
    /// Reads every tensor of the file `path`.
    ///
    /// # Errors
    /// When the file cannot be read or parsed, or a weight is NaN or infinite.
    pub fn read(path: &Path) -> Result<Weights, RunError> {
        let bytes = regular::read(path, MAX_WEIGHTS)
            .map_err(|reason| RunError::Read { path: path.to_path_buf(), reason: reason.into() })?;
        Weights::parse(path, &bytes)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Weights, RunError> {
        let file = parse_safetensors(path, bytes)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let stored = match view.dtype() {
                Dtype::F32 => {
                    let data: Vec<f32> =
                        view.data().as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
                    if let Some(at) = data.iter().position(|value| !value.is_finite()) {
                        let what = format!(
                            "tensor \"{name}\" is not finite: value {at} is {}; the training diverged, take an earlier checkpoint",
                            data[at]
                        );
                        return Err(RunError::Tensor { path: path.to_path_buf(), what });
                    }
                    Stored::Float(Tensor { shape: view.shape().to_vec(), data })
                }
                Dtype::I64 if view.shape().is_empty() => Stored::Count,
                other => Stored::Other(other),
            };
            tensors.insert(name.to_string(), stored);
        }
        Ok(Weights { path: path.to_path_buf(), tensors })
    }

    /// Takes the tensor `name`, which must have `rank` axes.
    ///
    /// # Errors
    /// When there is none, or it has another rank or is not of type F32.
    pub fn take(&mut self, name: &str, rank: usize) -> Result<Tensor, RunError> {
        match self.tensors.remove(name) {
            Some(Stored::Float(tensor)) if tensor.shape.len() == rank => Ok(tensor),
            Some(Stored::Float(tensor)) => {
                Err(self
                    .error(format!("tensor \"{name}\" has shape {:?}, expected {rank} axes", tensor.shape)))
            }
            Some(Stored::Count) => Err(self.error(format!("tensor \"{name}\" is of type I64, expected F32"))),
            Some(Stored::Other(dtype)) => {
                Err(self.error(format!("tensor \"{name}\" is of type {dtype:?}, expected F32")))
            }
            None => {
                let there: Vec<&str> = self.tensors.keys().map(String::as_str).collect();
                let there = if there.is_empty() { "none".to_string() } else { there.join(", ") };
                Err(self.error(format!(
                    "tensor \"{name}\" is missing (not yet used: {there}); the file is not of the network that run.json names"
                )))
            }
        }
    }

    /// Takes the tensor `name`, which must have exactly `shape`; `why` says where the shape comes from.
    ///
    /// # Errors
    /// As [`Weights::take`], and when the shape differs.
    pub fn take_shaped(&mut self, name: &str, shape: &[usize], why: &str) -> Result<Tensor, RunError> {
        let tensor = self.take(name, shape.len())?;
        if tensor.shape != shape {
            return Err(self.error(format!(
                "tensor \"{name}\" has shape {:?}, expected {shape:?} ({why})",
                tensor.shape
            )));
        }
        Ok(tensor)
    }

    /// Takes BatchNorm's count of batches, if it is there; inference does not need it.
    ///
    /// # Errors
    /// When the tensor is there but is no 64-bit count.
    pub fn take_count(&mut self, name: &str) -> Result<(), RunError> {
        match self.tensors.remove(name) {
            None | Some(Stored::Count) => Ok(()),
            Some(Stored::Float(_)) => {
                Err(self.error(format!("tensor \"{name}\" is of type F32, expected I64")))
            }
            Some(Stored::Other(dtype)) => {
                Err(self.error(format!("tensor \"{name}\" is of type {dtype:?}, expected a scalar I64")))
            }
        }
    }

    /// Checks that every tensor was taken.
    ///
    /// # Errors
    /// When some are left, with their names.
    pub fn finish(self) -> Result<(), RunError> {
        if self.tensors.is_empty() {
            return Ok(());
        }
        let left: Vec<&str> = self.tensors.keys().map(String::as_str).collect();
        Err(self.error(format!(
            "unexpected tensors: {}; the file is not of the network that run.json names",
            left.join(", ")
        )))
    }

    /// An error of this file.
    pub fn error(&self, what: String) -> RunError {
        RunError::Tensor { path: self.path.clone(), what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{TensorView, serialize};

    fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, dtype, shape, data)| {
            (*name, TensorView::new(*dtype, shape.to_vec(), data).unwrap())
        });
        serialize(views, None).unwrap()
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn takes_every_tensor_once() {
        let bytes = file(&[
            ("0.weight", Dtype::F32, &[2, 1], floats(&[1.5, -2.0])),
            ("2.num_batches_tracked", Dtype::I64, &[], vec![0; 8]),
        ]);
        let mut weights = Weights::parse(Path::new("w"), &bytes).unwrap();
        assert_eq!(weights.take_shaped("0.weight", &[2, 1], "").unwrap().data, [1.5, -2.0]);
        weights.take_count("2.num_batches_tracked").unwrap();
        weights.finish().unwrap();
    }

    #[test]
    fn names_the_tensor_that_is_wrong() {
        let good = [
            ("a", Dtype::F32, &[2, 1][..], floats(&[1.0, 2.0])),
            ("b", Dtype::F16, &[2][..], vec![0; 4]),
            ("n", Dtype::I64, &[][..], vec![0; 8]),
        ];
        let open = || Weights::parse(Path::new("w.safetensors"), &file(&good)).unwrap();
        let cases = [
            (
                open().take("c", 1).unwrap_err(),
                "w.safetensors: tensor \"c\" is missing (not yet used: a, b, n)",
            ),
            (open().take("a", 1).unwrap_err(), "tensor \"a\" has shape [2, 1], expected 1 axes"),
            (open().take("b", 1).unwrap_err(), "tensor \"b\" is of type F16, expected F32"),
            (open().take("n", 0).unwrap_err(), "tensor \"n\" is of type I64, expected F32"),
            (open().take_count("a").unwrap_err(), "tensor \"a\" is of type F32, expected I64"),
            (
                open().take_shaped("a", &[1, 2], "two in").unwrap_err(),
                "has shape [2, 1], expected [1, 2] (two in)",
            ),
            (open().finish().unwrap_err(), "unexpected tensors: a, b, n"),
        ];
        for (error, expected) in cases {
            assert!(error.to_string().contains(expected), "{error} does not say {expected}");
        }
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let bytes = file(&[("3.bias", Dtype::F32, &[2], floats(&[0.0, bad]))]);
            let error = Weights::parse(Path::new("w"), &bytes).unwrap_err().to_string();
            assert!(error.contains(&format!("\"3.bias\" is not finite: value 1 is {bad}")), "{error}");
        }
    }

    #[test]
    fn every_cut_of_a_file_is_an_error() {
        let bytes = file(&[("a", Dtype::F32, &[2], floats(&[1.0, 2.0]))]);
        for length in 0..bytes.len() {
            let error = Weights::parse(Path::new("w"), &bytes[..length]).unwrap_err();
            assert!(matches!(error, RunError::Safetensors { .. }), "{length}: {error}");
        }
    }
}
