//! Which images make up a batch.

use latent_runtime::rng::Rng;

use super::AugmentError;

/// The order in which a data set's images are used: every epoch all of them once, in whole batches; the last, partial batch is
/// skipped.
#[derive(Debug, Clone)]
pub struct BatchOrder {
    count: u32,
    batch: usize,
    shuffle: Option<u64>,
    /// The epoch that `order` is of.
    epoch: Option<u64>,
    order: Vec<u32>,
}

impl BatchOrder {
    /// Batches of `batch` out of `count` images, in the data set's order, or, with a seed in `shuffle`, in one of each epoch's
    /// own that depends on the seed and the epoch's number only.
    ///
    /// # Errors
    /// [`AugmentError::Batch`] if there is not one whole batch.
    pub fn new(count: usize, batch: usize, shuffle: Option<u64>) -> Result<Self, AugmentError> {
        match u32::try_from(count) {
            Ok(images) if batch > 0 && batch <= count => {
                Ok(Self { count: images, batch, shuffle, epoch: None, order: Vec::new() })
            }
            _ => Err(AugmentError::Batch { count, batch }),
        }
    }

    /// Whole batches in an epoch.
    pub fn per_epoch(&self) -> u64 {
        u64::from(self.count) / self.batch as u64
    }

    /// The images of batch `index`, counted over all epochs.
    pub fn images(&mut self, index: u64) -> &[u32] {
        let (epoch, place) = (index / self.per_epoch(), (index % self.per_epoch()) as usize);
        // Without shuffling all epochs are the first.
        let epoch = if self.shuffle.is_some() { epoch } else { 0 };
        if self.epoch != Some(epoch) {
            self.order.clear();
            self.order.extend(0..self.count);
            if let Some(seed) = self.shuffle {
                // The mark keeps this apart from the generators of views, which are seeded from the same number.
                let key = Rng::from_seed(seed ^ 0x6f72_6465_7200_0000).next_u64() ^ epoch;
                Rng::from_seed(key).shuffle(&mut self.order);
            }
            self.epoch = Some(epoch);
        }
        &self.order[place * self.batch..][..self.batch]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_shuffling_it_is_the_data_sets_order() {
        let mut order = BatchOrder::new(7, 3, None).unwrap();
        assert_eq!(order.per_epoch(), 2);
        for (index, expected) in [(0, [0, 1, 2]), (1, [3, 4, 5]), (2, [0, 1, 2]), (101, [3, 4, 5])] {
            assert_eq!(order.images(index), expected);
        }
    }

    #[test]
    fn a_shuffled_epoch_has_each_image_once_and_depends_on_its_number_only() {
        let new = |seed| BatchOrder::new(12, 4, Some(seed)).unwrap();
        let mut order = new(1);
        let mut epoch = |e: u64| (0..3).flat_map(|i| order.images(3 * e + i).to_vec()).collect::<Vec<_>>();
        let epochs: Vec<Vec<u32>> = (0..4).map(&mut epoch).collect();
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..12).collect::<Vec<_>>());
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(new(1).images(8), &epochs[2][8..], "without the epochs before");
        assert_ne!(new(2).images(8), &epochs[2][8..]);
    }

    #[test]
    fn there_must_be_a_whole_batch() {
        assert_eq!(BatchOrder::new(4, 4, None).unwrap().per_epoch(), 1);
        for (count, batch) in [(3, 4), (0, 1), (5, 0)] {
            assert!(matches!(BatchOrder::new(count, batch, None), Err(AugmentError::Batch { .. })));
        }
    }
}
