//! A file on the disk to its bytes, or to a picture.

use std::path::Path;

use super::{Picture, PictureError, decode};
use crate::regular::{self, ReadError};

/// The largest picture file that is read, in bytes.
pub const MAX_FILE: u64 = 256 << 20;

/// Reads a PNG or JPEG file: [`read_file`], then [`decode`](fn@decode).
///
/// # Errors
/// If it cannot be read or is no whole picture; see [`PictureError`].
pub fn open(path: &Path) -> Result<Picture, PictureError> {
    decode(&path.display().to_string(), &read_file(path)?)
}

/// The bytes of a file of at most [`MAX_FILE`] bytes. Pipes and devices, which may never end, are refused unopened.
///
/// # Errors
/// If it is no regular file, too large, or the system refuses.
pub fn read_file(path: &Path) -> Result<Vec<u8>, PictureError> {
    regular::read(path, MAX_FILE).map_err(|error| match (error, path.display().to_string()) {
        (ReadError::Io(source), _) => PictureError::io(path, source),
        (ReadError::NotAFile(found), file) => PictureError::NotAFile { file, found },
        (ReadError::TooLarge { bytes, limit }, file) => PictureError::TooLarge { file, bytes, limit },
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn only_files_of_a_bearable_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("small"), "1234").unwrap();
        assert_eq!(read_file(&at("small")).unwrap(), b"1234");
        File::create(at("large")).unwrap().set_len(MAX_FILE + 1).unwrap();
        let pipe = std::process::Command::new("mkfifo").arg(at("pipe.png")).status();
        let mut cases = vec![
            (at("large"), "has 268435457 bytes, more than the 268435456"),
            (at("none"), "none: cannot be read: No such file"),
            (folder.path().to_path_buf(), "is a folder, not a file"),
        ];
        if cfg!(unix) {
            assert!(pipe.unwrap().success());
            cases.push((at("pipe.png"), "pipe.png: is a pipe, socket or device, not a file"));
            cases.push(("/dev/zero".into(), "/dev/zero: is a pipe, socket or device, not a file"));
        }
        for (path, expected) in cases {
            let error = read_file(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
