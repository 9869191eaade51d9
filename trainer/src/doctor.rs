//! What the trainer finds on a machine: libtorch, devices, data, the ONNX Runtime library.

use std::fs;
use std::path::{Path, PathBuf};

/// libtorch's folder (that with `lib/`), as loaded into this process.
pub fn libtorch_folder() -> Option<PathBuf> {
    let library = loaded_library("libtorch_cpu.so")?;
    Some(library.parent()?.parent()?.to_owned())
}

/// The CUDA version a libtorch was built for, `None` for a build without CUDA or where it cannot be told.
pub fn built_for_cuda(libtorch: &Path) -> Option<String> {
    // The wheel says `cuda: Optional[str] = '13.0'` in torch/version.py, the zip `2.11.0+cu130` in build-version.
    if let Ok(text) = fs::read_to_string(libtorch.join("version.py")) {
        let line = text.lines().find(|line| line.starts_with("cuda:") || line.starts_with("cuda "))?;
        let value = line.split_once('=')?.1.trim().trim_matches(['\'', '"']);
        return (value != "None").then(|| value.to_owned());
    }
    let text = fs::read_to_string(libtorch.join("build-version")).ok()?;
    let digits = text.trim().split_once("+cu")?.1;
    let (major, minor) = digits.split_at_checked(digits.len().checked_sub(1)?)?;
    Some(format!("{major}.{minor}"))
}

/// Where a shared library is that is loaded into this process, by its file name (Linux only).
pub fn loaded_library(name: &str) -> Option<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let path = Path::new(&line[line.find('/')?..]);
        (path.file_name()? == name).then(|| path.to_owned())
    })
}
