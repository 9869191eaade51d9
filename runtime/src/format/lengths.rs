//! Lengths that a device asks of a model's bytes when it is compiled.

use super::layout::{self, HEADER, MAGIC, MAX_RANK, PORT_RECORD, VERSION, VERSION_1, header, port, word};
use super::port::Role;

/// The bytes of working memory that running the model needs for a batch of one, wherever they lie in memory: 64 more
/// than the plan, so that a session can align it.
///
/// For a batch of n, see [`Model::arena_len`](super::Model::arena_len). A `const fn`, so that a device can declare its arena at compile time:
/// [`model!`](crate::model) does it. It trusts the bytes; 0 if they are no packed model of a version that is read.
/// ```
/// # use latent_runtime::format::arena_len;
/// assert_eq!(const { arena_len(b"no model") }, 0);
/// ```
pub const fn arena_len(bytes: &[u8]) -> usize {
    if !is_readable(bytes) {
        return 0;
    }
    let activations = word(bytes, header::ACTIVATIONS) as usize;
    activations.saturating_add(word(bytes, header::SCRATCH) as usize).saturating_add(layout::ALIGNMENT)
}

/// The values of the first input's example; a `const fn`, like [`arena_len`], and 0 where that is.
pub const fn input_len(bytes: &[u8]) -> usize {
    first_port_len(bytes, Role::Input)
}

/// The values of the first output's example; a `const fn`, like [`arena_len`], and 0 where that is.
pub const fn output_len(bytes: &[u8]) -> usize {
    first_port_len(bytes, Role::Output)
}

/// Whether the bytes begin as a packed model of a version that is read and have the length that it states.
#[doc(hidden)]
pub const fn is_whole(bytes: &[u8]) -> bool {
    is_readable(bytes) && word(bytes, header::LENGTH) as usize == bytes.len()
}

const fn is_readable(bytes: &[u8]) -> bool {
    let mut at = 0;
    while at < MAGIC.len() {
        if at >= bytes.len() || bytes[at] != MAGIC[at] {
            return false;
        }
        at += 1;
    }
    bytes.len() >= HEADER && matches!(word(bytes, header::VERSION), VERSION_1 | VERSION)
}

const fn first_port_len(bytes: &[u8], role: Role) -> usize {
    if !is_readable(bytes) {
        return 0;
    }
    let rank_at = if word(bytes, header::VERSION) == VERSION_1 {
        header::version_1::SHAPES[role as usize]
    } else {
        let mut record = word(bytes, header::PORTS) as usize;
        let mut left = word(bytes, header::PORTS + 4);
        while left > 0 && word(bytes, record.saturating_add(port::ROLE * 4)) != role as u32 {
            record = record.saturating_add(PORT_RECORD);
            left -= 1;
        }
        if left == 0 {
            return 0;
        }
        record.saturating_add(port::RANK * 4)
    };
    let (mut axis, mut elements) = (word(bytes, rank_at), 1usize);
    if axis as usize > MAX_RANK {
        return 0;
    }
    while axis > 0 {
        elements = elements.saturating_mul(word(bytes, rank_at + 4 * axis as usize) as usize);
        axis -= 1;
    }
    elements
}
