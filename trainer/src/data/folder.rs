//! Folders of pictures, and archives of such folders.
//!
//! Layouts: `root/<class>/<file>`, or `root/{train,test}/<class>/<file>` (also `val` or `valid` for the test images), files
//! ending in `.png`, `.jpg` or `.jpeg`, at any depth below the class. Pictures without class folders are one class. In an
//! archive (`.tar.gz`, `.tgz`, `.tar`) folders around the root are skipped. Classes are numbered by name, and images are in order of
//! class and path, both compared as bytes, so that the order is the same everywhere. Files of other kinds, and hidden ones,
//! are left alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::archive::{self, Entry};
use super::decode::{self, decode};
use super::transform;
use super::{DataError, Dataset, LoadOptions, MAX_BYTES, Split};

/// Deepest level of folders that is looked into.
const MAX_DEPTH: usize = 16;
const LAYOUT: &str = "root/<class>/*.png|jpg|jpeg or root/{train,test}/<class>/*.png|jpg|jpeg";

/// Loads one split of the pictures at `root`, a folder or an archive.
///
/// Images that are all gray give one channel, otherwise three. A root without `train` and `test` folders has only a train split.
///
/// # Errors
/// If there are no pictures, one cannot be decoded, or their sizes differ and `options.resize` is `None`.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<Dataset, DataError> {
    transform::check_size(options.resize)?;
    let mut source = Source::open(root)?;
    let layout = Layout::of(root, source.paths())?;
    let wanted: Vec<&Member> = layout.members.iter().filter(|m| m.split == split).collect();
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
    source.keep(&wanted);
    let Pictures { channels, height, width, pixels } = decode_all(&source, &wanted, options)?;
    Ok(Dataset {
        name: root_name(root),
        source: format!("folder:{}", root.display()),
        channels,
        height,
        width,
        pixels,
        labels: wanted.iter().map(|m| m.class).collect(),
        class_names: layout.class_names,
    })
}

/// Where the files come from.
enum Source {
    Folder { root: PathBuf, paths: Vec<String> },
    Archive { name: String, entries: Vec<Entry>, paths: Vec<String> },
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
        if meta.is_dir() {
            let mut paths = Vec::new();
            walk(root, "", 0, &mut paths)?;
            Ok(Source::Folder { root: root.to_owned(), paths })
        } else if archive::is_archive(root) {
            let entries =
                archive::read(root, MAX_BYTES, |path| is_picture(path).then_some(decode::MAX_FILE))?;
            let paths = entries.iter().map(|e| e.path.clone()).collect();
            Ok(Source::Archive { name: root.display().to_string(), entries, paths })
        } else {
            Err(DataError::Layout {
                file: root.display().to_string(),
                problem: "is neither a folder nor an archive".to_owned(),
                expected: "a folder, or a file ending in .tar.gz, .tgz or .tar".to_owned(),
            })
        }
    }

    fn paths(&self) -> &[String] {
        match self {
            Source::Folder { paths, .. } | Source::Archive { paths, .. } => paths,
        }
    }

    /// Frees the content of what is not wanted.
    fn keep(&mut self, wanted: &[&Member]) {
        if let Source::Archive { entries, .. } = self {
            let mut keep = vec![false; entries.len()];
            for member in wanted {
                keep[member.index] = true;
            }
            for (entry, keep) in entries.iter_mut().zip(keep) {
                if !keep {
                    entry.bytes = Vec::new();
                }
            }
        }
    }

    /// The name for messages and the content of a file.
    fn with<T>(
        &self,
        member: &Member,
        use_bytes: impl FnOnce(&str, &[u8]) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        match self {
            Source::Folder { root, paths } => {
                let path = root.join(&paths[member.index]);
                let meta = fs::metadata(&path).map_err(|e| DataError::io(&path, e))?;
                let name = path.display().to_string();
                if meta.len() > decode::MAX_FILE {
                    return Err(DataError::TooLarge {
                        file: name,
                        bytes: meta.len(),
                        limit: decode::MAX_FILE,
                    });
                }
                use_bytes(&name, &fs::read(&path).map_err(|e| DataError::io(&path, e))?)
            }
            Source::Archive { name, entries, .. } => {
                let entry = &entries[member.index];
                use_bytes(&format!("{name}: {}", entry.path), &entry.bytes)
            }
        }
    }
}

/// Collects the pictures below a folder, as paths relative to the root with `/` between parts.
fn walk(folder: &Path, prefix: &str, depth: usize, out: &mut Vec<String>) -> Result<(), DataError> {
    // Also ends a circle of symbolic links.
    if depth > MAX_DEPTH {
        return Err(DataError::Layout {
            file: folder.display().to_string(),
            problem: format!("is more than {MAX_DEPTH} folders deep"),
            expected: LAYOUT.to_owned(),
        });
    }
    for entry in fs::read_dir(folder).map_err(|e| DataError::io(folder, e))? {
        let entry = entry.map_err(|e| DataError::io(folder, e))?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            return Err(DataError::Layout {
                file: path.display().to_string(),
                problem: "has a name that is not UTF-8".to_owned(),
                expected: "a UTF-8 file name".to_owned(),
            });
        };
        if is_hidden(&name) {
            continue;
        }
        // `metadata` follows links, `file_type` of the entry would not.
        let meta = fs::metadata(&path).map_err(|e| DataError::io(&path, e))?;
        let relative = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if meta.is_dir() {
            walk(&path, &relative, depth + 1, out)?;
        } else if has_picture_name(&name) {
            out.push(relative);
        }
    }
    Ok(())
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.') && part != "." || part == "__MACOSX"
}

