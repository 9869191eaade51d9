//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

/// Checks, before any work is done, that a file can be written here: its folder is there, and nothing is overwritten
/// without `force`.
pub(super) fn check_target(path: &Path, force: bool) -> anyhow::Result<()> {
    if path.file_name().is_none() || path.is_dir() {
        bail!("cannot write {}: it is a folder, not a file", path.display());
    }
    let folder = folder(path);
    if !folder.is_dir() {
        bail!("cannot write {}: there is no folder {}", path.display(), folder.display());
    }
    if path.symlink_metadata().is_ok() && !force {
        bail!("{} is there already; --force overwrites it", path.display());
    }
    Ok(())
}

/// Writes a file: into a temporary file beside it, flushed to the disk, then renamed.
pub(super) fn write(path: &Path, bytes: &[u8], force: bool) -> anyhow::Result<()> {
    check_target(path, force)?;
    let temporary = temporary(path)?;
    let result = fill(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = result {
        let _ = fs::remove_file(&temporary);
        return Err(anyhow!(error).context(format!("cannot write {}", path.display())));
    }
    // The new name is on the disk once its folder is. Not all file systems can do this.
    if let Ok(folder) = File::open(folder(path)) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary(path: &Path) -> anyhow::Result<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name().with_context(|| format!("cannot write {}", path.display()))?);
    name.push(format!(".{}.tmp", std::process::id()));
    Ok(folder(path).join(name))
}

fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        // Left by a process of the same number that was killed.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            OpenOptions::new().write(true).create_new(true).open(path)?
        }
        opened => opened?,
    };
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_overwritten_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.bin");
        write(&path, b"one", false).unwrap();
        assert!(write(&path, b"two", false).unwrap_err().to_string().contains("--force"));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write(&path, b"two", true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn impossible_targets_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (path, expected) in [
            (folder.path().to_path_buf(), "is a folder"),
            (folder.path().join("a/b.png"), "there is no folder"),
        ] {
            let error = check_target(&path, true).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
