//! The caller's memory as Rust has it: slices, places that something is written to, and things that have been opened.

use core::mem::MaybeUninit;
use core::{ptr, slice};

use crate::status::{
    Failure, LATENT_LENGTH, LATENT_MISALIGNED, LATENT_NOT_OPEN, LATENT_NULL, LATENT_OVERLAP,
};

/// What can be seen of a pointer to so many elements.
fn check<T>(pointer: *const T, length: usize) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure(LATENT_NULL));
    }
    if !pointer.is_aligned() {
        return Err(Failure(LATENT_MISALIGNED));
    }
    let fits = length.checked_mul(size_of::<T>()).is_some_and(|bytes| bytes <= isize::MAX as usize);
    if fits { Ok(()) } else { Err(Failure(LATENT_LENGTH)) }
}

/// What is read. Null is an empty slice if the length is 0.
///
/// # Safety
/// A pointer that is not null leads to so many elements, which stay unchanged for `'a`.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, length: usize) -> Result<&'a [T], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    check(pointer, length)?;
    // SAFETY: not null, aligned and of a possible length; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(pointer, length) })
}

/// What is written. Null is an empty slice if the length is 0.
///
/// # Safety
/// A pointer that is not null leads to so many elements, which nobody else uses for `'a`.
pub(crate) unsafe fn slice_mut<'a, T>(pointer: *mut T, length: usize) -> Result<&'a mut [T], Failure> {
    if length == 0 {
        return Ok(&mut []);
    }
    check(pointer, length)?;
    // SAFETY: not null, aligned and of a possible length; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts_mut(pointer, length) })
}

/// That memory to read and memory to write are apart: to be asked before there are slices.
pub(crate) fn apart<A, B>(read: (*const A, usize), written: (*mut B, usize)) -> Result<(), Failure> {
    let bytes =
        |start: usize, length: usize, size: usize| (start, start.saturating_add(length.saturating_mul(size)));
    let (read_start, read_end) = bytes(read.0.addr(), read.1, size_of::<A>());
    let (start, end) = bytes(written.0.addr(), written.1, size_of::<B>());
    if read_start < end && start < read_end { Err(Failure(LATENT_OVERLAP)) } else { Ok(()) }
}

/// Writes a result to where the caller wants it.
///
/// # Safety
/// A pointer that is not null leads to room for a `T`.
pub(crate) unsafe fn write<T>(place: *mut T, value: T) -> Result<(), Failure> {
    check(place, 1)?;
    // SAFETY: not null and aligned; the room is the caller's promise.
    unsafe { place.write(value) };
    Ok(())
}

/// A type of the header whose memory holds a `Value` once it has been opened.
pub(crate) trait Place: Sized {
    /// What it holds. It owns nothing, so nothing needs to be dropped.
    type Value;
    /// What its memory begins with when it does: unlikely in memory that holds anything else.
    const MARK: usize;
    /// Evaluated for each type: that the header gives it enough memory.
    const FITS: () = assert!(
        size_of::<Opened<Self::Value>>() <= size_of::<Self>()
            && align_of::<Opened<Self::Value>>() <= align_of::<Self>()
    );
}

/// What lies in the memory of a [`Place`].
#[repr(C)]
struct Opened<V> {
    mark: usize,
    value: MaybeUninit<V>,
}

/// Opens a place: puts what `make` gives there, or marks it as not opened.
///
/// # Safety
/// A pointer that is not null leads to a `P`.
pub(crate) unsafe fn open<P: Place>(
    place: *mut P,
    make: impl FnOnce() -> Result<P::Value, Failure>,
) -> Result<(), Failure> {
    const { P::FITS };
    check(place, 1)?;
    let opened = place.cast::<Opened<P::Value>>();
    // SAFETY: not null and aligned, and large enough by `FITS`; that it is memory to write is the caller's promise.
    unsafe { ptr::addr_of_mut!((*opened).mark).write(0) };
    let value = MaybeUninit::new(make()?);
    // SAFETY: as above.
    unsafe { opened.write(Opened { mark: P::MARK, value }) };
    Ok(())
}

/// Where the value of a place lies.
///
/// # Safety
/// A pointer that is not null leads to a `P`, whose memory only [`open`] has written, or nothing.
unsafe fn value<P: Place>(place: *const P) -> Result<*const P::Value, Failure> {
    const { P::FITS };
    check(place, 1)?;
    let opened = place.cast::<Opened<P::Value>>();
    // SAFETY: not null, aligned, and large enough by `FITS`; the memory is the caller's promise.
    unsafe {
        let is_open = ptr::addr_of!((*opened).mark).read() == P::MARK;
        if is_open { Ok(ptr::addr_of!((*opened).value).cast()) } else { Err(Failure(LATENT_NOT_OPEN)) }
    }
}

/// What a place holds.
///
/// # Safety
/// As [`value`], and nobody changes it for `'a`.
pub(crate) unsafe fn opened<'a, P: Place>(place: *const P) -> Result<&'a P::Value, Failure> {
    // SAFETY: the mark says that `open` has put a value there; the rest is the caller's promise.
    unsafe { value(place).map(|value| &*value) }
}

/// What a place holds, to be changed.
///
/// # Safety
/// As [`value`], and nobody else uses it for `'a`.
pub(crate) unsafe fn opened_mut<'a, P: Place>(place: *mut P) -> Result<&'a mut P::Value, Failure> {
    // SAFETY: the mark says that `open` has put a value there; the rest is the caller's promise.
    unsafe { value(place).map(|value| &mut *value.cast_mut()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_slice_has_a_code() {
        let words = [1u32, 2, 3];
        let (start, odd) = (words.as_ptr(), words.as_ptr().wrapping_byte_add(1));
        for (pointer, length, expected) in [
            (start, 3, Ok(3)),
            (start, 0, Ok(0)),
            (ptr::null(), 0, Ok(0)),
            (ptr::null(), 1, Err(Failure(LATENT_NULL))),
            (odd, 1, Err(Failure(LATENT_MISALIGNED))),
            (start, usize::MAX / 4, Err(Failure(LATENT_LENGTH))),
            (start, usize::MAX, Err(Failure(LATENT_LENGTH))),
        ] {
            // SAFETY: as many words as there are, or an error.
            assert_eq!(unsafe { slice(pointer, length) }.map(<[u32]>::len), expected, "{pointer:?} {length}");
            // SAFETY: as above; nothing is written.
            let mutable = unsafe { slice_mut(pointer.cast_mut(), length) };
            assert_eq!(mutable.map(|slice| slice.len()), expected, "{pointer:?} {length}");
        }
    }

    #[test]
    fn overlaps_are_seen() {
        let mut bytes = [0u8; 16];
        let start = bytes.as_mut_ptr();
        for (read, written, is_apart) in [
            ((0, 8), (8, 8), true),
            ((8, 8), (0, 8), true),
            ((0, 9), (8, 8), false),
            ((0, 8), (0, 8), false),
            ((4, 1), (0, 8), false),
            ((4, 0), (4, 0), true),
        ] {
            let found =
                apart((start.wrapping_add(read.0), read.1), (start.wrapping_add(written.0), written.1));
            assert_eq!(found.is_ok(), is_apart, "{read:?} {written:?}");
        }
        assert!(apart((start, usize::MAX), (start, 1)).is_err());
    }
}
