//! The instance's memory: what is taken from its end and never given back, and statics of its only thread.

use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of a page, in which memory grows.
const PAGE: usize = 1 << 16;
/// What vector instructions and caches like.
const ALIGNMENT: usize = 64;
/// The first byte that nobody has; 0 before the first call.
static FREE: AtomicUsize = AtomicUsize::new(0);

/// So many bytes, zero, at a multiple of 64; null if there are no more.
pub(crate) fn room(bytes: usize) -> *mut u8 {
    let end = memory_size(0) * PAGE;
    let start = match FREE.load(Relaxed) {
        0 => end,
        free => free,
    };
    let free = bytes.checked_next_multiple_of(ALIGNMENT).and_then(|bytes| start.checked_add(bytes));
    let Some(free) = free else { return ptr::null_mut() };
    let missing = free.saturating_sub(end).div_ceil(PAGE);
    if missing > 0 && memory_grow(0, missing) == usize::MAX {
        return ptr::null_mut();
    }
    FREE.store(free, Relaxed);
    ptr::with_exposed_provenance_mut(start)
}

/// A static of a module that has one thread.
pub(crate) struct Alone<T>(UnsafeCell<T>);

// SAFETY: the memory of an instance is not shared, so there is one thread.
unsafe impl<T> Sync for Alone<T> {}

impl<T> Alone<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Works with the value; `work` must not ask for the same static again.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: there is one thread, and no `work` in this crate asks for the static that it works with.
        work(unsafe { &mut *self.0.get() })
    }
}

/// A text for JavaScript, in memory that grows with the longest.
pub(crate) struct Text {
    start: *mut u8,
    length: usize,
    capacity: usize,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self { start: ptr::null_mut(), length: 0, capacity: 0 }
    }

    pub(crate) fn start(&self) -> *const u8 {
        self.start
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Makes it this; what there is no memory for is left out.
    pub(crate) fn set(&mut self, what: &impl fmt::Display) {
        let mut count = Count(0);
        let _ = write!(count, "{what}");
        if count.0 > self.capacity {
            let start = room(count.0);
            if !start.is_null() {
                (self.start, self.capacity) = (start, count.0);
            }
        }
        self.length = 0;
        let _ = write!(self, "{what}");
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.capacity - self.length < text.len() {
            return Err(fmt::Error);
        }
        // SAFETY: so many bytes from `start` on are this text's alone.
        unsafe { ptr::copy_nonoverlapping(text.as_ptr(), self.start.add(self.length), text.len()) };
        self.length += text.len();
        Ok(())
    }
}

/// Counts bytes.
struct Count(usize);

impl Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}
