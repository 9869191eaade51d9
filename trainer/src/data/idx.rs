//! The IDX format of MNIST and its relatives: big-endian magic number, one size per dimension, then the bytes.
//!
//! Source of the format: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section "File formats".
//! Image files have magic 2051 (unsigned bytes, three dimensions: count, rows, columns), label files 2049 (unsigned bytes,
//! one dimension). Files may be gzipped.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use latent_files::regular;

use super::archive::max_inflated;
use super::{DataError, Dataset, MAX_BYTES, Split};

const IMAGES_MAGIC: u32 = 2051;
const LABELS_MAGIC: u32 = 2049;
/// Largest side of an image, in pixels.
const MAX_SIDE: u32 = 8192;

/// The content of an image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    pub count: usize,
    /// Height of each, in pixels.
    pub rows: usize,
    /// Width of each, in pixels.
    pub columns: usize,
    /// count x rows x columns values.
    pub pixels: Vec<u8>,
}

/// Loads one split of a data set with MNIST's file names from `folder`.
///
/// The names may have `-` or `.` before `idx`, and may end in `.gz`; a plain file wins over a gzipped one. The files may also
/// lie in a folder `raw` inside `folder`.
///
/// # Errors
/// If a file is missing, does not follow the format, or if images and labels disagree in number.
pub fn load(folder: &Path, split: Split, name: &str, class_names: &[&str]) -> Result<Dataset, DataError> {
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let images_path = find(folder, &format!("{prefix}-images"), "idx3-ubyte")?;
    let labels_path = find(folder, &format!("{prefix}-labels"), "idx1-ubyte")?;
    // Before either is read: a small gzip file can hold gigabytes.
    let (images, labels) = (ImageFile::open(&images_path)?, LabelFile::open(&labels_path)?);
    if images.count != labels.count {
        return Err(DataError::invalid(
            &labels_path.display().to_string(),
            4u64,
            format!("{} labels", labels.count),
            format!("{}, one for each image of {}", images.count, images_path.display()),
        ));
    }
    let (images, labels) = (images.read()?, labels.read(class_names.len() as u32)?);
    Ok(Dataset {
        name: name.to_owned(),
        source: format!("{name}:{}", folder.display()),
        channels: 1,
        height: images.rows,
        width: images.columns,
        pixels: images.pixels,
        labels: labels.into_iter().map(u32::from).collect(),
        class_names: class_names.iter().map(|&n| n.to_owned()).collect(),
    })
}

