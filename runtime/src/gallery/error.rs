//! What can be wrong with an embedding, or with a gallery's bytes.

use core::fmt;

use super::record::MAX_DIMENSION;

/// Why a gallery cannot do what it is asked to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum GalleryError {
    /// Embeddings of no values, or of more than [`MAX_DIMENSION`].
    Dimension {
        /// The values asked for.
        found: usize,
    },
    /// The memory does not hold one example.
    Memory {
        /// Its length in bytes.
        found: usize,
        /// The least.
        needed: usize,
    },
    /// There is no room for another example.
    Full {
        /// The examples that there are.
        capacity: usize,
    },
    /// An embedding of another length.
    Length {
        /// Its values.
        found: usize,
        /// The gallery's.
        expected: usize,
    },
    /// A value of an embedding is NaN or infinite.
    NotFinite {
        /// Its index.
        index: usize,
    },
    /// All values are zero, or so small or large that the length of the vector is none that f32 can hold.
    NoDirection,
    /// A temperature that is not a positive number.
    Temperature {
        /// What was asked for.
        found: f32,
    },
}

impl fmt::Display for GalleryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Dimension { found } => {
                write!(f, "embeddings of {found} values cannot be kept; 1 to {MAX_DIMENSION} values can")
            }
            Self::Memory { found, needed } => {
                write!(f, "a gallery needs at least {needed} bytes for one example, but is given {found}")
            }
            Self::Full { capacity } => write!(f, "the gallery is full: it has room for {capacity} examples"),
            Self::Length { found, expected } => {
                write!(f, "the embedding has {found} values, but the gallery's have {expected}")
            }
            Self::NotFinite { index } => write!(f, "value {index} of the embedding is not finite"),
            Self::NoDirection => f.write_str(
                "the embedding has no direction: all its values are zero, or far too small or large",
            ),
            Self::Temperature { found } => {
                write!(f, "the temperature is {found}; it must be a positive number")
            }
        }
    }
}

impl core::error::Error for GalleryError {}

/// Which rule a gallery's bytes break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GalleryFormatError {
    /// Fewer bytes than a header.
    TooShort {
        /// The bytes.
        found: usize,
    },
    /// The bytes do not begin as a gallery does.
    Magic,
    /// A version that this one does not know.
    Version {
        /// The version.
        found: u32,
    },
    /// Another number of bytes than the examples take.
    Length {
        /// The bytes.
        found: usize,
        /// What the header says.
        expected: usize,
    },
    /// The checksum is not that of the bytes.
    Checksum,
    /// A header field with a value that there is none of.
    Field {
        /// Its name.
        name: &'static str,
        /// Its value.
        found: u32,
    },
    /// An example with a length or value that none has.
    Example {
        /// Its index.
        index: usize,
    },
}

impl fmt::Display for GalleryFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooShort { found } => {
                write!(f, "{found} bytes are too few for a gallery: it was cut off, or is something else")
            }
            Self::Magic => f.write_str("this is no gallery: it does not begin with the magic bytes"),
            Self::Version { found } => {
                write!(f, "the gallery is of version {found}; this program reads version 1")
            }
            Self::Length { found, expected } => write!(
                f,
                "the gallery has {found} bytes, but its header tells of {expected}: it was cut off or appended to"
            ),
            Self::Checksum => f.write_str("the gallery is damaged: its checksum is wrong"),
            Self::Field { name, found } => {
                write!(f, "the gallery's header has {name} {found}, which cannot be")
            }
            Self::Example { index } => {
                write!(f, "example {index} of the gallery is no vector of finite length")
            }
        }
    }
}

impl core::error::Error for GalleryFormatError {}
