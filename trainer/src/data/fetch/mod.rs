//! Fetching data sets: from mirrors over HTTP, or from a folder on a machine without a network.
//!
//! A file is downloaded to `NAME.part` beside its place and renamed once its SHA-256 is right, so a file under its own name is
//! whole. An interrupted download leaves the `.part`; the next run continues it.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::idx;
use super::stats::hex;

mod download;
mod sources;

pub use sources::{SOURCES, source};

/// A data set that can be fetched.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name, and that of its folder in the data folder.
    pub name: &'a str,
    /// Addresses that a file's name is appended to, best first.
    pub mirrors: &'a [&'a str],
    pub files: &'a [RemoteFile<'a>],
}

/// A file of a data set.
#[derive(Debug, Clone, Copy)]
pub struct RemoteFile<'a> {
    pub name: &'a str,
    /// Its published size in bytes.
    pub bytes: u64,
    /// Its published SHA-256, in hexadecimal.
    pub sha256: &'a str,
    /// SHA-256 of what it decompresses to. A file that was gzipped anew is accepted by this.
    pub content_sha256: Option<&'a str>,
}

#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Take the files from this folder and use no network.
    pub from: Option<PathBuf>,
    /// Use these mirrors instead of the data set's own.
    pub mirrors: Vec<String>,
    /// Replace a file that is there with other content.
    pub force: bool,
    /// Attempts per mirror and file that bring nothing new.
    pub attempts: u32,
    /// Pause before the second attempt; it doubles for each further one, up to 30 s.
    pub backoff: Duration,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time without a byte, before the answer and within it, and with less than a kilobyte a second.
    pub stall_timeout: Duration,
    /// Whether to go through the proxy that the environment names.
    pub proxy: bool,
}

impl Default for FetchOptions {
    fn default() -> Self {
        FetchOptions {
            from: None,
            mirrors: Vec::new(),
            force: false,
            attempts: 3,
            backoff: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(30),
            proxy: true,
        }
    }
}

/// What happens during a fetch, for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Work on a file begins.
    Begin {
        file: String,
        /// Its expected size in bytes.
        bytes: u64,
    },
    /// So many bytes of the file are there.
    Bytes(u64),
    /// Something worth telling: a retry, another mirror.
    Note(String),
    /// The file is in its place.
    Done {
        file: String,
        /// Whether it had been there all along.
        present: bool,
    },
}

/// Why a data set could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    #[error("{file} could not be downloaded:{}", lines(.failures))]
    Mirrors {
        file: String,
        /// Each address and why it failed.
        failures: Vec<(String, String)>,
    },
    #[error("{} is there, but its content is not that of the data set (SHA-256 {found}); --force replaces it", .path.display())]
    Exists {
        path: PathBuf,
        /// SHA-256 of what is there.
        found: String,
    },
    #[error("{} is not in {}; expected one of {}", .file, .folder.display(), .tried.join(", "))]
    NotInFolder {
        file: String,
        folder: PathBuf,
        /// Names that were tried.
        tried: Vec<String>,
    },
    #[error("{} is not the file of the data set: its SHA-256 is {found}, expected {expected}", .path.display())]
    Wrong {
        path: PathBuf,
        /// Its SHA-256.
        found: String,
        /// The right one.
        expected: String,
    },
    #[error("{} is being written by another process; wait for it to finish", .path.display())]
    Busy { path: PathBuf },
    /// The disk refused a write. What was there before is kept.
    #[error(
        "writing {} failed after {bytes} bytes: {source}; nothing was removed, and running the command again continues from \
         there (make room first if the disk is full)",
        .path.display()
    )]
    Write {
        path: PathBuf,
        /// Its length in bytes.
        bytes: u64,
        source: io::Error,
    },
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

fn lines(failures: &[(String, String)]) -> String {
    failures.iter().map(|(url, why)| format!("\n  {url}: {why}")).collect()
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    move |source| FetchError::Io { action, path: path.to_owned(), source }
}

/// Brings all files of a data set into `folder`, which is created if need be. Files that are there already are checked and kept.
///
/// # Errors
/// See [`FetchError`]; files that were finished before the error stay.
pub fn fetch(
    source: &Source<'_>,
    folder: &Path,
    options: &FetchOptions,
    watch: &mut dyn FnMut(Event),
) -> Result<(), FetchError> {
    fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    let outcome = fetch_files(source, folder, options, watch);
    if outcome.is_err() {
        // Leave no empty folder behind, which would look like a data set. This fails if anything is in it.
        let _ = fs::remove_dir(folder);
    }
    outcome
}

fn fetch_files(
    source: &Source<'_>,
    folder: &Path,
    options: &FetchOptions,
    watch: &mut dyn FnMut(Event),
) -> Result<(), FetchError> {
    let mut mirrors: Vec<String> = if options.mirrors.is_empty() {
        source.mirrors.iter().map(|&m| m.to_owned()).collect()
    } else {
        options.mirrors.clone()
    };
    for file in source.files {
        watch(Event::Begin { file: file.name.to_owned(), bytes: file.bytes });
        let present = is_present(file, folder, options.force)?;
        if !present {
            match &options.from {
                Some(from) => copy(file, from, folder, watch)?,
                None => {
                    let used = download::file(file, &mirrors, folder, options, watch)?;
                    // The one that worked is the first to ask for the next file.
                    mirrors[..=used].rotate_right(1);
                }
            }
        }
        watch(Event::Done { file: file.name.to_owned(), present });
    }
    Ok(())
}

