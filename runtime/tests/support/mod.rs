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

/// Whether ONNX Runtime's library is there; if not, the running test is skipped, or the part of it that needs it.
pub fn has_onnx_runtime() -> bool {
    use latent_runtime::ort::{Library, find_library};
    match find_library() {
        Library::System(name) => {
            let name = name.display();
            let why =
                format_args!("ONNX Runtime's library ({name}) is not installed; see `cargo xtask setup`");
            latent_test_support::skipped(latent_test_support::Missing::OnnxRuntime, why);
            false
        }
        _ => true,
    }
}
