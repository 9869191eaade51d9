//! The checksum of packed models (version 2 of the format), at memory's speed: sixteen lanes that depend on nothing but
//! themselves, for vector instructions; pieces of fixed size, for threads; one multiplication a word and no table, for
//! small devices. docs/FORMAT.md defines it.

#[cfg(feature = "std")]
use super::Engine;
use super::Isa;

/// Independent sums; word i of a piece goes to lane i modulo so many.
const LANES: usize = 16;
/// Bytes that go into all lanes once.
const ROW: usize = 4 * LANES;
/// Bytes of a piece, each of which has a checksum of its own.
const PIECE: usize = 1 << 18;
/// The largest prime below 2^32 / golden ratio; odd, so that multiplying loses nothing.
const FACTOR: u32 = 0x9E37_79B1;

/// Takes one more word: a bijection of either argument, so that one changed word always changes the result.
#[inline(always)]
const fn mix(sum: u32, word: u32) -> u32 {
    (sum.rotate_left(15) ^ word).wrapping_mul(FACTOR)
}

/// The lanes from `FIRST` on, `COUNT` of them, of a piece.
#[inline(always)]
fn lanes<const FIRST: usize, const COUNT: usize>(piece: &[u8]) -> [u32; COUNT] {
    #[inline(always)]
    fn take<const FIRST: usize, const COUNT: usize>(lanes: &mut [u32; COUNT], row: &[u8; ROW]) {
        for (lane, word) in lanes.iter_mut().zip(row.as_chunks::<4>().0.iter().skip(FIRST)) {
            *lane = mix(*lane, u32::from_le_bytes(*word));
        }
    }
    let mut lanes = core::array::from_fn(|lane| (FIRST + lane) as u32);
    let (rows, rest) = piece.as_chunks::<ROW>();
    for row in rows {
        take::<FIRST, COUNT>(&mut lanes, row);
    }
    if !rest.is_empty() {
        let mut last = [0; ROW];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        take::<FIRST, COUNT>(&mut lanes, &last);
    }
    lanes
}

fn join(piece: &[u8], lanes: impl IntoIterator<Item = u32>) -> u32 {
    lanes.into_iter().fold(piece.len() as u32, mix)
}

/// The checksum of one piece.
#[inline(always)]
pub(super) fn piece(piece: &[u8]) -> u32 {
    if cfg!(any(feature = "std", target_arch = "x86_64")) {
        join(piece, lanes::<0, LANES>(piece))
    } else {
        // As many lanes as a small processor has registers for.
        join(piece, lanes::<0, 8>(piece).into_iter().chain(lanes::<8, 8>(piece)))
    }
}

fn whole(bytes: &[u8], pieces: impl Iterator<Item = u32>) -> u32 {
    pieces.fold(bytes.len() as u32, mix)
}

/// The checksum of bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    whole(bytes, bytes.chunks(PIECE).map(Isa::best().checksum_piece()))
}

impl Isa {
    /// What computes a piece's checksum.
    fn checksum_piece(self) -> impl Fn(&[u8]) -> u32 + Sync {
        move |bytes: &[u8]| match self {
            #[cfg(target_arch = "x86_64")]
            Self::X86(isa) => isa.checksum(bytes),
            _ => piece(bytes),
        }
    }
}

#[cfg(feature = "std")]
impl Engine {
    /// [`checksum`] by all threads.
    pub(crate) fn checksum(&mut self, bytes: &[u8]) -> u32 {
        use core::sync::atomic::{AtomicU32, Ordering};
        let pieces: alloc::vec::Vec<(&[u8], AtomicU32)> =
            bytes.chunks(PIECE).map(|piece| (piece, AtomicU32::new(0))).collect();
        let of = self.isa().checksum_piece();
        self.parallel(pieces.len(), &|_, index| {
            if let Some((piece, sum)) = pieces.get(index) {
                sum.store(of(piece), Ordering::Relaxed);
            }
        });
        whole(bytes, pieces.iter().map(|(_, sum)| sum.load(Ordering::Relaxed)))
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// As docs/FORMAT.md says it, word by word.
    fn defined(bytes: &[u8]) -> u32 {
        let mix = |sum: u32, word: u32| (sum.rotate_left(15) ^ word).wrapping_mul(0x9E37_79B1);
        let mut sum = bytes.len() as u32;
        for piece in bytes.chunks(1 << 18) {
            let mut lanes: Vec<u32> = (0..16).collect();
            let mut padded = piece.to_vec();
            padded.resize(piece.len().next_multiple_of(64), 0);
            for (index, word) in padded.chunks(4).enumerate() {
                let word = u32::from_le_bytes(word.try_into().unwrap());
                lanes[index % 16] = mix(lanes[index % 16], word);
            }
            sum = mix(sum, lanes.into_iter().fold(piece.len() as u32, mix));
        }
        sum
    }

    #[test]
    fn every_way_to_compute_it_gives_the_defined_checksum() {
        let bytes: Vec<u8> = (0..(5usize << 18) + 77).map(|index| (index * index / 7) as u8).collect();
        for length in [0, 1, 3, 4, 63, 64, 65, 1000, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, bytes.len()] {
            let part = &bytes[..length];
            let expected = defined(part);
            assert_eq!(checksum(part), expected, "{length}");
            for isa in Isa::available() {
                for threads in [1, 2, 3] {
                    let mut engine = Engine::new(isa);
                    engine.set_threads(threads);
                    assert_eq!(engine.checksum(part), expected, "{length}, {}", isa.name());
                }
            }
            for piece in part.chunks(PIECE) {
                let halves = lanes::<0, 8>(piece).into_iter().chain(lanes::<8, 8>(piece));
                assert_eq!(join(piece, halves), join(piece, lanes::<0, LANES>(piece)));
            }
        }
    }

    #[test]
    fn the_check_values_are_those_of_the_specification() {
        let counted: Vec<u8> = (0..1000).map(|index| (index % 251) as u8).collect();
        for (bytes, expected) in [(&b""[..], 0), (b"123456789", 0x4DED_081C), (&counted, 0x3BEE_809F)] {
            assert_eq!(checksum(bytes), expected, "{} bytes: {:08X}", bytes.len(), checksum(bytes));
        }
    }

    #[test]
    fn a_changed_word_always_changes_it() {
        let bytes: Vec<u8> = (0..300u32).map(|index| (index * 37) as u8).collect();
        let before = checksum(&bytes);
        for at in 0..bytes.len() {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                assert_ne!(checksum(&changed), before, "byte {at}");
            }
        }
        // Nor is it blind to the order of rows, or to zeros at the end.
        let mut swapped = bytes.clone();
        swapped[..128].rotate_left(64);
        assert_ne!(checksum(&swapped), before);
        let mut longer = bytes.clone();
        longer.push(0);
        assert_ne!(checksum(&longer), before);
    }
}
