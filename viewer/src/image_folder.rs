//! A folder of images.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::imageops::FilterType;
use image::{DynamicImage, ImageReader, Limits};
use latent_runtime::onnx::ImageShape;
use latent_runtime::rng::Rng;

use crate::picture::Picture;

/// The extensions of the files that are taken for images.
const EXTENSIONS: [&str; 3] = ["png", "jpg", "jpeg"];
/// How deep folders may lie in each other.
const MAX_DEPTH: usize = 16;
/// The most files that are looked at.
const MAX_FILES: usize = 2_000_000;
/// The largest side of an image, and the memory that decoding one may take.
const MAX_SIDE: u32 = 1 << 14;
const MAX_BYTES: u64 = 1 << 29;

/// Why there are no images.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The folder could not be read.
    #[error("cannot read the folder {}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// There is no image in it.
    #[error("there is no image in the folder {} or below it; PNG and JPEG files are taken", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A file is no image that can be read.
    #[error("{} cannot be read as an image: {problem}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// The image files of a folder and those below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The files, in an order that is random and always the same: the first hundred look like all of them.
    pub files: Vec<ImageFile>,
    /// The folders directly below the folder that have images, sorted: the classes of most data sets.
    pub labels: Vec<String>,
    /// The images beyond the most that were asked for.
    pub left_out: usize,
}

/// One image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the folder.
    pub name: String,
    /// The index of its folder in [`Listing::labels`]; `None` for an image that lies in the folder itself.
    pub label: Option<usize>,
}

/// Lists at most `most` images of a folder.
///
/// # Errors
/// If the folder cannot be read or has no image. Folders below it that cannot be read are left out.
pub fn list(folder: &Path, most: usize) -> Result<Listing, FolderError> {
    let mut paths = Vec::new();
    let top = fs::read_dir(folder).map_err(|cause| FolderError::Folder { path: folder.to_owned(), cause })?;
    let mut open = vec![(top, 0)];
    while let Some((entries, depth)) = open.pop() {
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                // Links may lead in a circle.
                open.extend(fs::read_dir(&path).ok().filter(|_| depth < MAX_DEPTH).map(|e| (e, depth + 1)));
            } else if is_image(&path) && paths.len() < MAX_FILES {
                paths.push(path);
            }
        }
    }
    if paths.is_empty() {
        return Err(FolderError::Empty { path: folder.to_owned() });
    }
    // The system gives them in any order.
    paths.sort();
    Rng::from_seed(0).shuffle(&mut paths);
    let left_out = paths.len().saturating_sub(most);
    paths.truncate(most);

    let below = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_owned();
    let label = |path: &Path| {
        let below = below(path);
        let first = below.components().next()?;
        (below.components().count() > 1).then(|| first.as_os_str().to_string_lossy().into_owned())
    };
    let mut labels: Vec<String> = paths.iter().filter_map(|path| label(path)).collect();
    labels.sort();
    labels.dedup();
    let files = paths
        .into_iter()
        .map(|path| ImageFile {
            name: below(&path).display().to_string(),
            label: label(&path).and_then(|label| labels.binary_search(&label).ok()),
            path,
        })
        .collect();
    Ok(Listing { files, labels, left_out })
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// Reads an image at the size and with the channels that an encoder takes: its middle, as large as it fits.
///
/// # Errors
/// If the file cannot be read, is no PNG or JPEG, or is larger than anyone would put in a data set.
pub fn read(path: &Path, shape: ImageShape) -> Result<Picture, FolderError> {
    let decoded = decode(path)
        .map_err(|problem| FolderError::Image { path: path.to_owned(), problem: problem.to_string() })?;
    Ok(fit(decoded, shape))
}

fn decode(path: &Path) -> Result<DynamicImage, image::ImageError> {
    // The contents count, not the name: data sets have JPEG files that are named .png.
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    reader.decode()
}

