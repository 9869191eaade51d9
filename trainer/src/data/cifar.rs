//! The binary version of CIFAR-10.
//!
//! Source of the format: A. Krizhevsky, "The CIFAR-10 dataset", section "Binary version": records of 3073 bytes, one label
//! byte (0..=9), then 1024 red, 1024 green and 1024 blue bytes of a 32x32 image in row-major order. Training images come in
//! `data_batch_1.bin` to `data_batch_5.bin`, test images in `test_batch.bin`; the official files hold 10 000 records each, other
//! numbers are fine.

use std::fs;
use std::path::{Path, PathBuf};

use super::archive;
use super::{DataError, Dataset, MAX_BYTES, Split};

const SIDE: usize = 32;
const PIXELS: usize = 3 * SIDE * SIDE;
const RECORD: usize = 1 + PIXELS;
/// Names used when the archive has no `batches.meta.txt`.
pub const CLASS_NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const META: &str = "batches.meta.txt";

/// Loads one split from `path`: a folder with the `.bin` files (or with a folder `cifar-10-batches-bin` or an archive
/// `cifar-10-binary*.tar.gz` that holds them), or such an archive itself.
///
/// # Errors
/// If a file is missing, is not a whole number of records, or holds a label over 9.
pub fn load(path: &Path, split: Split) -> Result<Dataset, DataError> {
    let names: Vec<String> = match split {
        Split::Train => (1..=5).map(|i| format!("data_batch_{i}.bin")).collect(),
        Split::Test => vec!["test_batch.bin".to_owned()],
    };
    let files = match locate(path)? {
        Place::Folder(folder) => read_folder(&folder, &names)?,
        Place::Archive(file) => read_archive(&file, &names)?,
    };
    let mut data = Dataset {
        name: "cifar10".to_owned(),
        source: format!("cifar10:{}", path.display()),
        channels: 3,
        height: SIDE,
        width: SIDE,
        pixels: Vec::new(),
        labels: Vec::new(),
        class_names: files.class_names,
    };
    let records: usize = files.batches.iter().map(|(_, bytes)| bytes.len() / RECORD).sum();
    data.pixels.reserve_exact(records * PIXELS);
    data.labels.reserve_exact(records);
    for (name, bytes) in &files.batches {
        append(&mut data, name, bytes)?;
    }
    Ok(data)
}

struct Files {
    class_names: Vec<String>,
    /// Name for messages and content of each batch, in order.
    batches: Vec<(String, Vec<u8>)>,
}

enum Place {
    Folder(PathBuf),
    Archive(PathBuf),
}

fn locate(path: &Path) -> Result<Place, DataError> {
    if path.is_file() {
        return Ok(Place::Archive(path.to_owned()));
    }
    if !path.is_dir() {
        return Err(DataError::Missing {
            file: path.display().to_string(),
            expected: "a folder with data_batch_1.bin, or cifar-10-binary.tar.gz".to_owned(),
        });
    }
    for folder in [path.to_owned(), path.join("cifar-10-batches-bin")] {
        if has_batches(&folder) {
            return Ok(Place::Folder(folder));
        }
    }
    let mut archives = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| DataError::io(path, e))? {
        let file = entry.map_err(|e| DataError::io(path, e))?.path();
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with("cifar-10-binary") && archive::is_archive(&file) {
            archives.push(file);
        }
    }
    // The official name sorts first: '.' comes before letters but after '-', so compare lengths before names.
    archives.sort_by_key(|p| (p.as_os_str().len(), p.clone()));
    match archives.into_iter().next() {
        Some(file) => Ok(Place::Archive(file)),
        None => Err(DataError::Missing {
            file: path.join("data_batch_1.bin").display().to_string(),
            expected:
                "the files data_batch_1.bin to data_batch_5.bin and test_batch.bin, or cifar-10-binary.tar.gz"
                    .to_owned(),
        }),
    }
}

fn has_batches(folder: &Path) -> bool {
    folder.join("data_batch_1.bin").is_file() || folder.join("test_batch.bin").is_file()
}

