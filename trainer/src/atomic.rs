//! Files and folders that appear whole or not at all.
//!
//! Everything is written beside its place under a name of its own, brought to the disk, and renamed. Whatever happens in
//! between (a kill, a power cut, a full disk), the place holds either what it held before or the new content.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How the names of unfinished files and folders begin.
pub const TEMP_PREFIX: &str = ".tmp-";

/// Turns an I/O error into one that says what was attempted on which file.
fn at(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room and try again",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot {doing} {}: {error}{advice}", path.display()))
    }
}

/// Where `path` is prepared.
fn temp_path(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no file name", path.display()))
    })?;
    let mut temp = std::ffi::OsString::from(TEMP_PREFIX);
    temp.push(name);
    Ok(path.with_file_name(temp))
}

/// The folder that `path` lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Folders can be opened and synced on Unix only; elsewhere a rename is as durable as it gets.
    if cfg!(unix) {
        File::open(folder).and_then(|f| f.sync_all()).map_err(at("sync the folder", folder))?;
    }
    Ok(())
}

/// Writes a file and waits until it is on the disk, without regard to what a reader sees meanwhile.
pub fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path).map_err(at("create", path))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(at("write", path))
}

/// Puts a file in its place, replacing what was there.
///
/// # Errors
/// The error names the file; the place is then untouched.
pub fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let temp = temp_path(path)?;
    let result = write_synced(&temp, content)
        .and_then(|()| fs::rename(&temp, path).map_err(at("replace", path)))
        .and_then(|()| sync_folder(parent(path)));
    if result.is_err() {
        // The first error counts.
        let _ = fs::remove_file(&temp);
    }
    result
}

/// Puts a folder in its place: `fill` writes the files into a temporary folder (each with [`write_synced`]), which is then
/// renamed. A folder that is already there under this name is replaced.
///
/// # Errors
/// Those of `fill` and of the file system; the place is then untouched and the temporary folder removed.
pub fn write_folder<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let temp = temp_path(path)?;
    let result = publish(path, &temp, fill);
    if result.is_err() {
        let _ = fs::remove_dir_all(&temp);
    }
    result
}

fn publish<E: From<io::Error>>(
    path: &Path,
    temp: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    remove_folder(temp)?;
    fs::create_dir_all(temp).map_err(at("create the folder", temp))?;
    fill(temp)?;
    sync_folder(temp)?;
    remove_folder(path)?;
    fs::rename(temp, path).map_err(at("create the folder", path))?;
    sync_folder(parent(path))?;
    Ok(())
}

/// Removes a folder, if it is there, so that it vanishes at once and not file by file.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default();
    let mut going = std::ffi::OsString::from(TEMP_PREFIX);
    going.push("old-");
    going.push(name);
    let going = path.with_file_name(going);
    if going.exists() {
        fs::remove_dir_all(&going).map_err(at("remove", &going))?;
    }
    fs::rename(path, &going).map_err(at("remove", path))?;
    fs::remove_dir_all(&going).map_err(at("remove", &going))
}

/// Removes what interrupted writes left in a folder.
pub fn clean(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at("read the folder", folder)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(at("read the folder", folder))?;
        if entry.file_name().to_string_lossy().starts_with(TEMP_PREFIX) {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                .map_err(at("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_and_folders_replace_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("run.json"), dir.path().join("00000010"));
        for content in ["one", "two"] {
            write_file(&file, content.as_bytes()).unwrap();
            write_folder(&folder, |temp| write_synced(&temp.join(content), b"x")).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
            assert_eq!(names(&folder), [content]);
            assert_eq!(names(dir.path()), ["00000010", "run.json"]);
        }
    }

    #[test]
    fn a_failure_leaves_the_old_content_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("00000010");
        write_folder(&folder, |temp| write_synced(&temp.join("a"), b"x")).unwrap();
        let error = write_folder(&folder, |temp| {
            write_synced(&temp.join("b"), b"half")?;
            Err(io::Error::new(io::ErrorKind::StorageFull, "no space"))
        })
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(names(&folder), ["a"]);
        assert_eq!(names(dir.path()), ["00000010"]);
        let error = write_file(&dir.path().join("no/such/file"), b"x").unwrap_err();
        assert!(error.to_string().contains("no/such/"), "{error}");
    }

    #[test]
    fn leftovers_are_cleaned_up() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".tmp-00000020/deep")).unwrap();
        fs::write(dir.path().join(".tmp-run.json"), "{").unwrap();
        fs::write(dir.path().join("kept"), "").unwrap();
        clean(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["kept"]);
        clean(&dir.path().join("absent")).unwrap();
    }
}
