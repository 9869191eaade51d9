//! Files that a user or another file names, to bytes: the one rule for all readers.
//!
//! Only regular files are read: a pipe would wait for a writer, a device never ends. No more is read than the reader can
//! use, and memory is asked for before it is taken.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Why a file is not read. None of them names the file: whoever asked for it does.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What it is instead.
    #[error("it is {0}, not a file")]
    NotAFile(&'static str),
    /// It is larger than anything of its kind.
    #[error("it has {bytes} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Its size in bytes, or the part of it that was seen.
        bytes: u64,
        /// The most that are read.
        limit: u64,
    },
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            other => Self::new(ErrorKind::InvalidInput, other.to_string()),
        }
    }
}

/// Opens a regular file of at most `limit` bytes, and says how many it has.
///
/// # Errors
/// If it is no regular file (which is not opened then), too large, or the system refuses.
pub fn open(path: &Path, limit: u64) -> Result<(File, u64), ReadError> {
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "a folder" } else { "a pipe, socket or device" };
        return Err(ReadError::NotAFile(found));
    }
    match metadata.len() {
        bytes if bytes > limit => Err(ReadError::TooLarge { bytes, limit }),
        bytes => Ok((File::open(path)?, bytes)),
    }
}

/// The bytes of a regular file of at most `limit` bytes.
///
/// # Errors
/// Those of [`open`], and if there is no memory for so many bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
    let (file, size) = open(path, limit)?;
    let mut bytes = Vec::new();
    let reserved = usize::try_from(size).is_ok_and(|size| bytes.try_reserve_exact(size).is_ok());
    if !reserved {
        let text = format!("there is no memory for its {size} bytes");
        return Err(io::Error::new(ErrorKind::OutOfMemory, text).into());
    }
    // The size may be told wrong (as in /proc), or change.
    let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes)? as u64;
    if read > limit {
        return Err(ReadError::TooLarge { bytes: read, limit });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_bearable_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("four"), "1234").unwrap();
        assert_eq!(read(&at("four"), 4).unwrap(), b"1234");
        let mut cases = vec![
            (at("four"), "it has 4 bytes, more than the 3"),
            (at("none"), "No such file"),
            (folder.path().to_path_buf(), "it is a folder, not a file"),
        ];
        if cfg!(unix) {
            assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
            cases.push((at("pipe"), "it is a pipe, socket or device, not a file"));
            cases.push(("/dev/zero".into(), "it is a pipe, socket or device, not a file"));
        }
        for (path, expected) in cases {
            let error = io::Error::from(read(&path, 3).unwrap_err()).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
