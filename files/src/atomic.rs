//! Files and folders that appear whole or not at all (`std`).
//!
//! What is written lies beside its place under a name of its own (`.tmp-...`) until it is on the disk, and is then renamed.
//! Whatever happens in between, the place holds either what it held before or the new content:
//!
//! - An error, such as a full disk: what was begun is removed.
//! - A killed process, a power cut: what was begun stays, under a name that nobody takes for the real one. [`clean`] removes
//!   it.
//!
//! All errors are the system's, with its [`kind`](io::Error::kind) and a message that says what was attempted on which file.

use std::ffi::OsString;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// How the names of unfinished files and folders begin.
const UNFINISHED: &str = ".tmp-";

/// What to do with a file that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and return an error of the kind [`ErrorKind::AlreadyExists`].
    Keep,
    /// Replace it.
    Replace,
}

impl Existing {
    /// Replaces if `force`, as a program's option `--force` says.
    pub const fn forced(force: bool) -> Self {
        if force { Self::Replace } else { Self::Keep }
    }
}

/// Checks early, before work is done for it, that a file can be written here: there is none that is to be kept, and neither
/// is there a folder of that name nor a file where a folder has to be.
pub fn check(path: &Path, existing: Existing) -> io::Result<()> {
    let refuse =
        |kind, why: &str| Err(io::Error::new(kind, format!("cannot write {}: {why}", path.display())));
    if path.file_name().is_none() || path.is_dir() {
        return refuse(ErrorKind::IsADirectory, "it is a folder, not a file");
    }
    if existing == Existing::Keep && path.symlink_metadata().is_ok() {
        return Err(taken(path));
    }
    // A rename would put a file in the place of a device or a pipe.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return refuse(ErrorKind::InvalidInput, "it is no regular file but a device, a pipe or a socket");
    }
    match path.ancestors().skip(1).find(|folder| folder.exists()) {
        Some(above) if !above.is_dir() => {
            refuse(ErrorKind::NotADirectory, &format!("{} is a file, not a folder", above.display()))
        }
        _ => Ok(()),
    }
}

/// Checks early that what is written does not take the place of something that is read, by whatever names; not even
/// [`Existing::Replace`] means that.
///
/// # Errors
/// If `output` is one of `inputs`.
pub fn check_apart<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a PathBuf>) -> io::Result<()> {
    match inputs.into_iter().find(|input| is_same_file(output, input)) {
        None => Ok(()),
        Some(input) => {
            let (output, input) = (output.display(), input.display());
            let why = format!("cannot write {output}: it is the input {input}; write to another file");
            Err(io::Error::new(ErrorKind::InvalidInput, why))
        }
    }
}

/// Whether two names are those of one file that exists.
fn is_same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let id = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
        id(a).is_some() && id(a) == id(b)
    }
    #[cfg(not(unix))]
    {
        a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
    }
}

/// Writes a file. Its folder is made if there is none.
///
/// # Errors
/// If the file is there and to be kept, or the system refuses; the place is then untouched.
pub fn write_file(path: &Path, content: &[u8], existing: Existing) -> io::Result<()> {
    let mut file = NewFile::begin(path, existing)?;
    file.write_all(content).map_err(at("write", path))?;
    file.finish().map(|_| ())
}

/// A file that is written bit by bit, and appears by [`NewFile::finish`]; if that does not come, it is removed.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    existing: Existing,
    /// Before `temp`, so closed before that is removed.
    writer: BufWriter<File>,
    temp: Unfinished,
}

impl NewFile {
    /// Begins a file. Its folder is made if there is none.
    ///
    /// # Errors
    /// If the file is there and to be kept, or the system refuses.
    pub fn begin(path: &Path, existing: Existing) -> io::Result<Self> {
        check(path, existing)?;
        make_folder(parent(path))?;
        let create = |temp: &Path| OpenOptions::new().write(true).create_new(true).open(temp);
        let (temp, file) = begin(path, create).map_err(at("write", path))?;
        Ok(Self { path: path.to_owned(), existing, temp: Unfinished(temp), writer: BufWriter::new(file) })
    }

