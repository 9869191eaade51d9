//! What every scene needs: the models to switch between, what runs them, messages, help, figures, recording, and the
//! window. It knows scenes by the trait [`Scene`] alone, and no window but in `window.rs`: input comes in as events and
//! actions, what is to be done outside goes out as [`Effect`]s, what came of it comes back as [`Outcome`]s.

mod effect;
mod frame_times;
pub mod inference;
mod keys;
mod message;
mod model_panel;
mod overlay;
mod pointer;
mod recorder;
mod scene;
mod services;
mod state;
mod viewer;
mod window;

pub use effect::{DIRECTIONS, Effect, Outcome};
pub use frame_times::FrameTimes;
pub use message::Message;
pub use model_panel::{MARGIN, ModelSummary, heading_gap};
pub use overlay::Help;
pub use pointer::Pointer;
pub use recorder::{RECORDING_FPS, Recorder};
pub use scene::Scene;
pub use services::OpenScene;
pub use state::{Figures, Shell};
pub use viewer::Viewer;
pub use window::{Closed, WindowError, WindowOptions, run};
