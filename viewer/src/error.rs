//! What goes wrong on the threads behind the window.

use std::path::PathBuf;

use latent_files::pictures::PictureError;

use crate::model::ModelError;
use crate::record::RecordError;
use crate::walk::WalkFileError;

/// Why something that was begun in the background failed, in a sentence for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackgroundError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Walk(#[from] WalkFileError),
    #[error(transparent)]
    Pictures(#[from] PictureError),
    #[error("no image of {} can be read: {first}", folder.display())]
    NoImage { folder: PathBuf, first: PictureError },
    #[error("the encoder {} gives an embedding of {} that is not finite", encoder.display(), image.display())]
    NotFinite { encoder: PathBuf, image: PathBuf },
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Something that goes wrong in tests: "no such library".
    pub(crate) fn no_library() -> BackgroundError {
        ModelError::Open { message: "no such library".into() }.into()
    }
}
