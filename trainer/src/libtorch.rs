//! The libtorch that is loaded into this process: where it lies, and which it is.

use std::fs;
use std::path::{Path, PathBuf};

/// The version that tch and this program are made for.
pub const EXPECTED: &str = "2.11.0";

/// libtorch's folder (that with `lib/`), as loaded into this process; where that cannot be told, as it was found when the
/// trainer was built.
pub fn folder() -> Option<PathBuf> {
    if let Some(library) = loaded_library("libtorch_cpu.so") {
        return Some(library.parent()?.parent()?.to_owned());
    }
    let built = option_env!("LATENT_LIBTORCH_LIB").filter(|folder| !folder.is_empty())?;
    Some(Path::new(built).parent()?.to_owned())
}

/// The version of a libtorch, from `version.py` (in a wheel), `build-version` (in a zip), or its headers.
pub fn version(libtorch: &Path) -> Option<String> {
    if let Ok(text) = fs::read_to_string(libtorch.join("version.py"))
        && let Some(line) = text.lines().find(|line| line.starts_with("__version__"))
    {
        return Some(line.split_once('=')?.1.trim().trim_matches(['\'', '"']).to_owned());
    }
    if let Ok(text) = fs::read_to_string(libtorch.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let header = libtorch.join("include/torch/csrc/api/include/torch/version.h");
    let text = fs::read_to_string(header).ok()?;
    let part = |name: &str| {
        let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some(name))?;
        line.split_whitespace().nth(2)?.parse::<u32>().ok()
    };
    let [major, minor, patch] =
        ["TORCH_VERSION_MAJOR", "TORCH_VERSION_MINOR", "TORCH_VERSION_PATCH"].map(part);
    Some(format!("{}.{}.{}", major?, minor?, patch?))
}

/// The CUDA version a libtorch was built for, `None` for a build without CUDA or where it cannot be told.
pub fn built_for_cuda(libtorch: &Path) -> Option<String> {
    // The wheel says `cuda: Optional[str] = '13.0'` in version.py, the zip `2.11.0+cu130` in build-version.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_each_kind_of_libtorch() {
        let header =
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 0\n";
        let wheel =
            |cuda: &str| format!("__version__ = '2.11.0+x'\ndebug = False\ncuda: Optional[str] = {cuda}\n");
        // What it is, which file tells, its content; version and CUDA expected.
        type Case = (&'static str, &'static str, String, Option<&'static str>, Option<&'static str>);
        let cases: [Case; 7] = [
            ("wheel with CUDA", "version.py", wheel("'13.0'"), Some("2.11.0+x"), Some("13.0")),
            ("wheel without", "version.py", wheel("None"), Some("2.11.0+x"), None),
            ("zip with CUDA", "build-version", "2.11.0+cu126\n".into(), Some("2.11.0+cu126"), Some("12.6")),
            ("zip without", "build-version", "2.11.0+cpu\n".into(), Some("2.11.0+cpu"), None),
            ("odd", "build-version", "2.11.0+cu".into(), Some("2.11.0+cu"), None),
            (
                "headers only",
                "include/torch/csrc/api/include/torch/version.h",
                header.into(),
                Some("2.11.0"),
                None,
            ),
            ("nothing", "other", String::new(), None, None),
        ];
        for (name, file, content, expected, cuda) in cases {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
            assert_eq!(version(dir.path()).as_deref(), expected, "{name}");
            assert_eq!(built_for_cuda(dir.path()).as_deref(), cuda, "{name}");
        }
    }
}
