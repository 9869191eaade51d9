//! A data set in memory.

use std::fmt;

/// Which part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Split {
    /// The images to train on.
    Train,
    /// The images kept apart for tests.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Train => "train",
            Split::Test => "test",
        })
    }
}

/// How to load a data set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Bring every image to this (height, width) in pixels: a centered crop to the new proportions, then a resize with
    /// antialiasing. `None` keeps the size of the files.
    pub resize: Option<(usize, usize)>,
    /// Turn color into gray (ITU-R BT.601 luma).
    pub gray: bool,
    /// Seed of the data sets that are drawn rather than read; the others ignore it.
    pub seed: u64,
}

/// The images and labels of one split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Short name, such as `mnist`.
    pub name: String,
    /// Where it came from, in the form that [`DataSpec`](super::DataSpec) reads.
    pub source: String,
    /// Channels: 1 for gray, 3 for red, green, blue.
    pub channels: usize,
    /// Height of every image, in pixels.
    pub height: usize,
    /// Width of every image, in pixels.
    pub width: usize,
    /// All images, one after the other, each planar: N x channels x height x width values of 0..=255.
    pub pixels: Vec<u8>,
    /// The class of each image, an index into `class_names`.
    pub labels: Vec<u32>,
    /// The name of each class.
    pub class_names: Vec<String>,
}

impl Dataset {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images. The loaders never return such a data set.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Values per image: channels x height x width.
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The values of image `i`, planar: channels x height x width.
    ///
    /// # Panics
    /// If `i` is not less than [`len`](Self::len).
    pub fn image(&self, i: usize) -> &[u8] {
        let len = self.image_len();
        &self.pixels[i * len..(i + 1) * len]
    }

    /// Drops every image from index `count` on.
    pub fn truncate(&mut self, count: usize) {
        self.pixels.truncate(count.saturating_mul(self.image_len()));
        self.labels.truncate(count);
    }
}
