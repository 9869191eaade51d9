//! Tensor data that an ONNX model keeps in files beside itself.
//!
//! The rules are those of ONNX's `docs/ExternalData.md`: `location` is a path relative to the model's folder, `offset`
//! and `length` are optional numbers of bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::string::String;
use std::{format, vec};

use super::error::{MAX_EXTERNAL_BYTES, OnnxError};
use super::proto::tensor_proto::DataLocation;
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use super::tensor_bytes;

/// Reads all external data of `model`, the file at `path`, into the tensors.
pub(super) fn resolve(model: &mut ModelProto, path: &Path) -> Result<(), OnnxError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut reader = Reader { model: path, folder, open: HashMap::new(), left: MAX_EXTERNAL_BYTES };
    if let Some(graph) = &mut model.graph {
        reader.graph(graph)?;
    }
    for function in &mut model.functions {
        reader.nodes(&mut function.node)?;
    }
    Ok(())
}

struct Reader<'a> {
    model: &'a Path,
    folder: &'a Path,
    /// The files opened so far, by location, with their lengths.
    open: HashMap<String, (File, u64)>,
    /// The bytes that may still be read.
    left: u64,
}

impl Reader<'_> {
    // Graphs nest through attributes; decoding has bounded the depth.
    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), OnnxError> {
        for tensor in &mut graph.initializer {
            self.tensor(tensor)?;
        }
        for sparse in &mut graph.sparse_initializer {
            for tensor in [&mut sparse.values, &mut sparse.indices].into_iter().flatten() {
                self.tensor(tensor)?;
            }
        }
        self.nodes(&mut graph.node)
    }

    fn nodes(&mut self, nodes: &mut [NodeProto]) -> Result<(), OnnxError> {
        for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
            for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                self.tensor(tensor)?;
            }
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                self.graph(graph)?;
            }
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<(), OnnxError> {
        if tensor.data_location != DataLocation::External as i32 {
            return Ok(());
        }
        self.read(tensor).map_err(|detail| OnnxError::External {
            path: self.model.to_path_buf(),
            tensor: tensor.name.clone(),
            detail,
        })
    }

    fn read(&mut self, tensor: &mut TensorProto) -> Result<(), String> {
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(format!("its {key} is \"{text}\", not a number of bytes")),
            },
        };
        let location = entry("location").ok_or("it has no location")?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let needed = tensor_bytes(tensor.data_type, &tensor.dims)
            .ok_or_else(|| format!("its shape {:?} or element type is not valid", tensor.dims))?;
        if !self.open.contains_key(location) {
            let opened = self.open_file(location)?;
            self.open.insert(location.into(), opened);
        }
        let (file, file_bytes) = self.open.get_mut(location).ok_or("it is not open")?;
        let length = length.unwrap_or_else(|| file_bytes.saturating_sub(offset));
        if length != needed {
            return Err(format!("its shape {:?} needs {needed} bytes, but it says {length}", tensor.dims));
        }
        if offset.checked_add(length).is_none_or(|end| end > *file_bytes) {
            return Err(format!(
                "{length} bytes from offset {offset} are asked for, but {location} has {file_bytes}"
            ));
        }
        self.left = self.left.checked_sub(length).ok_or_else(|| {
            format!("the model's external data is larger than the {MAX_EXTERNAL_BYTES} bytes that are read")
        })?;
        let mut data = vec![0; length as usize];
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut data))
            .map_err(|error| format!("{location}: {error}"))?;
        tensor.raw_data = data;
        tensor.external_data.clear();
        tensor.data_location = DataLocation::Default as i32;
        Ok(())
    }

    fn open_file(&self, location: &str) -> Result<(File, u64), String> {
        let relative = Path::new(location);
        let stays_inside =
            relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if location.is_empty() || !stays_inside {
            return Err(format!(
                "its location \"{location}\" leads out of the model's folder, which is refused"
            ));
        }
        let resolve =
            |path: PathBuf| path.canonicalize().map_err(|error| format!("{}: {error}", path.display()));
        let path = resolve(self.folder.join(relative))?;
        // A symbolic link may lead out as well.
        if !path.starts_with(resolve(self.folder.to_path_buf())?) {
            return Err(format!(
                "its location \"{location}\" is a link out of the model's folder, which is refused"
            ));
        }
        let metadata = path.metadata().map_err(|error| format!("{}: {error}", path.display()))?;
        if !metadata.is_file() {
            return Err(format!("{} is not a file", path.display()));
        }
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((file, metadata.len()))
    }
}