/// Whether a good copy is in its place, under its own name or decompressed.
fn is_present(file: &RemoteFile<'_>, folder: &Path, force: bool) -> Result<bool, FetchError> {
    for name in names(file) {
        let path = folder.join(&name);
        match check(&path, file) {
            Ok(Check::Good) => return Ok(true),
            Ok(Check::Wrong(_)) if force => {}
            Ok(Check::Wrong(found)) => return Err(FetchError::Exists { path, found }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(io_error("read", &path)(e)),
        }
    }
    Ok(false)
}

/// The names under which a file may lie in a folder: its own, and for IDX files the other customary ones.
fn names(file: &RemoteFile<'_>) -> Vec<String> {
    let mut names = vec![file.name.to_owned()];
    if let Some((stem, suffix)) = file.name.trim_end_matches(".gz").split_once("-idx") {
        let others = idx::candidates(stem, &format!("idx{suffix}"));
        names.extend(
            others
                .into_iter()
                .filter(|n| n != file.name && (n.ends_with(".gz") || file.content_sha256.is_some())),
        );
    }
    names
}

/// Takes a file from a folder.
fn copy(
    file: &RemoteFile<'_>,
    from: &Path,
    folder: &Path,
    watch: &mut dyn FnMut(Event),
) -> Result<(), FetchError> {
    let tried = names(file);
    let found = [from.to_owned(), from.join("raw")]
        .iter()
        .flat_map(|f| tried.iter().map(move |n| (f.join(n), n.clone())))
        .find(|(path, _)| path.is_file());
    let Some((path, name)) = found else {
        return Err(FetchError::NotInFolder { file: file.name.to_owned(), folder: from.to_owned(), tried });
    };
    match check(&path, file).map_err(io_error("read", &path))? {
        Check::Good => {}
        Check::Wrong(found) => {
            return Err(FetchError::Wrong { path, found, expected: file.sha256.to_owned() });
        }
    }
    let part = part_path(folder, &name);
    let mut input = File::open(&path).map_err(io_error("open", &path))?;
    let mut output = open_part(&part)?;
    output.set_len(0).map_err(io_error("empty", &part))?;
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let n = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(io_error("read", &path)(e)),
        };
        output.write_all(&buffer[..n]).map_err(|source| FetchError::Write {
            path: part.clone(),
            bytes,
            source,
        })?;
        bytes += n as u64;
        watch(Event::Bytes(bytes));
    }
    finish(output, &part, &folder.join(name))
}

fn part_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.part"))
}

/// Opens an unfinished file for appending and makes sure that nobody else has it.
fn open_part(part: &Path) -> Result<File, FetchError> {
    let file =
        File::options().read(true).append(true).create(true).open(part).map_err(io_error("open", part))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(FetchError::Busy { path: part.to_owned() }),
        // A file system without locks: go on without.
        Err(fs::TryLockError::Error(_)) => Ok(file),
    }
}

/// Brings a finished file to the disk and to its name.
fn finish(file: File, part: &Path, place: &Path) -> Result<(), FetchError> {
    let bytes = file.metadata().map(|m| m.len()).unwrap_or(0);
    file.sync_all().map_err(|source| FetchError::Write { path: part.to_owned(), bytes, source })?;
    fs::rename(part, place).map_err(io_error("rename to", place))?;
    if cfg!(unix)
        && let Some(folder) = place.parent()
    {
        File::open(folder).and_then(|f| f.sync_all()).map_err(io_error("sync", folder))?;
    }
    Ok(())
}

enum Check {
    Good,
    /// The SHA-256 that was found.
    Wrong(String),
}

/// Compares a file's hash, or that of what it decompresses to, with the published ones.
fn check(path: &Path, file: &RemoteFile<'_>) -> io::Result<Check> {
    let found = sha256(File::open(path)?, u64::MAX)?;
    if found == file.sha256 || file.content_sha256 == Some(found.as_str()) {
        return Ok(Check::Good);
    }
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path)?);
    let gzipped = io::BufRead::fill_buf(&mut reader)?.starts_with(&[0x1f, 0x8b]);
    if let Some(expected) = file.content_sha256
        && gzipped
    {
        // A broken stream is a wrong file, not an error of this program. The limit keeps a hostile one from going on forever.
        let content = sha256(MultiGzDecoder::new(reader), file.bytes.saturating_mul(64)).unwrap_or_default();
        if content == expected {
            return Ok(Check::Good);
        }
    }
    Ok(Check::Wrong(found))
}

fn sha256(mut reader: impl Read, limit: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut total = 0u64;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(n) => {
                total += n as u64;
                if total > limit {
                    return Err(io::Error::other("the content is too long"));
                }
                hash.update(&buffer[..n]);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}
