//! The images of a folder, for an encoder.

use std::path::Path;

use latent_files::pictures::{self, PictureError, PictureFile};
use latent_runtime::onnx::ImageShape;
use latent_runtime::rng::Rng;

use crate::picture::Picture;

/// The image files of a folder and those below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The files, in an order that is random and always the same: the first hundred look like all of them. Their class is an
    /// index into `labels`.
    pub files: Vec<PictureFile>,
    /// The classes, sorted.
    pub labels: Vec<String>,
    /// The images beyond the most that were asked for.
    pub left_out: usize,
}

/// Lists at most `most` images of a folder, labeled by their folders.
pub fn list(folder: &Path, most: usize) -> Result<Listing, PictureError> {
    let pictures::Listing { mut files, classes, .. } = pictures::list(folder)?;
    Rng::from_seed(0).shuffle(&mut files);
    let left_out = files.len().saturating_sub(most);
    files.truncate(most);
    Ok(Listing { files, labels: classes, left_out })
}

/// Reads an image at the size and with the channels that an encoder takes: its middle, as large as it fits.
///
/// # Errors
/// If the file cannot be read or is no whole PNG or JPEG picture.
pub fn read(path: &Path, shape: ImageShape) -> Result<Picture, PictureError> {
    pictures::open(path)?.into_shape((shape.channels, shape.height, shape.width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

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
        let mut found: Vec<_> = listing.files.iter().map(|file| (file.name.as_str(), file.class)).collect();
        found.sort_unstable();
        let expected =
            [("4.png", None), ("cat/1.png", Some(0)), ("cat/sub/2.PNG", Some(0)), ("dog/3.png", Some(1))];
        assert_eq!(found, expected);
        assert_eq!(list(root, 100).unwrap(), listing, "the order is always the same");
        let few = list(root, 3).unwrap();
        assert_eq!((few.files.len(), few.left_out), (3, 1));
    }

    #[test]
    fn what_is_no_image_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        fs::write(&path, "no picture").unwrap();
        let error = read(&path, ImageShape { channels: 3, height: 4, width: 4 }).unwrap_err().to_string();
        assert!(error.contains("a.png: at byte 0"), "{error}");
        for (place, expected) in [("", "no pictures"), ("none", "cannot be read")] {
            fs::remove_file(&path).ok();
            let error = list(&folder.path().join(place), 9).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
