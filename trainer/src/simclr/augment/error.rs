//! What can go wrong before there are views.

use tch::TchError;

/// Why there are no views.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    #[error("the augmentation's {setting} is {found}, expected {expected}")]
    Setting {
        setting: &'static str,
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The images are not in color.
    #[error(
        "the images of {name} have {found} channels; the augmentation changes colors and needs 3 (red, green, blue)"
    )]
    Channels {
        /// The data set.
        name: String,
        /// Its channels.
        found: usize,
    },
    /// There is not one whole batch.
    #[error(
        "the data set has {count} images, which makes no batch of {batch}: take more images or a smaller batch"
    )]
    Batch { count: usize, batch: usize },
    #[error("image {index} is asked for, but the data set has {count} images")]
    Index {
        /// The image.
        index: u32,
        count: usize,
    },
    #[error("the buffer has room for {found} values, the views need {expected}")]
    Buffer {
        /// Values it holds.
        found: usize,
        /// Values the views have.
        expected: usize,
    },
    #[error("the thread that prepares views could not be started or has ended: {0}")]
    Thread(String),
    #[error("libtorch: {0}")]
    Torch(#[from] TchError),
}