fn fit(decoded: DynamicImage, shape: ImageShape) -> Picture {
    let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (width, height) = (size(shape.width), size(shape.height));
    let sized = if (decoded.width(), decoded.height()) == (width, height) {
        decoded
    } else {
        // Averages what falls on one pixel, and interpolates when it enlarges.
        decoded.resize_to_fill(width, height, FilterType::Triangle)
    };
    let pixels = match shape.channels {
        1 => sized.into_luma8().into_raw(),
        _ => sized.into_rgb8().into_raw(),
    };
    Picture { width: shape.width, height: shape.height, channels: shape.channels, pixels }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, channels: usize) -> Picture {
        let pixels = (0..width * height * channels).map(|i| (i * 37 % 251) as u8).collect();
        Picture { width, height, channels, pixels }
    }

    fn write(path: &Path, picture: &Picture) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, picture.to_png().unwrap()).unwrap();
    }

    #[test]
    fn images_are_found_in_folders_and_labeled_by_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["cat/1.png", "cat/sub/2.PNG", "dog/3.png", "4.png", "dog/notes.txt", "empty/readme.md"] {
            write(&root.join(name), &picture(4, 4, 3));
        }
        let listing = list(root, 100).unwrap();
        assert_eq!(listing.labels, ["cat", "dog"]);
        let mut found: Vec<_> = listing.files.iter().map(|file| (file.name.as_str(), file.label)).collect();
        found.sort_unstable();
        let expected =
            [("4.png", None), ("cat/1.png", Some(0)), ("cat/sub/2.PNG", Some(0)), ("dog/3.png", Some(1))];
        assert_eq!(found, expected);
        assert_eq!(list(root, 100).unwrap(), listing, "the order is always the same");
        let few = list(root, 3).unwrap();
        assert_eq!((few.files.len(), few.left_out), (3, 1));
    }

    #[test]
    fn folders_without_images_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = list(folder.path(), 9).unwrap_err().to_string();
        assert!(error.contains("there is no image in the folder"), "{error}");
        let error = list(&folder.path().join("none"), 9).unwrap_err().to_string();
        assert!(error.contains("cannot read the folder") && error.contains("none"), "{error}");
    }

    #[test]
    fn images_come_at_the_size_and_with_the_channels_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let shape = |channels, height, width| ImageShape { channels, height, width };
        let color = picture(6, 6, 3);
        write(&path, &color);
        assert_eq!(read(&path, shape(3, 6, 6)).unwrap(), color);
        let gray = read(&path, shape(1, 6, 6)).unwrap();
        assert_eq!((gray.channels, gray.pixels.len()), (1, 36));
        // The middle of a wide image: three columns of 2 by 2 pixels, the outer ones are cut off.
        let mut wide = Picture::black(6, 2, 1);
        for row in wide.pixels.chunks_exact_mut(6) {
            row.copy_from_slice(&[0, 0, 100, 100, 255, 255]);
        }
        write(&path, &wide);
        assert_eq!(read(&path, shape(1, 2, 2)).unwrap().pixels, [100; 4]);
        let larger = read(&path, shape(3, 8, 8)).unwrap();
        assert_eq!((larger.width, larger.height, larger.pixels.len()), (8, 8, 192));
    }

    #[test]
    fn jpeg_files_are_read_whatever_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let smooth = image::RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8 * 9, y as u8 * 9, 77]));
        smooth.save_with_format(&path, image::ImageFormat::Jpeg).unwrap();
        let read = read(&path, ImageShape { channels: 3, height: 16, width: 16 }).unwrap();
        let far = read.pixels.iter().zip(smooth.as_raw()).filter(|(a, b)| a.abs_diff(**b) > 24).count();
        assert!(far < 40, "{far} values are far from what was stored");
    }

    #[test]
    fn what_is_no_image_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let whole = picture(9, 9, 3).to_png().unwrap();
        let mut huge = whole.clone();
        // The width in the header; its checksum does not fit then, either.
        huge[16..20].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
        for bytes in [&b""[..], b"no picture", &whole[..40], &huge] {
            fs::write(&path, bytes).unwrap();
            let error = read(&path, ImageShape { channels: 3, height: 4, width: 4 }).unwrap_err().to_string();
            assert!(error.contains("a.png cannot be read as an image"), "{error}");
        }
    }
}
