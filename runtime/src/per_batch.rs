//! What a back end keeps for each batch size.

use std::vec::Vec;

/// The batch sizes that are kept at a time.
const KEPT: usize = 4;

/// A value for each of the last few batch sizes, the most recent first.
#[derive(Debug)]
pub(crate) struct PerBatch<T>(Vec<(usize, T)>);

impl<T> Default for PerBatch<T> {
    fn default() -> Self {
        Self(Vec::with_capacity(KEPT))
    }
}

impl<T> PerBatch<T> {
    /// The value for `batch`, made if there is none. The batch that was not used for longest makes room for it.
    pub(crate) fn get_or_make<E>(
        &mut self,
        batch: usize,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<&mut T, E> {
        match self.0.iter().position(|(size, _)| *size == batch) {
            Some(0) => {}
            Some(index) => self.0[..=index].rotate_right(1),
            None => {
                // Drop the oldest before the new one takes memory.
                self.0.truncate(KEPT - 1);
                self.0.insert(0, (batch, make()?));
            }
        }
        Ok(&mut self.0[0].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_batch_goes() {
        let mut kept = PerBatch::default();
        let mut made = Vec::new();
        for batch in [1, 2, 1, 3, 4, 1, 5, 1, 2] {
            let value = kept.get_or_make(batch, || {
                made.push(batch);
                Ok::<_, ()>(batch * 10)
            });
            assert_eq!(value, Ok(&mut (batch * 10)));
        }
        assert_eq!(made, [1, 2, 3, 4, 5, 2]);
        assert_eq!(kept.get_or_make(9, || Err("no memory")), Err("no memory"));
        assert_eq!(kept.get_or_make(1, || Err("kept")), Ok(&mut 10));
    }
}
