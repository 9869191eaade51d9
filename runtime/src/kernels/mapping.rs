//! A file's contents without a copy. Here because it needs unsafe code, which only this module's parent may have.

use std::fs::File;
use std::io;

/// A mapped file.
pub(crate) struct Mapping(memmap2::Mmap);

impl Mapping {
    /// Maps a file, which must not be changed or cut while it is mapped. (Replacing it by a rename is no change.)
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private and read-only. Should the file be changed by someone in spite of the warning,
        // the reader of a packed model checks all it goes by again at each use, and weights may have any value.
        #[allow(unsafe_code)]
        let mapping = unsafe { memmap2::MmapOptions::new().map(file) }?;
        Ok(Self(mapping))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}
