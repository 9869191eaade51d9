//! A gallery of labeled embeddings: with it a device learns new classes from a few examples, without training.
//!
//! An encoder gives each image an embedding; a [`Gallery`] keeps some of them with labels, in memory that the caller gives,
//! and tells the label of another embedding from its nearest neighbors: the k most similar examples vote, each with
//! weight exp(similarity / temperature), as in the usual check of contrastive encoders (Z. Wu et al., "Unsupervised Feature
//! Learning via Non-Parametric Instance Discrimination", 2018). Similarity is the cosine of the angle between two
//! embeddings; their lengths do not matter.
//!
//! Nothing here allocates or panics, and the sums have one order, so that results are the same bits on every target.
//!
//! ```
//! use latent_runtime::gallery::{Gallery, Neighbor, Storage, Vote, bytes_for};
//!
//! // On a device: `static MEMORY: [u8; bytes_for(2, Storage::F32, 8)]`.
//! let mut memory = [0; bytes_for(2, Storage::F32, 8)];
//! let mut gallery = Gallery::new(&mut memory, 2, Storage::F32)?;
//! for (embedding, label) in [([1.0, 0.1], 7), ([0.9, -0.1], 7), ([-0.2, 1.0], 3)] {
//!     gallery.add(&embedding, label)?;
//! }
//! let (mut neighbors, mut votes) = ([Neighbor::default(); 3], [Vote::default(); 2]);
//! let votes = gallery.classify(&[3.0, 0.5], 0.1, &mut neighbors, &mut votes)?;
//! assert_eq!(votes[0].label, 7);
//! assert!(votes[0].share > 0.9);
//! # Ok::<(), latent_runtime::gallery::GalleryError>(())
//! ```
//!
//! # The bytes
//! [`Gallery::bytes`] gives what to keep in a file or in flash; [`GalleryView::from_bytes`] reads it where it lies, and
//! [`Gallery::open`] goes on with it. Everything is little-endian:
//!
//! | byte | type | field |
//! |---|---|---|
//! | 0 | 8 bytes | magic `89 4C 47 41 0D 0A 1A 0A` (`\x89LGA\r\n\x1a\n`) |
//! | 8 | word | version: 1 |
//! | 12 | word | CRC-32 (as in zip) of the bytes from 16 to the end |
//! | 16 | word | values of an embedding: 1 to 65536 |
//! | 20 | word | what they are stored as: 0 f32, 1 i8 |
//! | 24 | word | examples |
//! | 28 | word | 0 |
//! | 32 | | the examples one after the other: label (word), 1 / length of the stored vector (f32), its values, then zeros up to a multiple of 4 bytes |

mod error;
mod neighbors;
mod record;
#[cfg(test)]
mod tests;
mod view;

pub use error::{GalleryError, GalleryFormatError};
pub use neighbors::{Neighbor, Vote, vote};
pub use record::{MAX_DIMENSION, Storage, bytes_for};
pub use view::GalleryView;

use core::fmt;

use record::{HEADER, Layout};

/// Labeled embeddings in memory of the caller's. See the [module](self).
pub struct Gallery<'a> {
    memory: &'a mut [u8],
    layout: Layout,
    len: usize,
}

impl<'a> Gallery<'a> {
    /// An empty gallery of embeddings of `dimension` values. [`bytes_for`] tells how much memory holds how many.
    ///
    /// # Errors
    /// [`GalleryError::Dimension`], and [`GalleryError::Memory`] if not even one example fits.
    pub fn new(memory: &'a mut [u8], dimension: usize, storage: Storage) -> Result<Self, GalleryError> {
        let layout = Layout::new(dimension, storage).ok_or(GalleryError::Dimension { found: dimension })?;
        let needed = bytes_for(dimension, storage, 1);
        if memory.len() < needed {
            return Err(GalleryError::Memory { found: memory.len(), needed });
        }
        let mut gallery = Self { memory, layout, len: 0 };
        gallery.seal();
        Ok(gallery)
    }