fn has_picture_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".png", ".jpg", ".jpeg"].iter().any(|e| lower.ends_with(e))
}

fn is_picture(path: &str) -> bool {
    has_picture_name(path) && !path.split('/').any(is_hidden)
}

/// One picture's place in the data set.
struct Member {
    /// Index into the source's paths.
    index: usize,
    split: Split,
    class: u32,
}

/// Which split and class each picture belongs to.
struct Layout {
    class_names: Vec<String>,
    /// In order of class, then path.
    members: Vec<Member>,
}

impl Layout {
    fn of(root: &Path, paths: &[String]) -> Result<Self, DataError> {
        let mut parts: Vec<Vec<&str>> =
            paths.iter().map(|p| p.split('/').filter(|s| !s.is_empty() && *s != ".").collect()).collect();
        if parts.is_empty() {
            return Err(DataError::Empty { file: root.display().to_string(), expected: LAYOUT.to_owned() });
        }
        let problem = |problem: String| DataError::Layout {
            file: root.display().to_string(),
            problem,
            expected: LAYOUT.to_owned(),
        };
        // A folder around everything (`cifar10-images/train/...`) is no class. In an archive, where such a folder is the
        // custom, it is taken off whenever a further folder follows; elsewhere only around train and test.
        let in_archive = archive::is_archive(root);
        while parts[0].len() > 2
            && split_of(parts[0][0]).is_none()
            && parts
                .iter()
                .all(|p| p.len() > 2 && p[0] == parts[0][0] && (in_archive || split_of(p[1]).is_some()))
        {
            parts.iter_mut().for_each(|p| {
                p.remove(0);
            });
        }
        let splits = parts.iter().filter(|p| p.len() > 1 && split_of(p[0]).is_some()).count();
        if splits != 0 && splits != parts.len() {
            let other = parts.iter().find(|p| p.len() == 1 || split_of(p[0]).is_none());
            let other = other.map(|p| p.join("/")).unwrap_or_default();
            return Err(problem(format!("has train or test folders, but {other:?} is outside of them")));
        }
        let mut splits_of = vec![Split::Train; parts.len()];
        if splits != 0 {
            for (split, p) in splits_of.iter_mut().zip(&mut parts) {
                if let Some(s) = split_of(p[0]) {
                    *split = s;
                }
                p.remove(0);
            }
        }
        let bare = parts.iter().filter(|p| p.len() == 1).count();
        if bare != 0 && bare != parts.len() {
            let stray = parts.iter().find(|p| p.len() == 1).map(|p| p.join("/")).unwrap_or_default();
            return Err(problem(format!("has class folders, but {stray:?} lies in none of them")));
        }
        let class_names: Vec<String> = if bare != 0 {
            vec!["image".to_owned()]
        } else {
            parts.iter().map(|p| p[0]).collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
        };
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by(|&a, &b| parts[a].cmp(&parts[b]).then(a.cmp(&b)));
        let members = order
            .into_iter()
            .map(|index| Member {
                index,
                split: splits_of[index],
                class: class_names.binary_search_by(|n| n.as_str().cmp(parts[index][0])).unwrap_or(0) as u32,
            })
            .collect();
        Ok(Layout { class_names, members })
    }
}

fn split_of(folder: &str) -> Option<Split> {
    match folder {
        "train" | "training" => Some(Split::Train),
        "test" | "testing" | "val" | "valid" | "validation" => Some(Split::Test),
        _ => None,
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
fn decode_all(source: &Source, wanted: &[&Member], options: &LoadOptions) -> Result<Pictures, DataError> {
    let first = source.with(wanted[0], |name, bytes| {
        let image = decode(name, bytes)?.image;
        Ok((name.to_owned(), image.height() as usize, image.width() as usize))
    })?;
    let (first_file, first_height, first_width) = first;
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
            source.with(member, |name, bytes| {
                let mut image = decode(name, bytes)?.image;
                let is_gray = matches!(image, image::DynamicImage::ImageLuma8(_));
                if options.gray && !is_gray {
                    image = transform::to_gray(&image);
                }
                if options.resize.is_some() {
                    image = transform::fit(&image, (height, width));
                } else if (image.height() as usize, image.width() as usize) != (height, width) {
                    return Err(DataError::Sizes {
                        file: name.to_owned(),
                        width: image.width() as usize,
                        height: image.height() as usize,
                        first_file: first_file.clone(),
                        first_width,
                        first_height,
                    });
                }
                transform::write_planes(&image, out);
                Ok(is_gray || options.gray)
            })
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