/// Finds `stem-suffix[.gz]` or `stem.suffix[.gz]` in `folder` or `folder/raw`.
fn find(folder: &Path, stem: &str, suffix: &str) -> Result<PathBuf, DataError> {
    for folder in [folder.to_owned(), folder.join("raw")] {
        for name in candidates(stem, suffix) {
            let path = folder.join(name);
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    let expected = if folder.is_dir() {
        format!("an IDX file named {}", candidates(stem, suffix).join(", "))
    } else {
        format!("a folder with {stem}-{suffix} or {stem}-{suffix}.gz")
    };
    let file = if folder.is_dir() { folder.join(format!("{stem}-{suffix}.gz")) } else { folder.to_owned() };
    Err(DataError::Missing { file: file.display().to_string(), expected })
}

/// The names under which an IDX file is found in the wild.
pub(super) fn candidates(stem: &str, suffix: &str) -> [String; 4] {
    [
        format!("{stem}-{suffix}"),
        format!("{stem}.{suffix}"),
        format!("{stem}-{suffix}.gz"),
        format!("{stem}.{suffix}.gz"),
    ]
}

/// Reads an image file (magic 2051), gzipped or not.
///
/// # Errors
/// [`DataError::Io`] if it cannot be read, [`DataError::Invalid`] if it does not follow the format to the last byte,
/// [`DataError::TooLarge`] if it states more than [`MAX_BYTES`].
pub fn read_images(path: &Path) -> Result<Images, DataError> {
    ImageFile::open(path)?.read()
}

/// Reads a label file (magic 2049), gzipped or not; each label must be less than `classes`.
///
/// # Errors
/// As for [`read_images`].
pub fn read_labels(path: &Path, classes: u32) -> Result<Vec<u8>, DataError> {
    LabelFile::open(path)?.read(classes)
}

/// An image file whose header was read.
struct ImageFile {
    file: IdxFile,
    count: u32,
    rows: u32,
    columns: u32,
}

impl ImageFile {
    fn open(path: &Path) -> Result<Self, DataError> {
        let mut file = IdxFile::open(path)?;
        file.magic(IMAGES_MAGIC, "an IDX file of images")?;
        let count = file.size(4, "images", u32::MAX)?;
        let rows = file.size(8, "rows", MAX_SIDE)?;
        let columns = file.size(12, "columns", MAX_SIDE)?;
        let images = Self { file, count, rows, columns };
        images.file.can_hold(16, images.bytes(), &images.what())?;
        Ok(images)
    }

    fn bytes(&self) -> u64 {
        // Cannot overflow: 32 + 13 + 13 bits.
        u64::from(self.count) * u64::from(self.rows) * u64::from(self.columns)
    }

    fn what(&self) -> String {
        format!("{} images of {}x{} bytes", self.count, self.rows, self.columns)
    }

    fn read(mut self) -> Result<Images, DataError> {
        let pixels = self.file.body(16, self.bytes(), &self.what())?;
        let [count, rows, columns] = [self.count, self.rows, self.columns].map(|n| n as usize);
        Ok(Images { count, rows, columns, pixels })
    }
}

/// A label file whose header was read.
struct LabelFile {
    file: IdxFile,
    count: u32,
}

impl LabelFile {
    fn open(path: &Path) -> Result<Self, DataError> {
        let mut file = IdxFile::open(path)?;
        file.magic(LABELS_MAGIC, "an IDX file of labels")?;
        let count = file.size(4, "labels", u32::MAX)?;
        let labels = Self { file, count };
        labels.file.can_hold(8, u64::from(count), &labels.what())?;
        Ok(labels)
    }

    fn what(&self) -> String {
        format!("{} labels of one byte", self.count)
    }

    fn read(mut self, classes: u32) -> Result<Vec<u8>, DataError> {
        let labels = self.file.body(8, u64::from(self.count), &self.what())?;
        if let Some(i) = labels.iter().position(|&l| u32::from(l) >= classes) {
            return Err(DataError::invalid(
                &self.file.name,
                8 + i,
                format!("label {}", labels[i]),
                format!("a label from 0 to {}", classes.saturating_sub(1)),
            ));
        }
        Ok(labels)
    }
}

/// A file being read, with its name for messages and the most bytes it can hold.
struct IdxFile {
    name: String,
    reader: Box<dyn Read>,
    /// Upper bound of the content's length: exact for a plain file, deflate's limit for a gzipped one.
    bound: u64,
    gzipped: bool,
}

impl IdxFile {
    fn open(path: &Path) -> Result<Self, DataError> {
        let (file, size) = regular::open(path, u64::MAX).map_err(|e| DataError::io(path, e.into()))?;
        let name = path.display().to_string();
        let mut reader = BufReader::with_capacity(1 << 16, file);
        // The content decides, not the name: browsers like to unpack a download and keep its `.gz`.
        let start = io::BufRead::fill_buf(&mut reader).map_err(|e| DataError::io(path, e))?;
        let gzipped = start.starts_with(&[0x1f, 0x8b]);
        Ok(if gzipped {
            IdxFile {
                name,
                reader: Box::new(MultiGzDecoder::new(reader)),
                bound: max_inflated(size),
                gzipped,
            }
        } else {
            IdxFile { name, reader: Box::new(reader), bound: size, gzipped }
        })
    }

    /// Reads four bytes at `offset`, which must be where the reader stands.
    fn u32(&mut self, offset: u64, what: &str) -> Result<u32, DataError> {
        let mut bytes = [0; 4];
        let mut got = 0;
        while got < 4 {
            match self.reader.read(&mut bytes[got..]) {
                Ok(0) => {
                    return Err(DataError::invalid(
                        &self.name,
                        offset + got as u64,
                        "the end of the file",
                        format!("{what} (4 bytes from {offset})"),
                    ));
                }
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.read_error(offset + got as u64, &e)),
            }
        }
        Ok(u32::from_be_bytes(bytes))
    }

    fn magic(&mut self, expected: u32, kind: &str) -> Result<(), DataError> {
        let found = self.u32(0, &format!("the magic number {expected}"))?;
        if found == expected {
            return Ok(());
        }
        let meaning = match found {
            IMAGES_MAGIC => " (an IDX file of images)".to_owned(),
            LABELS_MAGIC => " (an IDX file of labels)".to_owned(),
            _ => format!(" ({found:#010x})"),
        };
        Err(DataError::invalid(
            &self.name,
            0u64,
            format!("magic number {found}{meaning}"),
            format!("{expected} ({kind})"),
        ))
    }

    fn size(&mut self, offset: u64, what: &str, limit: u32) -> Result<u32, DataError> {
        let found = self.u32(offset, &format!("the number of {what}"))?;
        if found == 0 || found > limit {
            return Err(DataError::invalid(
                &self.name,
                offset,
                format!("{found} {what}"),
                if limit == u32::MAX { "at least 1".to_owned() } else { format!("1 to {limit}") },
            ));
        }
        Ok(found)
    }

    /// Whether there can be `len` bytes after the header, which is asked before anything is allocated.
    fn can_hold(&self, offset: u64, len: u64, what: &str) -> Result<(), DataError> {
        let end = offset + len;
        if end <= self.bound {
            return Ok(());
        }
        let held = if self.gzipped {
            format!("a gzip file that holds at most {} bytes", self.bound)
        } else {
            format!("the end of the file at byte {}", self.bound)
        };
        Err(DataError::invalid(&self.name, self.bound.min(end), held, format!("{what}, up to byte {end}")))
    }

    /// Reads the `len` bytes after the header, and makes sure that nothing follows.
    fn body(&mut self, offset: u64, len: u64, what: &str) -> Result<Vec<u8>, DataError> {
        let end = offset + len;
        let too_large = || DataError::TooLarge {
            file: self.name.clone(),
            bytes: len,
            limit: MAX_BYTES.min(usize::MAX as u64),
        };
        if len > MAX_BYTES {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let capacity = usize::try_from(len).ok().and_then(|n| n.checked_add(1)).ok_or_else(too_large)?;
        bytes.try_reserve_exact(capacity).map_err(|_| too_large())?;
        // One byte more than there should be, to see that nothing follows.
        let outcome = self.reader.by_ref().take(len + 1).read_to_end(&mut bytes);
        let got = bytes.len() as u64;
        if let Err(e) = outcome {
            return Err(self.read_error(offset + got, &e));
        }
        if got < len {
            return Err(DataError::invalid(
                &self.name,
                offset + got,
                "the end of the file",
                format!("{what}, up to byte {end}"),
            ));
        }
        if got > len {
            return Err(DataError::invalid(
                &self.name,
                end,
                "more bytes",
                format!("the end of the file after {what}"),
            ));
        }
        Ok(bytes)
    }

    /// A gzip stream that is cut off or damaged shows as a read error; that is the file's fault, not the system's.
    fn read_error(&self, offset: u64, error: &io::Error) -> DataError {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match error.kind() {
            UnexpectedEof if self.gzipped => DataError::invalid(
                &self.name,
                offset,
                "the end of the compressed data",
                "a complete gzip stream",
            ),
            InvalidData | InvalidInput if self.gzipped => DataError::invalid(
                &self.name,
                offset,
                format!("damaged compressed data ({error})"),
                "a valid gzip stream",
            ),
            kind => DataError::io_named(&self.name, io::Error::new(kind, error.to_string())),
        }
    }
}
