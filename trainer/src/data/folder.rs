//! Folders of pictures, and archives of such folders.
//!
//! Layouts: `root/<class>/<file>`, or `root/{train,test}/<class>/<file>` (also `val` or `valid` for the test images), files
//! ending in `.png`, `.jpg` or `.jpeg`, at any depth below the class. Pictures without class folders are one class. In an
//! archive (`.tar.gz`, `.tgz`, `.tar`) folders around the root are skipped. Classes are numbered by name, and images are in order of
//! class and path, both compared as bytes, so that the order is the same everywhere. Files of other kinds, and hidden ones,
//! are left alone.

use std::fs;
use std::path::{Path, PathBuf};

use latent_files::pictures::{self, Label, Labels, Picture, PictureError, check_size};
use rayon::prelude::*;

use super::archive::{self, Entry};
use super::{DataError, Dataset, LoadOptions, MAX_BYTES, Split};

const LAYOUT: &str = "root/<class>/*.png|jpg|jpeg or root/{train,test}/<class>/*.png|jpg|jpeg";

/// Loads one split of the pictures at `root`, a folder or an archive.
///
/// Images that are all gray give one channel, otherwise three. A root without `train` and `test` folders has only a train split.
///
/// # Errors
/// If there are no pictures, one cannot be decoded, or their sizes differ and `options.resize` is `None`.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<Dataset, DataError> {
    if let Some((height, width)) = options.resize {
        check_size(height, width)?;
    }
    let source = Source::open(root)?;
    if let Some(problem) = source.mixed {
        return Err(DataError::Layout {
            file: root.display().to_string(),
            problem,
            expected: LAYOUT.to_owned(),
        });
    }
    let wanted: Vec<Member> = source.members.into_iter().filter(|member| member.split == split).collect();
    if wanted.is_empty() {
        return Err(DataError::Empty {
            file: root.display().to_string(),
            expected: match split {
                Split::Train => format!("training images: {LAYOUT}"),
                Split::Test => {
                    "test images in root/test/<class>/ (without train and test folders, all images are for training)"
                        .to_owned()
                }
            },
        });
    }
    let Pictures { channels, height, width, pixels } = decode_all(&wanted, options)?;
    Ok(Dataset {
        name: root_name(root),
        source: format!("folder:{}", root.display()),
        channels,
        height,
        width,
        pixels,
        labels: wanted.iter().map(|member| member.class).collect(),
        class_names: match source.classes {
            none if none.is_empty() => vec!["image".to_owned()],
            classes => classes,
        },
    })
}

/// What lies in a folder or archive.
struct Source {
    /// In order of class, then path.
    members: Vec<Member>,
    classes: Vec<String>,
    mixed: Option<String>,
}

/// One picture of the data set.
struct Member {
    split: Split,
    class: u32,
    /// Its name in messages; of a file in a folder, where it is.
    file: PathBuf,
    /// The content of a file in an archive.
    bytes: Option<Vec<u8>>,
}

impl Source {
    fn open(root: &Path) -> Result<Self, DataError> {
        let meta = match fs::metadata(root) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(DataError::Missing {
                    file: root.display().to_string(),
                    expected: format!("a folder of images, or an archive (.tar.gz) of one: {LAYOUT}"),
                });
            }
            Err(e) => return Err(DataError::io(root, e)),
        };
        let empty = || DataError::Empty { file: root.display().to_string(), expected: LAYOUT.to_owned() };
        if meta.is_dir() {
            let listing = pictures::list(root).map_err(|error| match error {
                PictureError::Empty { .. } => empty(),
                error => error.into(),
            })?;
            let member = |file: pictures::PictureFile| Member::new(file.path, None, file.split, file.class);
            let members = listing.files.into_iter().map(member).collect();
            Ok(Self { members, classes: listing.classes, mixed: listing.mixed })
        } else if archive::is_archive(root) {
            let wanted = |path: &str| pictures::skip(path).is_none().then_some(pictures::MAX_FILE);
            let mut entries = archive::read(root, MAX_BYTES, wanted)?;
            if entries.is_empty() {
                return Err(empty());
            }
            let parts = |entry: &Entry| -> Vec<String> { entry.path.split('/').map(str::to_owned).collect() };
            entries.sort_by_cached_key(parts);
            let paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
            let Labels { classes, labels, mixed } = pictures::label(&paths, true);
            let member = |(entry, Label { split, class }): (Entry, Label)| {
                let file = format!("{}: {}", root.display(), entry.path);
                Member::new(file.into(), Some(entry.bytes), split, class)
            };
            let members = entries.into_iter().zip(labels).map(member).collect();
            Ok(Self { members, classes, mixed })
        } else {
            Err(DataError::Layout {
                file: root.display().to_string(),
                problem: "is neither a folder nor an archive".to_owned(),
                expected: "a folder, or a file ending in .tar.gz, .tgz or .tar".to_owned(),
            })
        }
    }
}

