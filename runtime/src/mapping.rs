//! A file's contents without a copy; with the one piece of unsafe code outside the kernels.

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
        // A file that is not in memory yet is then read in pieces of 2 MB rather than of a page: twice as fast, and mapping
        // them takes a tenth of the time, now and whenever it is opened again. A system that cannot goes on as usual.
        #[cfg(target_os = "linux")]
        let _ = mapping.advise(memmap2::Advice::HugePage);
        Ok(Self(mapping))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}