    /// Goes on with a gallery whose bytes lie at the beginning of `memory`; what follows them is room for more examples.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn open(memory: &'a mut [u8]) -> Result<Self, GalleryFormatError> {
        let view = GalleryView::from_beginning(memory)?;
        let (layout, len) = (view.layout(), view.len());
        Ok(Self { memory, layout, len })
    }

    /// The bytes to keep; [`GalleryView::from_bytes`] and [`Gallery::open`] take them.
    pub fn bytes(&mut self) -> &[u8] {
        self.seal();
        self.memory.get(..self.layout.end(self.len)).unwrap_or(&[])
    }

    /// The gallery to read from.
    pub fn view(&self) -> GalleryView<'_> {
        GalleryView::of(self.memory.get(HEADER..self.layout.end(self.len)).unwrap_or(&[]), self.layout)
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of examples that there is room for, those that are there included.
    pub fn capacity(&self) -> usize {
        self.memory.len().saturating_sub(HEADER) / self.layout.record()
    }

    /// The values of an embedding.
    pub fn dimension(&self) -> usize {
        self.layout.dimension
    }

    /// Adds an example, and returns its index.
    ///
    /// # Errors
    /// [`GalleryError::Full`]; [`GalleryError::Length`], [`GalleryError::NotFinite`] or [`GalleryError::NoDirection`] if it
    /// is no embedding of this gallery.
    pub fn add(&mut self, embedding: &[f32], label: u32) -> Result<usize, GalleryError> {
        let scale = self.layout.scale_to_unit(embedding)?;
        let (index, layout) = (self.len, self.layout);
        let capacity = self.capacity();
        let record = self.memory.get_mut(layout.end(index)..layout.end(index + 1));
        let Some(record) = record else { return Err(GalleryError::Full { capacity }) };
        layout.write(record, embedding, scale, label);
        self.len += 1;
        Ok(index)
    }

    /// Removes an example, and returns its label; the last example takes its index. `None` if there is no such example.
    pub fn remove(&mut self, index: usize) -> Option<u32> {
        let label = self.view().label(index)?;
        let last = self.len - 1;
        self.memory.copy_within(self.layout.end(last)..self.layout.end(last + 1), self.layout.end(index));
        self.len = last;
        Some(label)
    }

    /// Removes every example of a label, and returns how many there were. The order of the others may change.
    pub fn remove_label(&mut self, label: u32) -> usize {
        let before = self.len;
        // From the last down: what takes a removed one's place has been looked at.
        for index in (0..before).rev() {
            if self.view().label(index) == Some(label) {
                self.remove(index);
            }
        }
        before - self.len
    }

    /// Removes all examples.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// The most similar examples; see [`GalleryView::nearest`].
    ///
    /// # Errors
    /// If `query` is no embedding of this gallery.
    pub fn nearest<'n>(
        &self,
        query: &[f32],
        neighbors: &'n mut [Neighbor],
    ) -> Result<&'n [Neighbor], GalleryError> {
        self.view().nearest(query, neighbors)
    }

    /// The likeliest labels; see [`GalleryView::classify`].
    ///
    /// # Errors
    /// If `query` is no embedding of this gallery, or the temperature is not positive.
    pub fn classify<'v>(
        &self,
        query: &[f32],
        temperature: f32,
        neighbors: &mut [Neighbor],
        votes: &'v mut [Vote],
    ) -> Result<&'v [Vote], GalleryError> {
        self.view().classify(query, temperature, neighbors, votes)
    }

    /// Writes the header.
    fn seal(&mut self) {
        let end = self.layout.end(self.len);
        if let Some(bytes) = self.memory.get_mut(..end) {
            self.layout.write_header(bytes, self.len);
        }
    }
}

impl fmt::Debug for Gallery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gallery")
            .field("dimension", &self.layout.dimension)
            .field("storage", &self.layout.storage)
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .finish()
    }
}