    /// Another handle to the same file, for a writer that keeps its own.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn handle(&self) -> io::Result<File> {
        self.writer.get_ref().try_clone().map_err(at("write", &self.path))
    }

    /// Gives the file its name once it is on the disk. Returns its size in bytes.
    ///
    /// # Errors
    /// If the name was taken meanwhile and is to be kept, or the system refuses; the place is then untouched.
    pub fn finish(self) -> io::Result<u64> {
        let Self { path, existing, temp, writer } = self;
        let name = || {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            let bytes = file.metadata()?.len();
            drop(file);
            match existing {
                Existing::Replace => fs::rename(&temp.0, &path)?,
                Existing::Keep => name_new(&temp.0, &path)?,
            }
            Ok(bytes)
        };
        let bytes = name().map_err(|error: io::Error| match error.kind() {
            ErrorKind::AlreadyExists => taken(&path),
            _ => at("write", &path)(error),
        })?;
        sync_folder(parent(&path));
        Ok(bytes)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The temporary name of what is being written. What still has it in the end is removed.
#[derive(Debug)]
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Once it has its own name, there is nothing here.
        let _ = if self.0.is_dir() { fs::remove_dir_all(&self.0) } else { fs::remove_file(&self.0) };
    }
}

/// Gives a finished file its name unless somebody has taken that since it was checked.
fn name_new(temp: &Path, path: &Path) -> io::Result<()> {
    // Unlike a rename, a link never replaces. Not all file systems have links.
    match fs::hard_link(temp, path) {
        Ok(()) => fs::remove_file(temp),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        Err(_) if path.symlink_metadata().is_ok() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(temp, path),
    }
}

/// Writes a folder: `fill` writes the files into a temporary one (each with [`write_synced`]), which is then renamed. A
/// folder that is already there under this name is replaced.
///
/// # Errors
/// Those of `fill` and of the system. The place is then untouched; only if the last renaming fails is a folder gone that was
/// to be replaced.
pub fn write_folder<E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let folder = NewFolder::begin(path)?;
    fill(folder.temporary())?;
    Ok(folder.finish(Existing::Replace)?)
}

/// A folder into which files are written bit by bit, and which appears by [`NewFolder::finish`]; if that does not come, it is
/// removed.
#[derive(Debug)]
pub struct NewFolder {
    path: PathBuf,
    temp: Unfinished,
}

impl NewFolder {
    /// Begins a folder. That around it is made if there is none.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn begin(path: &Path) -> io::Result<Self> {
        make_folder(parent(path))?;
        let (temp, ()) = begin(path, |temp| fs::create_dir(temp)).map_err(at("create the folder", path))?;
        Ok(Self { path: path.to_owned(), temp: Unfinished(temp) })
    }

    /// Where its files are to be written, each with [`write_synced`].
    pub fn temporary(&self) -> &Path {
        &self.temp.0
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// If something is there and to be kept, or the system refuses. The place is then untouched; only if the last renaming
    /// fails is a folder gone that was to be replaced.
    pub fn finish(self, existing: Existing) -> io::Result<()> {
        let Self { path, temp } = self;
        sync_folder(&temp.0);
        match existing {
            Existing::Replace => remove_folder(&path)?,
            // A rename would replace an empty folder in silence.
            Existing::Keep if path.symlink_metadata().is_ok() => return Err(taken(&path)),
            Existing::Keep => {}
        }
        fs::rename(&temp.0, &path).map_err(at("create the folder", &path))?;
        sync_folder(parent(&path));
        Ok(())
    }
}

/// Writes a file and waits until it is on the disk, without regard to what a reader sees meanwhile: for [`write_folder`].
pub fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(at("write", path))
}

/// Removes a folder, if it is there, so that it vanishes at once and not file by file.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let free = |going: &Path| if going.exists() { Err(ErrorKind::AlreadyExists.into()) } else { Ok(()) };
    let (going, ()) = begin(path, free).map_err(at("remove", path))?;
    fs::rename(path, &going).map_err(at("remove", path))?;
    fs::remove_dir_all(&going).map_err(at("remove", &going))
}

/// Whether a file or folder of this name is one that was being written.
pub fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED)
}

