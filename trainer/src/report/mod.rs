//! What a run leaves for people to look at: metrics, TensorBoard event files, plots, image grids, progress.
//!
//! Nothing here knows of tensors: numbers and bytes come in, files and lines go out.

pub mod confusion;
pub mod draw;
pub mod grid;
pub mod map;
pub mod metrics;
pub mod neighbors;
pub mod plot;
pub mod progress;
pub mod tensorboard;

use std::io;
use std::path::Path;

/// Turns an I/O error into one that says what was attempted on which file.
fn at(path: &Path, doing: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("cannot {doing} {}: {error}", path.display()))
}
