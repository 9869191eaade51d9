//! Memory of a program's whole life, handed out once.
#![allow(unsafe_code)] // Of the static's memory one exclusive borrow is made: see `take`.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::SeqCst};

use crate::Aligned;

/// `LEN` bytes for a static, zero at the beginning (and so no part of what is in flash), which [`Arena::take`] gives to the
/// first who asks for them.
/// ```
/// use latent_runtime::Arena;
///
/// static ARENA: Arena<1024> = Arena::new();
/// let bytes: &'static mut [u8; 1024] = ARENA.take().unwrap();
/// assert!(ARENA.take().is_none());
/// ```
pub struct Arena<const LEN: usize> {
    bytes: UnsafeCell<Aligned<[u8; LEN]>>,
    /// Who came last, by an address on its own stack, which nobody else has at the same time.
    last: AtomicPtr<u8>,
    is_taken: AtomicBool,
}

// SAFETY: `take` is the only way to the bytes, and gives at most one borrow of them, whoever calls it and from wherever.
unsafe impl<const LEN: usize> Sync for Arena<LEN> {}

impl<const LEN: usize> Arena<LEN> {
    /// For a static.
    #[allow(clippy::new_without_default)] // There is nothing to do with one that is no static.
    pub const fn new() -> Self {
        Self {
            bytes: UnsafeCell::new(Aligned([0; LEN])),
            last: AtomicPtr::new(ptr::null_mut()),
            is_taken: AtomicBool::new(false),
        }
    }

    /// The memory, once; afterwards `None`. Of several that ask at the very same time, from interrupts or other cores, at most
    /// one gets it, and it may be that none does.
    #[allow(clippy::mut_from_ref)] // That it is the only one is what this function is about.
    pub fn take(&'static self) -> Option<&'static mut [u8; LEN]> {
        // Loads and stores alone, as a Cortex-M0 has no more: L. Lamport, "A fast mutual exclusion algorithm", 1987. Had two
        // come through, each would have found itself to be the last after it had said so and before the other did, and
        // neither would have seen the other's `is_taken`, one of which comes before.
        let mut mark = 0u8;
        let me = ptr::from_mut(&mut mark);
        self.last.store(me, SeqCst);
        if self.is_taken.load(SeqCst) {
            return None;
        }
        self.is_taken.store(true, SeqCst);
        if self.last.load(SeqCst) != me {
            return None;
        }
        // SAFETY: nobody else comes here, by the argument above, and the static outlives all.
        Some(unsafe { &mut (*self.bytes.get()).0 })
    }
}

impl<const LEN: usize> fmt::Debug for Arena<LEN> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("len", &LEN).field("is_taken", &self.is_taken.load(SeqCst)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::vec::Vec;

    #[test]
    fn at_most_one_gets_it() {
        static ARENAS: [Arena<3>; 100] = [const { Arena::new() }; 100];
        for arena in &ARENAS {
            let takers: Vec<_> = (0..3).map(|_| thread::spawn(|| arena.take().is_some())).collect();
            let got = takers.into_iter().map(|taker| taker.join().unwrap());
            assert!(got.filter(|&got| got).count() <= 1);
            assert!(arena.take().is_none());
        }
        static ALONE: Arena<5> = Arena::new();
        let bytes = ALONE.take().unwrap();
        assert_eq!((*bytes, bytes.as_ptr().align_offset(64)), ([0; 5], 0));
    }
}
