//! Small ONNX models made from protobuf messages, and a scalar evaluation of them to compare back ends with.
// Each test file uses its part.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod models;
pub mod reference;

use std::path::{Path, PathBuf};

use latent_runtime::onnx::proto::ModelProto;
use prost::Message;

/// Writes a model into `folder` and returns its path.
pub fn save(model: &ModelProto, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

/// Whether ONNX Runtime's library is there; says so on stderr if a test has to be skipped.
pub fn has_onnx_runtime() -> bool {
    use latent_runtime::ort::{Library, find_library};
    match find_library() {
        Library::System(name) => {
            eprintln!(
                "skipped: ONNX Runtime's library ({}) is not installed; see `cargo xtask setup`",
                name.display()
            );
            false
        }
        _ => true,
    }
}
