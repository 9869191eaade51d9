//! Picture files: one way from a file to pixels, for training, calibration and every use of a model.
//!
//! What a file is taken for, as Pillow and torchvision's `ImageFolder` take it:
//!
//! | in the file | becomes |
//! |---|---|
//! | PNG or JPEG | decoded; the content decides, not the name. A cut-off file is an error, whatever could still be drawn of it |
//! | orientation noted by a camera (EXIF, tags 1 to 8) | applied, as by `ImageOps.exif_transpose` |
//! | transparency (alpha, a transparent color, a palette with alpha) | blended over white, as by `Image.alpha_composite` |
//! | 16 bits per channel | the upper 8 |
//! | 1, 2 or 4 bits, a palette | 8 bits, as `Image.convert("RGB")` does; gray files stay gray |
//! | CMYK (JPEG) | RGB, as `Image.convert("RGB")` does |
//! | an animation | its first frame |
//! | color, where gray is wanted | [`luma`], the integers of `Image.convert("L")` |
//! | another size than is wanted | the largest centered part of the wanted proportions, resized: [`Picture::fit`] |
//!
//! Color profiles and gamma are not applied.
//!
//! What lies in a folder, and how it is labeled, says [`list`].

mod decode;
mod error;
mod folder;
mod labels;
mod picture;
mod read;

pub use decode::{decode, is_picture};
pub use error::PictureError;
pub use folder::{Listing, PictureFile, Skip, Skipped, list, skip};
pub use labels::{Label, Labels, Split, label};
pub use picture::{MAX_SIDE, Picture, check_size, luma};
pub use read::{MAX_FILE, open, read_file};