impl Member {
    fn new(
        file: PathBuf,
        bytes: Option<Vec<u8>>,
        split: Option<pictures::Split>,
        class: Option<usize>,
    ) -> Self {
        let split = match split {
            None | Some(pictures::Split::Train) => Split::Train,
            Some(pictures::Split::Test) => Split::Test,
        };
        // Pictures without class folders are one class.
        Self { split, class: class.unwrap_or(0) as u32, file, bytes }
    }

    fn decode(&self) -> Result<Picture, PictureError> {
        match &self.bytes {
            Some(bytes) => pictures::decode(&self.file.display().to_string(), bytes),
            None => pictures::open(&self.file),
        }
    }
}

/// Every picture of a split.
struct Pictures {
    channels: usize,
    height: usize,
    width: usize,
    /// N x channels x height x width.
    pixels: Vec<u8>,
}

/// Decodes every wanted picture.
fn decode_all(wanted: &[Member], options: &LoadOptions) -> Result<Pictures, DataError> {
    let first_file = wanted[0].file.display().to_string();
    let Picture { width: first_width, height: first_height, .. } = wanted[0].decode()?;
    let (height, width) = options.resize.unwrap_or((first_height, first_width));
    let plane = height * width;
    let total = (wanted.len() as u64).saturating_mul(3 * plane as u64);
    let too_large = |file: String| DataError::TooLarge { file, bytes: total, limit: MAX_BYTES };
    if total > MAX_BYTES {
        return Err(too_large(first_file));
    }
    let mut pixels = Vec::new();
    pixels.try_reserve_exact(total as usize).map_err(|_| too_large(first_file.clone()))?;
    pixels.resize(total as usize, 0);
    // Everything is decoded to three planes first; whether all were gray is known only at the end.
    let outcomes: Vec<Result<bool, DataError>> = pixels
        .par_chunks_exact_mut(3 * plane)
        .zip(wanted.par_iter())
        .map(|(out, member)| {
            let mut image = member.decode()?;
            if options.gray {
                image = image.into_gray();
            }
            let is_gray = image.channels == 1;
            if options.resize.is_some() {
                image = image.fit(height, width)?;
            } else if (image.height, image.width) != (height, width) {
                return Err(DataError::Sizes {
                    file: member.file.display().to_string(),
                    width: image.width,
                    height: image.height,
                    first_file: first_file.clone(),
                    first_width,
                    first_height,
                });
            }
            image.write_planes(out);
            Ok(is_gray)
        })
        .collect();
    let mut all_gray = true;
    // The first error in order, whichever thread met its own first.
    for outcome in outcomes {
        all_gray &= outcome?;
    }
    if !all_gray {
        return Ok(Pictures { channels: 3, height, width, pixels });
    }
    for i in 0..wanted.len() {
        pixels.copy_within(i * 3 * plane..(i * 3 + 1) * plane, i * plane);
    }
    pixels.truncate(wanted.len() * plane);
    pixels.shrink_to_fit();
    Ok(Pictures { channels: 1, height, width, pixels })
}

fn root_name(root: &Path) -> String {
    let name =
        root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_else(|| "folder".to_owned());
    let stem = [".tar.gz", ".tgz", ".tar"].iter().find_map(|e| name.strip_suffix(e));
    stem.unwrap_or(&name).to_owned()
}
