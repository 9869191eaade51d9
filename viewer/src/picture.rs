//! Pictures as bytes.

pub use latent_files::pictures::Picture;
pub(crate) use latent_files::sheet::encoder as png_encoder;
