//! What one can do in every scene.

use crate::record::RecordFormat;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShellAction {
    /// Open another model of the catalog, so many places on.
    NextModel(i32),
    OpenModel(usize),
    /// Open this precision or format of the model: its place among the model's files.
    OpenVariant(usize),
    /// Open the next precision of the model.
    NextPrecision,
    NextEngine,
    /// Run on this back end of the model's.
    SetEngine(usize),
    /// Use so many threads more.
    Threads(i32),
    /// Write a PNG of what is shown.
    SavePicture,
    /// Begin to record a file of this kind, or end and write.
    ToggleRecording(RecordFormat),
    /// Show the list of models, or close it.
    ToggleList,
    /// Show the panels, or the images alone.
    TogglePanels,
    ToggleHelp,
    /// Show all of the back end and the latency, or a line of it.
    ToggleEngine,
    /// Scroll the panel at the right by so many pages.
    Page(i32),
    /// Leave the help; then the list; end a recording and save it; then leave what the scene can leave; then the images alone;
    /// then the program.
    Back,
    Quit,
}

impl ShellAction {
    pub(super) fn hint(self, on: bool) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::SavePicture => ("save a PNG", "S"),
            Self::ToggleRecording(_) if on => ("end the recording and save it", "G"),
            Self::ToggleRecording(_) => ("record a GIF", "G"),
            Self::NextModel(places) if places > 0 => ("next model", "M"),
            Self::NextModel(_) => ("model before", "Shift M"),
            Self::Threads(more) if more > 0 => ("more threads", "T"),
            Self::Threads(_) => ("fewer threads", "Shift T"),
            _ => return None,
        })
    }
}
