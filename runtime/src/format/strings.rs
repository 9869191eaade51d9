//! The names in the strings section.

/// A name; `None` outside the section or if it is not UTF-8.
pub(super) fn name(strings: &[u8], offset: u32, length: u32) -> Option<&str> {
    let bytes = strings.get(offset as usize..)?.get(..length as usize)?;
    core::str::from_utf8(bytes).ok()
}
