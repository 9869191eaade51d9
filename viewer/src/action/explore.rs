//! What one can do with an encoder's images, and the words for it.

/// How images are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Their embeddings in the plane.
    #[default]
    Map,
    /// One, and those that are nearest to it.
    Neighbors,
}

impl View {
    pub const ALL: [Self; 2] = [Self::Map, Self::Neighbors];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Map => "Map",
            Self::Neighbors => "Neighbors",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ExploreAction {
    SetView(View),
    NextView,
    /// Ask for the neighbors of this image, and stay with it.
    Ask(usize),
    /// Ask for those of an image by chance.
    AskRandom,
    /// Stay with the image, or follow the pointer.
    TogglePin,
    /// Move the map by so many steps to the right and down.
    Pan(i32, i32),
    Zoom(i32),
    /// Show the whole map.
    ResetMap,
}
