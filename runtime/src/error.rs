//! One error for everything that a device can meet, with numbers that stay.

use core::fmt;

use crate::backend::RunError;
use crate::format::FormatError;
use crate::gallery::{GalleryError, GalleryFormatError};
use crate::native::SessionError;
use crate::pixels::PixelError;

/// Whatever can go wrong between a packed model's bytes and its output, and in a gallery.
///
/// [`Error::code`] is a number that never changes its meaning, for logs, for displays of four digits and for C;
/// [`Error::text`] is a constant text, for programs that leave the formatted sentence (`Display`) out. All of them: [`CODES`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are no packed model.
    Format(FormatError),
    /// The session cannot begin.
    Session(SessionError),
    /// An [`Arena`](crate::Arena) was asked for a second time.
    ArenaTaken,
    /// The run failed.
    Run(RunError),
    /// A picture could not be converted.
    Pixels(PixelError),
    /// The gallery cannot do that.
    Gallery(GalleryError),
    /// The bytes are no gallery.
    GalleryFormat(GalleryFormatError),
}

macro_rules! codes {
    ($($(#[$only:meta])* $pattern:pat => $code:literal $text:literal;)+) => {
        impl Error {
            const fn entry(&self) -> (u16, &'static str) {
                match self {
                    $($(#[$only])* $pattern => ($code, $text),)+
                }
            }
        }

        /// Every [`Error::code`] with its [`Error::text`], in order.
        ///
        /// | code | text |
        /// |---|---|
        $(#[doc = concat!("| ", $code, " | ", $text, " |")])+
        pub const CODES: &[(u16, &str)] = &[$(($code, $text)),+];
    };
}

use Error::{ArenaTaken, Format, Gallery, GalleryFormat, Pixels, Run, Session};
codes! {
    Format(FormatError::TooShort { .. }) => 100 "shorter than a header";
    Format(FormatError::Magic) => 101 "not a packed model";
    Format(FormatError::Version { .. }) => 102 "version not read";
    Format(FormatError::Length { .. }) => 103 "cut off or appended to";
    Format(FormatError::Misaligned) => 104 "address not a multiple of 4";
    Format(FormatError::Checksum { .. }) => 105 "damaged: wrong checksum";
    Format(FormatError::Header { .. }) => 106 "header field without meaning";
    Format(FormatError::Reserved { .. }) => 107 "reserved bytes not zero";
    Format(FormatError::Section { .. }) => 108 "section out of place";
    Format(FormatError::TooMany { .. }) => 109 "too many values, operators or ports";
    Format(FormatError::Port { .. }) => 110 "port field without meaning";
    Format(FormatError::NoPort { .. }) => 111 "no input or no output";
    Format(FormatError::SamePort { .. }) => 112 "port named or given twice";
    Format(FormatError::ExternalShape { .. }) => 113 "port's shape does not fit its value";
    Format(FormatError::NameOutOfRange { .. }) => 114 "name out of range";
    Format(FormatError::ValueType { .. }) => 115 "value of unknown type";
    Format(FormatError::ValueShape { .. }) => 116 "value of impossible shape";
    Format(FormatError::ValueQuantization { .. }) => 117 "value of impossible scale or zero point";
    Format(FormatError::ValueOffset { .. }) => 118 "value outside the arena";
    Format(FormatError::Lifetime { .. }) => 119 "value of impossible lifetime";
    Format(FormatError::Overlap { .. }) => 120 "values share memory";
    Format(FormatError::NotAlive { .. }) => 121 "value read when not alive";
    Format(FormatError::NoSuchValue { .. }) => 122 "no such value";
    Format(FormatError::Aliased { .. }) => 123 "operator overwrites what it reads";
    Format(FormatError::OperatorKind { .. }) => 124 "operator of unknown kind";
    Format(FormatError::Feature { .. }) => 125 "operator left out of this build";
    Format(FormatError::Types { .. }) => 126 "operator cannot take these types";
    Format(FormatError::Shapes { .. }) => 127 "operator's values do not fit";
    Format(FormatError::Halo { .. }) => 128 "window beyond the border";
    Format(FormatError::Parameter { .. }) => 129 "operator parameter out of range";
    Format(FormatError::DataOutOfRange { .. }) => 130 "weights out of range";
    Format(FormatError::DataLength { .. }) => 131 "weights of another length";
    Format(FormatError::NotFinite { .. }) => 132 "parameter not finite";
    Format(FormatError::Metadata { .. }) => 133 "metadata unreadable";
    Format(FormatError::Partial { .. }) => 134 "value read before all of it is written";
    Format(FormatError::Padding { .. }) => 135 "weights on padding not zero";
    Session(SessionError::ArenaTooSmall { .. }) => 200 "arena too small";
    ArenaTaken => 201 "arena already taken";
    Run(RunError::EmptyBatch) => 300 "batch of 0";
    Run(RunError::BatchTooLarge { .. }) => 301 "batch too large";
    Run(RunError::FixedBatch { .. }) => 302 "batch size is fixed";
    Run(RunError::InputLength { .. }) => 303 "input of another length";
    Run(RunError::OutputLength { .. }) => 304 "output of another length";
    Run(RunError::PortCount { .. }) => 305 "another number of inputs or outputs";
    Run(RunError::NoSuchPort { .. }) => 306 "no such input or output";
    Run(RunError::NotGiven { .. }) => 307 "input not given";
    Run(RunError::PortLength { .. }) => 308 "one input or output of another length";
    Run(RunError::NotWhole { .. }) => 309 "input not a whole number";
    Run(RunError::Damaged { .. }) => 310 "model has changed since it was checked";
    Run(RunError::Normalized) => 311 "model wants normalized values, not pixels";
    Run(RunError::Unfinished { .. }) => 312 "not all operators have run";
    #[cfg(feature = "alloc")]
    Run(RunError::Engine { .. }) => 399 "another engine failed";
    Pixels(PixelError::Channels { .. }) => 400 "picture of other channels";
    Pixels(PixelError::Length { .. }) => 401 "picture of another length";
    Gallery(GalleryError::Dimension { .. }) => 500 "embedding too long or empty";
    Gallery(GalleryError::Memory { .. }) => 501 "no memory for one example";
    Gallery(GalleryError::Full { .. }) => 502 "gallery full";
    Gallery(GalleryError::Length { .. }) => 503 "embedding of another length";
    Gallery(GalleryError::NotFinite { .. }) => 504 "embedding not finite";
    Gallery(GalleryError::NoDirection) => 505 "embedding without direction";
    Gallery(GalleryError::Temperature { .. }) => 506 "temperature not positive";
    GalleryFormat(GalleryFormatError::TooShort { .. }) => 600 "shorter than a gallery's header";
    GalleryFormat(GalleryFormatError::Magic) => 601 "not a gallery";
    GalleryFormat(GalleryFormatError::Version { .. }) => 602 "gallery version not read";
    GalleryFormat(GalleryFormatError::Length { .. }) => 603 "gallery cut off or appended to";
    GalleryFormat(GalleryFormatError::Checksum) => 604 "gallery damaged: wrong checksum";
    GalleryFormat(GalleryFormatError::Field { .. }) => 605 "gallery header field without meaning";
    GalleryFormat(GalleryFormatError::Example { .. }) => 606 "gallery example unusable";
}

impl Error {
    /// The number, never 0 and never of another error in any version.
    pub const fn code(&self) -> u16 {
        self.entry().0
    }

    /// What it is, in a few constant words.
    pub const fn text(&self) -> &'static str {
        self.entry().1
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Format(error) => error.fmt(f),
            Session(error) => error.fmt(f),
            ArenaTaken => f.write_str("the arena has been taken before: a session takes it once"),
            Run(error) => error.fmt(f),
            Pixels(error) => error.fmt(f),
            Gallery(error) => error.fmt(f),
            GalleryFormat(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

macro_rules! from {
    ($($error:ident => $variant:ident),+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })+
    };
}
from! {
    FormatError => Format, SessionError => Session, RunError => Run, PixelError => Pixels, GalleryError => Gallery,
    GalleryFormatError => GalleryFormat
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_texts_differ() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (index, (_, text)) in CODES.iter().enumerate() {
            assert!(text.len() <= 44, "{text}");
            assert!(CODES.iter().skip(index + 1).all(|(_, other)| other != text), "{text}");
        }
    }

    #[test]
    fn numbers_stay() {
        for (error, code) in [
            (FormatError::Magic.into(), 101),
            (SessionError::ArenaTooSmall { found: 0, needed: 1 }.into(), 200),
            (Error::ArenaTaken, 201),
            (RunError::Damaged { operator: 0 }.into(), 310),
            (GalleryError::NoDirection.into(), 505),
        ] {
            assert_eq!((error.code(), CODES.contains(&(code, error.text()))), (code, true), "{error}");
        }
    }
}
