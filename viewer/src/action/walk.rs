//! What one can do with a generator's walk, and the words for it.

use crate::walk::Interpolation;

/// How images are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One large image.
    Image,
    /// Many walks at once.
    Grid,
    /// The walk so far.
    Strip,
    /// The plane of seeds.
    Map,
    /// The same latent vector through several precisions and back ends.
    Compare,
}

impl Mode {
    pub const ALL: [Self; 5] = [Self::Image, Self::Grid, Self::Strip, Self::Map, Self::Compare];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Image => "Image",
            Self::Grid => "Grid",
            Self::Strip => "Strip",
            Self::Map => "Map",
            Self::Compare => "Compare",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SliderSet {
    /// None.
    #[default]
    Off,
    /// Directions found by SeFa.
    Sefa,
    /// Directions found by PCA.
    Pca,
    /// One for each latent value.
    Latent,
}

impl SliderSet {
    pub const ALL: [Self; 4] = [Self::Off, Self::Sefa, Self::Pca, Self::Latent];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "Off",
            Self::Sefa => "SeFa",
            Self::Pca => "PCA",
            Self::Latent => "Latent",
        }
    }

    /// The one after this.
    pub fn next(self) -> Self {
        let index = Self::ALL.iter().position(|&set| set == self).unwrap_or(0);
        Self::ALL[(index + 1) % Self::ALL.len()]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliderTarget {
    /// How far latents stay from their mean.
    Truncation,
    Speed,
    /// The way along a direction of the current set.
    Direction(usize),
    Latent(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WalkAction {
    TogglePlay,
    /// Pause, and move by steps.
    Step(i32),
    /// Pause, and go to the next key frame, or the one before.
    StepKey(bool),
    /// Turn round.
    Reverse,
    /// Change the speed by so many notches.
    Faster(i32),
    Interpolate(Interpolation),
    NextInterpolation,
    /// Return to the first key frame at the end, or not.
    ToggleClosed,
    /// Make what is shown a key frame.
    AddKey,
    AddRandomKey,
    /// Delete the nearest key frame.
    DeleteKey,
    /// Move the nearest key frame later, or earlier.
    MoveKey(bool),
    NewWalk,
    SetMode(Mode),
    NextMode,
    Sliders(SliderSet),
    NextSliders,
    /// Put all sliders back.
    ResetSliders,
    /// Change the truncation by so many notches.
    Truncate(i32),
    /// Draw this class, of a model that takes one.
    SetClass(usize),
    /// Show more and smaller, or fewer and larger; in the comparison, amplify more or less.
    Zoom(i32),
    /// Write the walk to a text file.
    SaveWalk,
    /// Read the walk last written or read.
    LoadWalk,
    /// Take the last edit back.
    Undo,
    /// Do the last edit that was taken back again.
    Redo,
}

impl WalkAction {
    /// What it is called when it is undone, if it is an edit.
    pub const fn edit(self) -> &'static str {
        match self {
            Self::AddKey | Self::AddRandomKey => "a key frame that was added",
            Self::DeleteKey => "a key frame that was deleted",
            Self::MoveKey(_) => "a key frame that was moved",
            Self::NewWalk => "a new walk",
            Self::Interpolate(_) | Self::NextInterpolation | Self::ToggleClosed => "the curve of the walk",
            Self::Truncate(_) => "truncation",
            Self::ResetSliders => "sliders that were put back",
            Self::SetClass(_) => "the class",
            _ => "an edit",
        }
    }

    pub(super) fn hint(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::TogglePlay => ("play or pause", "Space"),
            Self::StepKey(true) => ("next key frame", "Shift →"),
            Self::StepKey(false) => ("key frame before", "Shift ←"),
            Self::Reverse => ("turn round", "R"),
            Self::AddKey => ("make what is shown a key frame", "A"),
            Self::AddRandomKey => ("add a random key frame", "N"),
            Self::DeleteKey => ("delete the nearest key frame", "X"),
            Self::MoveKey(false) => ("move the nearest key frame to the left", "["),
            Self::MoveKey(true) => ("move the nearest key frame to the right", "]"),
            Self::NewWalk => ("new random walk", "W"),
            Self::SaveWalk => ("save the walk", "Ctrl S"),
            Self::LoadWalk => ("load the saved walk", "Ctrl O"),
            Self::SetClass(_) => ("draw this class", "Ctrl 0 – 9"),
            _ => return None,
        })
    }
}
