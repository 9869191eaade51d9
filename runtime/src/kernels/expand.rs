//! Weights of 4 bits to weights of a byte: each index becomes what the codebook has there, by a shuffle of bytes where the
//! instruction set has one.

use super::Isa;
use crate::ops::CODES;

/// Writes the weights that `indexes` stand for, two for each byte, as far as there is room.
pub(crate) fn expand(isa: Isa, codebook: &[i8; CODES], indexes: &[u8], weights: &mut [i8]) {
    match isa {
        #[cfg(any(embedded, all(test, feature = "std")))]
        Isa::Embedded(_) => plain(codebook, indexes, weights),
        #[cfg(any(scalar, test))]
        Isa::Scalar => plain(codebook, indexes, weights),
        #[cfg(target_arch = "x86_64")]
        Isa::X86(isa) => isa.expand(codebook, indexes, weights),
        #[cfg(target_arch = "aarch64")]
        Isa::Arm(isa) => isa.expand(codebook, indexes, weights),
        #[cfg(target_feature = "simd128")]
        Isa::Wasm(isa) => isa.expand(codebook, indexes, weights),
    }
}

/// By a table.
pub(super) fn plain(codebook: &[i8; CODES], indexes: &[u8], weights: &mut [i8]) {
    for (pair, &byte) in weights.chunks_exact_mut(2).zip(indexes) {
        pair[0] = codebook[usize::from(byte & 15)];
        pair[1] = codebook[usize::from(byte >> 4)];
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn every_instruction_set_expands_alike() {
        let codebook = core::array::from_fn(|at| (at as i16 * 17 - 128) as i8);
        for length in [0, 1, 7, 8, 16, 31, 32, 33, 64, 200] {
            let indexes: Vec<u8> = (0..length).map(|at| (at * 37 % 256) as u8).collect();
            let halves = indexes.iter().flat_map(|byte| [byte % 16, byte / 16]);
            let expected: Vec<i8> = halves.map(|half| (i16::from(half) * 17 - 128) as i8).collect();
            for isa in Isa::available() {
                let mut found = vec![99; 2 * length];
                expand(isa, &codebook, &indexes, &mut found);
                assert_eq!(found, expected, "{} {length}", isa.name());
            }
        }
    }
}
