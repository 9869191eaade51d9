//! From a file to a [`ModelProto`] that holds all its data.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::string::ToString;
use std::vec::Vec;

use prost::Message;

use super::error::{MAX_FILE_BYTES, OnnxError};
use super::external;
use super::parts;
use super::proto::ModelProto;

/// Reads an ONNX file. Data that the model keeps in other files is read as well and put into the tensors' `raw_data`,
/// so that the result stands for itself. Such files must lie in the model's folder or below it.
///
/// # Errors
/// See [`OnnxError`]; every message names the file.
pub fn load(path: impl AsRef<Path>) -> Result<ModelProto, OnnxError> {
    let path = path.as_ref();
    let mut model = decode(&read_limited(path, MAX_FILE_BYTES)?, path)?;
    external::resolve(&mut model, path)?;
    Ok(model)
}

/// A quick look at a file before an engine reads it: it is there, is a file of a possible size, and is not one of the
/// other formats that people confuse with ONNX. What passes may still be damaged.
///
/// # Errors
/// [`OnnxError::Io`], [`OnnxError::NotAFile`], [`OnnxError::Empty`], [`OnnxError::TooLarge`], [`OnnxError::NotOnnx`].
pub fn check_file(path: impl AsRef<Path>) -> Result<(), OnnxError> {
    let path = path.as_ref();
    let mut start = Vec::new();
    open_limited(path, MAX_FILE_BYTES)?
        .take(1024)
        .read_to_end(&mut start)
        .map_err(|source| OnnxError::Io { path: path.to_path_buf(), source })?;
    if start.is_empty() {
        return Err(OnnxError::Empty { path: path.to_path_buf() });
    }
    match known_other_format(&start) {
        Some(looks_like) => Err(OnnxError::NotOnnx { path: path.to_path_buf(), looks_like }),
        None => Ok(()),
    }
}

/// Decodes the bytes of an ONNX file; data in other files stays there. `path` is what errors call the file.
///
/// # Errors
/// [`OnnxError::Empty`], [`OnnxError::NotOnnx`], [`OnnxError::TooManyParts`], [`OnnxError::Damaged`],
/// [`OnnxError::Incomplete`].
pub fn decode(bytes: &[u8], path: &Path) -> Result<ModelProto, OnnxError> {
    let path = || path.to_path_buf();
    if bytes.is_empty() {
        return Err(OnnxError::Empty { path: path() });
    }
    if let Some(looks_like) = known_other_format(bytes) {
        return Err(OnnxError::NotOnnx { path: path(), looks_like });
    }
    if parts::are_too_many(bytes) {
        return Err(OnnxError::TooManyParts { path: path() });
    }
    let model = ModelProto::decode(bytes).map_err(|error| {
        // Field 1, ir_version, comes first in what protobuf's own writers make.
        if bytes[0] == 0x08 {
            OnnxError::Damaged { path: path(), detail: error.to_string() }
        } else {
            OnnxError::NotOnnx { path: path(), looks_like: "another format: it is no protobuf message" }
        }
    })?;
    let missing = match &model {
        ModelProto { graph: None, .. } => Some("graph"),
        ModelProto { graph: Some(graph), .. } if graph.output.is_empty() => Some("graph output"),
        ModelProto { opset_import, .. } if opset_import.is_empty() => Some("operator set (opset_import)"),
        _ => None,
    };
    match missing {
        Some(missing) => Err(OnnxError::Incomplete { path: path(), missing }),
        None => Ok(model),
    }
}

/// What a user may have given by mistake.
fn known_other_format(bytes: &[u8]) -> Option<&'static str> {
    let start = &bytes[..bytes.len().min(1024)];
    let text = start.trim_ascii_start();
    let begins =
        |prefix: &[u8]| text.len() >= prefix.len() && text[..prefix.len()].eq_ignore_ascii_case(prefix);
    if begins(b"<!doctype html") || begins(b"<html") {
        Some("an HTML page (a failed download?)")
    } else if begins(b"version https://git-lfs") {
        Some("a Git LFS pointer (fetch the file itself with `git lfs pull`)")
    } else if start.starts_with(b"PK\x03\x04") {
        Some("a ZIP archive, such as a PyTorch checkpoint")
    } else if start.starts_with(&[0x1f, 0x8b]) {
        Some("a gzip archive (unpack it first)")
    } else if start.starts_with(b"\x89PNG") {
        Some("a PNG image")
    } else if start.len() > 9 && start[8] == b'{' && start[4..8] == [0; 4] {
        Some("a safetensors file (`exporter export` makes ONNX of a run folder)")
    } else if begins(b"{") || begins(b"[") {
        Some("JSON")
    } else if start.starts_with(b"\x7fELF") {
        Some("a program")
    } else if start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        Some("a text file")
    } else {
        None
    }
}

/// Opens a regular file of at most `limit` bytes.
fn open_limited(path: &Path, limit: u64) -> Result<File, OnnxError> {
    let io_error = |source| OnnxError::Io { path: path.to_path_buf(), source };
    // Asked before it is opened: opening a named pipe would wait for a writer.
    let metadata = path.metadata().map_err(io_error)?;
    if !metadata.is_file() {
        return Err(OnnxError::NotAFile { path: path.to_path_buf() });
    }
    if metadata.len() > limit {
        return Err(OnnxError::TooLarge { path: path.to_path_buf(), bytes: metadata.len(), limit });
    }
    File::open(path).map_err(io_error)
}

/// Reads a whole regular file of at most `limit` bytes.
fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, OnnxError> {
    let file = open_limited(path, limit)?;
    let mut bytes = Vec::new();
    // One byte more than allowed, because the file may grow meanwhile.
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| OnnxError::Io { path: path.to_path_buf(), source })?;
    if bytes.len() as u64 > limit {
        return Err(OnnxError::TooLarge { path: path.to_path_buf(), bytes: bytes.len() as u64, limit });
    }
    Ok(bytes)
}