fn read_folder(folder: &Path, names: &[String]) -> Result<Files, DataError> {
    let mut total = 0;
    let mut batches = Vec::new();
    for name in names {
        let path = folder.join(name);
        let meta = match fs::metadata(&path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(missing(&path.display().to_string()));
            }
            Err(e) => return Err(DataError::io(&path, e)),
        };
        total += meta.len();
        if total > MAX_BYTES {
            return Err(DataError::TooLarge {
                file: path.display().to_string(),
                bytes: total,
                limit: MAX_BYTES,
            });
        }
        let bytes = fs::read(&path).map_err(|e| DataError::io(&path, e))?;
        batches.push((path.display().to_string(), bytes));
    }
    let meta = folder.join(META);
    let class_names = match fs::metadata(&meta) {
        Ok(m) if m.len() <= MAX_META => {
            let bytes = fs::read(&meta).map_err(|e| DataError::io(&meta, e))?;
            class_names(&meta.display().to_string(), &bytes)?
        }
        Ok(m) => {
            return Err(DataError::TooLarge {
                file: meta.display().to_string(),
                bytes: m.len(),
                limit: MAX_META,
            });
        }
        Err(_) => default_class_names(),
    };
    Ok(Files { class_names, batches })
}

const MAX_META: u64 = 1 << 16;

fn read_archive(path: &Path, names: &[String]) -> Result<Files, DataError> {
    let entries = archive::read(path, MAX_BYTES, |entry| {
        let name = base_name(entry);
        if name == META { Some(MAX_META) } else { names.iter().any(|n| n == name).then_some(MAX_BYTES) }
    })?;
    let mut names_found = default_class_names();
    let mut found: Vec<Option<(String, Vec<u8>)>> = names.iter().map(|_| None).collect();
    for entry in entries {
        let label = format!("{}: {}", path.display(), entry.path);
        let name = base_name(&entry.path);
        if name == META {
            names_found = class_names(&label, &entry.bytes)?;
        } else if let Some(i) = names.iter().position(|n| n == name) {
            if found[i].is_some() {
                return Err(DataError::Layout {
                    file: label,
                    problem: format!("is the second {name} in the archive"),
                    expected: "one file of each name".to_owned(),
                });
            }
            found[i] = Some((label, entry.bytes));
        }
    }
    let batches = found
        .into_iter()
        .zip(names)
        .map(|(file, name)| file.ok_or_else(|| missing(&format!("{}: {name}", path.display()))))
        .collect::<Result<_, _>>()?;
    Ok(Files { class_names: names_found, batches })
}

fn missing(file: &str) -> DataError {
    DataError::Missing {
        file: file.to_owned(),
        expected: "a batch of CIFAR-10's binary version (a folder or archive of pictures is loaded with folder:PATH)"
            .to_owned(),
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn default_class_names() -> Vec<String> {
    CLASS_NAMES.iter().map(|&n| n.to_owned()).collect()
}

/// Reads `batches.meta.txt`: ten names, one a line; empty lines are skipped (the official file ends in two).
fn class_names(file: &str, bytes: &[u8]) -> Result<Vec<String>, DataError> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        DataError::invalid(file, e.valid_up_to(), "bytes that are not UTF-8 text", "one class name a line")
    })?;
    let names: Vec<String> =
        text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    if names.len() != CLASS_NAMES.len() {
        return Err(DataError::invalid(file, bytes.len(), format!("{} class names", names.len()), "10"));
    }
    Ok(names)
}

/// Appends the records of one batch file.
fn append(data: &mut Dataset, file: &str, bytes: &[u8]) -> Result<(), DataError> {
    let (records, rest) = bytes.as_chunks::<RECORD>();
    if records.is_empty() || !rest.is_empty() {
        return Err(DataError::invalid(
            file,
            bytes.len(),
            format!("the end of the file, {} bytes into a record", rest.len()),
            format!("at least one record, each of {RECORD} bytes"),
        ));
    }
    for (i, record) in records.iter().enumerate() {
        if usize::from(record[0]) >= CLASS_NAMES.len() {
            return Err(DataError::invalid(
                file,
                i * RECORD,
                format!("label {}", record[0]),
                format!("a label from 0 to 9 at the start of record {i}"),
            ));
        }
        data.labels.push(u32::from(record[0]));
        data.pixels.extend_from_slice(&record[1..]);
    }
    Ok(())
}
