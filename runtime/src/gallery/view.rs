//! A gallery's bytes, checked, to read from.

use super::record::{CHECKED_FROM, HEADER, Layout, MAGIC, Record, VERSION};
use super::{GalleryError, GalleryFormatError, Neighbor, Storage, Vote, neighbors, vote};
use crate::format::crc32;

/// A gallery that is only read: the bytes stay where they are, in flash or in a file.
#[derive(Clone, Copy)]
pub struct GalleryView<'a> {
    /// Without the header.
    records: &'a [u8],
    layout: Layout,
}

impl<'a> GalleryView<'a> {
    /// Checks the bytes that [`super::Gallery::bytes`] gave, and gives a view of them.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, GalleryFormatError> {
        let (_, end) = header(bytes)?;
        if bytes.len() != end {
            return Err(GalleryFormatError::Length { found: bytes.len(), expected: end });
        }
        Self::from_beginning(bytes)
    }

    /// The same, for bytes that others may follow.
    pub(super) fn from_beginning(memory: &'a [u8]) -> Result<Self, GalleryFormatError> {
        let (layout, end) = header(memory)?;
        let Some(bytes) = memory.get(..end) else {
            return Err(GalleryFormatError::Length { found: memory.len(), expected: end });
        };
        if crc32(bytes.get(CHECKED_FROM..).unwrap_or(&[])) != word(bytes, 12) {
            return Err(GalleryFormatError::Checksum);
        }
        let view = Self::of(bytes.get(HEADER..).unwrap_or(&[]), layout);
        match view.records().position(|record| !record.is_sound()) {
            Some(index) => Err(GalleryFormatError::Example { index }),
            None => Ok(view),
        }
    }

    pub(super) fn of(records: &'a [u8], layout: Layout) -> Self {
        Self { records, layout }
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let layout = self.layout;
        self.records.chunks_exact(layout.record()).filter_map(move |record| layout.read(record))
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.records.len() / self.layout.record()
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The values of an embedding.
    pub fn dimension(&self) -> usize {
        self.layout.dimension
    }

    /// What they are stored as.
    pub fn storage(&self) -> Storage {
        self.layout.storage
    }

    /// The label of an example.
    pub fn label(&self, index: usize) -> Option<u32> {
        let record = self.records.chunks_exact(self.layout.record()).nth(index)?;
        Some(self.layout.read(record)?.label)
    }

    /// The labels of all examples, by index.
    pub fn labels(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.records().map(|record| record.label)
    }

    /// How many examples have this label.
    pub fn count(&self, label: u32) -> usize {
        self.labels().filter(|&found| found == label).count()
    }

    /// Finds the examples most similar to `query`, the most similar first, of equally similar ones that of the lower index.
    /// They are as many as `neighbors` has room for, or all there are; that part of `neighbors` is returned.
    ///
    /// # Errors
    /// [`GalleryError::Length`], [`GalleryError::NotFinite`] or [`GalleryError::NoDirection`] if `query` is no embedding of
    /// this gallery.
    pub fn nearest<'n>(
        &self,
        query: &[f32],
        neighbors: &'n mut [Neighbor],
    ) -> Result<&'n [Neighbor], GalleryError> {
        let scale = self.layout.scale_to_unit(query)?;
        let similarities = self.records().map(|record| (record.label, record.similarity(query, scale)));
        Ok(neighbors::nearest(similarities, neighbors))
    }

    /// Finds the likeliest labels of `query` by a vote of its nearest neighbors, as many as `neighbors` has room for; see
    /// [`vote`]. The part of `votes` that was filled is returned: nothing if the gallery is empty.
    ///
    /// # Errors
    /// As [`GalleryView::nearest`], and [`GalleryError::Temperature`].
    pub fn classify<'v>(
        &self,
        query: &[f32],
        temperature: f32,
        neighbors: &mut [Neighbor],
        votes: &'v mut [Vote],
    ) -> Result<&'v [Vote], GalleryError> {
        vote(self.nearest(query, neighbors)?, temperature, votes)
    }
}

impl core::fmt::Debug for GalleryView<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GalleryView")
            .field("dimension", &self.layout.dimension)
            .field("storage", &self.layout.storage)
            .field("len", &self.len())
            .finish()
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(word) => u32::from_le_bytes(*word),
        None => 0,
    }
}

/// Checks the header; returns what it says of the records, and where they end.
fn header(bytes: &[u8]) -> Result<(Layout, usize), GalleryFormatError> {
    if bytes.len() < HEADER {
        return Err(GalleryFormatError::TooShort { found: bytes.len() });
    }
    if !bytes.starts_with(&MAGIC) {
        return Err(GalleryFormatError::Magic);
    }
    let version = word(bytes, 8);
    if version != VERSION {
        return Err(GalleryFormatError::Version { found: version });
    }
    let [dimension, storage, count, reserved] = [16, 20, 24, 28].map(|at| word(bytes, at));
    let field = |name, found| GalleryFormatError::Field { name, found };
    let storage = Storage::from_code(storage).ok_or(field("storage", storage))?;
    let layout = Layout::new(dimension as usize, storage).ok_or(field("dimension", dimension))?;
    if reserved != 0 {
        return Err(field("reserved", reserved));
    }
    Ok((layout, layout.end(count as usize)))
}
