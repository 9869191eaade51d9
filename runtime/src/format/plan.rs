//! The memory plan: where in the arena each buffer lies.

use alloc::vec::Vec;

/// A buffer that is in use from time `first` to time `last`, both included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) bytes: usize,
    pub(super) first: usize,
    pub(super) last: usize,
}

/// Offsets of the buffers and the total. Greedy by size: the largest first, each at the lowest place where it touches
/// no buffer in use at the same time (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference",
/// 2020).
pub(super) fn plan(buffers: &[Buffer]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&index| (core::cmp::Reverse(buffers[index].bytes), index));
    let mut offsets = alloc::vec![0; buffers.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0;
    for index in order {
        let buffer = buffers[index];
        let mut neighbors: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| buffers[other].first <= buffer.last && buffer.first <= buffers[other].last)
            .map(|&other| (offsets[other], offsets[other] + buffers[other].bytes))
            .collect();
        neighbors.sort_unstable();
        let mut at = 0;
        for (start, end) in neighbors {
            if at + buffer.bytes <= start {
                break;
            }
            at = at.max(end);
        }
        offsets[index] = at;
        total = total.max(at + buffer.bytes);
        placed.push(index);
    }
    (offsets, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_share_memory_only_at_different_times() {
        type Case = (&'static [(usize, usize, usize)], &'static [usize], usize);
        let cases: [Case; 4] = [
            (&[], &[], 0),
            (&[(64, 0, 1), (128, 1, 2), (64, 2, 3)], &[128, 0, 128], 192),
            (&[(64, 0, 3), (128, 1, 2), (64, 1, 2)], &[128, 0, 192], 256),
            // The gap between two others is used.
            (&[(256, 0, 1), (128, 0, 9), (192, 2, 9)], &[0, 256, 0], 384),
        ];
        for (buffers, expected, expected_total) in cases {
            let buffers: Vec<Buffer> =
                buffers.iter().map(|&(bytes, first, last)| Buffer { bytes, first, last }).collect();
            assert_eq!(plan(&buffers), (expected.to_vec(), expected_total));
        }
    }
}
