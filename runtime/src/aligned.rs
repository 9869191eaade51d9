//! Memory at addresses that suit vector instructions and cache lines.

/// A value at an address that is a multiple of 64: for models and arenas in static memory.
/// ```
/// use latent_runtime::Aligned;
///
/// static MODEL: &Aligned<[u8]> = &Aligned(*b"include_bytes!(...)");
/// assert_eq!(MODEL.0.as_ptr() as usize % 64, 0);
/// ```
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub struct Aligned<T: ?Sized>(pub T);

/// Bytes on the heap at an address that is a multiple of 64.
#[cfg(feature = "alloc")]
#[derive(Debug)]
pub struct AlignedBytes {
    /// The bytes and room to begin at the right address; never grown, so that it does not move.
    storage: alloc::vec::Vec<u8>,
    start: usize,
    length: usize,
}

#[cfg(feature = "alloc")]
impl AlignedBytes {
    /// So many zeros.
    pub fn zeroed(length: usize) -> Self {
        let storage = alloc::vec![0; length + 63];
        let start = storage.as_ptr().align_offset(64).min(63);
        Self { storage, start, length }
    }

    /// A copy.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::zeroed(bytes.len());
        copy.as_mut_slice().copy_from_slice(bytes);
        copy
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.length]
    }

    /// The bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.length]
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_aligned_and_whole() {
        for length in [0, 1, 63, 64, 1000] {
            let mut bytes = AlignedBytes::zeroed(length);
            assert_eq!((bytes.as_slice().len(), bytes.as_slice().as_ptr().align_offset(64)), (length, 0));
            bytes.as_mut_slice().fill(7);
            assert!(AlignedBytes::copy_of(bytes.as_slice()).as_slice().iter().all(|&byte| byte == 7));
        }
    }
}
