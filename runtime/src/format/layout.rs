//! Where each field stands in a `.lat` file: the numbers of docs/FORMAT.md, shared by reader and writer.

/// The first eight bytes. Like PNG's: the high bit and the line ends tell a file mangled by a text-mode transfer.
pub const MAGIC: [u8; 8] = *b"\x89LAT\r\n\x1a\n";
/// The version of the format that this crate writes.
pub const VERSION: u32 = 2;
/// The first version, which is still read: one input, one output, a CRC-32.
pub(crate) const VERSION_1: u32 = 1;
/// Sections, weights and activations begin at multiples of this many bytes.
pub const ALIGNMENT: usize = 64;

/// The most activations a model may have.
pub const MAX_VALUES: usize = 2048;
/// The most operators a model may have.
pub const MAX_OPERATORS: usize = 2048;
/// The most inputs a model may have, and the most outputs.
pub const MAX_PORTS: usize = 16;
/// The most axes of an input or output, the batch not counted.
pub const MAX_RANK: usize = 6;
/// The largest extent of any axis, window, stride or pad.
pub const MAX_EXTENT: u32 = 1 << 20;
/// The most elements an activation may have.
pub const MAX_ELEMENTS: u64 = 1 << 28;

/// Bytes of scratch memory that a convolution with transformed weights needs for each thread.
pub(crate) const WINOGRAD_SCRATCH: usize = 526_336;
/// The most channels, in and out, that it may have.
pub(crate) const WINOGRAD_MAX_CHANNELS: usize = 4096;

/// "No value" where an operator's second input may be absent.
pub(crate) const NONE: u32 = u32::MAX;

pub(crate) const HEADER: usize = 192;
pub(crate) const VALUE_RECORD: usize = 64;
pub(crate) const OPERATOR_RECORD: usize = 128;
pub(crate) const PORT_RECORD: usize = 64;
/// Axes that a shape in the header of version 1 has room for.
pub(crate) const MAX_RANK_1: usize = 4;

/// Byte offsets in the header.
pub(crate) mod header {
    pub(crate) const VERSION: usize = 8;
    pub(crate) const LENGTH: usize = 12;
    pub(crate) const CHECKSUM: usize = 16;
    /// The checksum covers everything from here to the end.
    pub(crate) const CHECKED: usize = 20;
    pub(crate) const KIND: usize = 20;
    pub(crate) const PRECISION: usize = 24;
    pub(crate) const ACTIVATIONS: usize = 28;
    pub(crate) const SCRATCH: usize = 32;
    pub(crate) const LATENT: usize = 36;
    pub(crate) const DISTRIBUTION: usize = 40;
    pub(crate) const DISTRIBUTION_A: usize = 44;
    pub(crate) const DISTRIBUTION_B: usize = 48;
    pub(crate) const RANGE_LOW: usize = 52;
    pub(crate) const RANGE_HIGH: usize = 56;
    pub(crate) const VALUES: usize = 64;
    pub(crate) const OPERATORS: usize = 72;
    pub(crate) const STRINGS: usize = 80;
    pub(crate) const METADATA: usize = 88;
    pub(crate) const DATA: usize = 96;
    pub(crate) const PORTS: usize = 104;
    pub(crate) const RESERVED: [core::ops::Range<usize>; 2] = [60..64, 112..192];

    /// In place of the ports in version 1.
    pub(crate) mod version_1 {
        /// The input's value and the output's.
        pub(crate) const VALUES: [usize; 2] = [104, 108];
        /// The input's shape and the output's.
        pub(crate) const SHAPES: [usize; 2] = [112, 132];
        pub(crate) const RESERVED: [core::ops::Range<usize>; 2] = [60..64, 152..192];
    }
}

/// The header's numbers for distributions, with the names of [`Distribution::parts`](crate::latent::Distribution::parts);
/// 0 for none.
pub(crate) const DISTRIBUTIONS: [(u32, &str); 2] = [(1, "uniform"), (2, "normal")];

/// Word (four bytes) offsets in a value record.
pub(crate) mod value {
    pub(crate) const NAME: usize = 0;
    pub(crate) const TYPE: usize = 2;
    pub(crate) const CHANNELS: usize = 3;
    pub(crate) const HEIGHT: usize = 4;
    pub(crate) const WIDTH: usize = 5;
    pub(crate) const HALO: usize = 6;
    pub(crate) const OFFSET: usize = 10;
    pub(crate) const FIRST: usize = 11;
    pub(crate) const LAST: usize = 12;
    pub(crate) const SCALE: usize = 13;
    pub(crate) const ZERO_POINT: usize = 14;
    pub(crate) const RESERVED: usize = 15;
}

/// Word (four bytes) offsets in a port's record.
pub(crate) mod port {
    pub(crate) const VALUE: usize = 0;
    pub(crate) const NAME: usize = 1;
    pub(crate) const ROLE: usize = 3;
    pub(crate) const TYPE: usize = 4;
    /// Followed by the extents.
    pub(crate) const RANK: usize = 5;
    pub(crate) const RESERVED: usize = 12;
}

/// Word (four bytes) offsets in an operator record.
pub(crate) mod operator {
    pub(crate) const KIND: usize = 0;
    pub(crate) const INPUT: usize = 1;
    pub(crate) const SECOND: usize = 2;
    pub(crate) const OUTPUT: usize = 3;
    pub(crate) const NAME: usize = 4;
    pub(crate) const WEIGHTS_TYPE: usize = 6;
    /// Offset, then length.
    pub(crate) const WEIGHTS: usize = 7;
    /// Offset, then length.
    pub(crate) const PARAMETERS: usize = 9;
    pub(crate) const ACTIVATION: usize = 11;
    pub(crate) const ACTIVATION_A: usize = 12;
    pub(crate) const ACTIVATION_B: usize = 13;
    pub(crate) const FLAGS: usize = 14;
    pub(crate) const RESIDUAL_SCALE: usize = 15;
    /// The first of sixteen words whose meaning depends on the kind.
    pub(crate) const ARGUMENTS: usize = 16;
}

/// An affine after the activation: per-channel scale and shift in the parameters.
pub(crate) const FLAG_AFTER: u32 = 1;
/// An affine before the activation (elementwise operators only).
pub(crate) const FLAG_BEFORE: u32 = 2;

/// `value` rounded up to a multiple of [`ALIGNMENT`].
pub(crate) const fn align(value: u64) -> u64 {
    value.next_multiple_of(ALIGNMENT as u64)
}

/// The little-endian word at byte `at`; 0 beyond the end (callers have checked the length; nothing here may panic).
pub(crate) const fn word(bytes: &[u8], at: usize) -> u32 {
    if bytes.len() < 4 || at > bytes.len() - 4 {
        return 0;
    }
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
