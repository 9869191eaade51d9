//! Scratch memory, divided among threads.

use core::marker::PhantomData;

/// Regions of one size, one for each thread.
pub(crate) struct Regions<'a> {
    start: *mut f32,
    size: usize,
    count: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: each thread uses only its own region ([`Regions::of`]).
#[allow(unsafe_code)]
unsafe impl Sync for Regions<'_> {}

impl<'a> Regions<'a> {
    /// As many regions of `size` elements as there is room for.
    pub(crate) fn new(scratch: &'a mut [f32], size: usize) -> Self {
        let count = scratch.len().checked_div(size).unwrap_or(usize::MAX);
        Self { start: scratch.as_mut_ptr(), size, count, slice: PhantomData }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The region of a thread; empty beyond the last.
    ///
    /// # Safety
    /// While a region is in use, nobody asks for it again.
    #[allow(unsafe_code)]
    #[expect(clippy::mut_from_ref, reason = "regions are apart, and the caller promises to use one once")]
    pub(crate) unsafe fn of(&self, thread: usize) -> &mut [f32] {
        if thread >= self.count {
            return &mut [];
        }
        // SAFETY: the region lies in the slice that this borrows, and nobody else has it, as the caller promises.
        unsafe { core::slice::from_raw_parts_mut(self.start.wrapping_add(thread * self.size), self.size) }
    }
}