/// Removes what interrupted writes left in a folder. Nobody else may be writing into it.
pub fn clean(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(at("read the folder", folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(at("read the folder", folder))?;
        if is_unfinished(&entry.file_name().to_string_lossy()) {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
                .map_err(at("remove", &path))?;
        }
    }
    Ok(())
}

/// Creates something new beside `path`, under a name that is not taken.
fn begin<T>(path: &Path, create: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut name = OsString::from(format!("{UNFINISHED}{}-{number}-", std::process::id()));
        // Enough to tell what it was; with all of it, a long name would become too long.
        name.push(
            path.file_name().unwrap_or_default().to_string_lossy().chars().take(32).collect::<String>(),
        );
        let temp = path.with_file_name(name);
        match create(&temp) {
            // Left by a process of the same number that was killed.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => return created.map(|created| (temp, created)),
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder).map_err(at("make the folder", folder))
}

/// The folder that `path` lies in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A new name is on the disk once its folder is. Not all systems can do this for a folder; then a rename is as durable as it
/// gets.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

fn taken(path: &Path) -> io::Error {
    let text =
        format!("{} is there already; replace it with --force, or choose another name", path.display());
    io::Error::new(ErrorKind::AlreadyExists, text)
}

/// Turns the system's error into one that says what was attempted on which file.
fn at(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| {
        let advice = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room and try again",
            _ => "",
        };
        io::Error::new(error.kind(), format!("cannot {doing} {}: {error}{advice}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[cfg(unix)]
    #[test]
    fn no_device_and_no_input_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = write_file(&socket, b"x", Existing::Replace).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
        let [file, link, hard, other] = ["file", "link", "hard", "other"].map(|name| dir.path().join(name));
        fs::write(&file, b"x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::hard_link(&file, &hard).unwrap();
        for name in [&file, &link, &hard] {
            let error = check_apart(name, [&other, &file]).unwrap_err().to_string();
            assert!(error.contains("it is the input"), "{error}");
        }
        check_apart(&other, [&file, &other]).unwrap();
    }

    #[test]
    fn a_file_is_replaced_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/model.onnx");
        write_file(&path, b"one", Existing::Keep).unwrap();
        for error in [check(&path, Existing::Keep), write_file(&path, b"two", Existing::forced(false))] {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists);
            assert!(error.to_string().contains("model.onnx is there already"), "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), b"one");
        // Somebody else was faster.
        let temp = dir.path().join("new/folder/temp");
        fs::write(&temp, b"two").unwrap();
        assert_eq!(name_new(&temp, &path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        fs::remove_file(temp).unwrap();
        write_file(&path, b"two", Existing::forced(true)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["model.onnx"]);
    }

    #[test]
    fn impossible_places_are_refused_before_and_when_writing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        for (path, expected) in
            [(dir.path().to_path_buf(), "is a folder"), (dir.path().join("file/a/b.png"), "file is a file")]
        {
            for error in [check(&path, Existing::Replace), write_file(&path, b"", Existing::Replace)] {
                let error = error.unwrap_err().to_string();
                assert!(error.contains(expected), "{error}");
            }
        }
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn folders_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("00000010");
        for content in ["one", "two"] {
            write_folder(&folder, |temp| write_synced(&temp.join(content), b"x")).unwrap();
            assert_eq!(names(&folder), [content]);
            assert_eq!(names(dir.path()), ["00000010"]);
        }
        remove_folder(&folder).unwrap();
        remove_folder(&folder).unwrap();
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_full_disk_leaves_the_old_content_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("run.json"), dir.path().join("00000010"));
        write_file(&file, b"old", Existing::Keep).unwrap();
        write_folder(&folder, |temp| write_synced(&temp.join("a"), b"x")).unwrap();
        let mut half = NewFile::begin(&file, Existing::Replace).unwrap();
        half.write_all(b"half of the new").unwrap();
        drop(half);
        let error = at("write", &file)(ErrorKind::StorageFull.into());
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert!(text.contains("run.json") && text.contains("make room"), "{text}");
        let error: io::Error = write_folder(&folder, |temp| {
            write_synced(&temp.join("b"), b"half")?;
            Err(ErrorKind::StorageFull.into())
        })
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(
            (fs::read(&file).unwrap().as_slice(), names(&folder)),
            (&b"old"[..], Vec::from(["a".into()]))
        );
        assert_eq!(names(dir.path()), ["00000010", "run.json"]);
    }

    #[test]
    fn leftovers_are_cleaned_up() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".tmp-1-0-00000020/deep")).unwrap();
        fs::write(dir.path().join(".tmp-1-1-run.json"), "{").unwrap();
        fs::write(dir.path().join("kept"), "").unwrap();
        clean(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["kept"]);
        clean(&dir.path().join("absent")).unwrap();
    }
}
