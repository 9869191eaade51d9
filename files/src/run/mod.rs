//! Run folders: what the trainer writes and the exporter reads.
//!
//! ```text
//! RUN/run.json         what was trained and how far it is: a GanRun, a SimclrRun or a ClassifierRun
//! RUN/metrics.csv      one row per iteration
//! RUN/tensorboard/     event files
//! RUN/losses.png       plot of the losses
//! RUN/samples/         grids of images from fixed noise
//! RUN/checkpoints/N/   weights, optimizer and state after iteration N; the highest number is the newest
//! ```
//!
//! A checkpoint's weights are safetensors files whose names are those of the equivalent PyTorch `state_dict`. It appears
//! by the rename of a finished folder, so a folder that is there is complete.
//!
//! Reading checks what the types cannot say. Every size is bounded before anything is multiplied or allocated: a damaged
//! or invented `run.json` is an error, never an overflow or an exhausted memory.

pub mod checkpoint;
mod classifier;
mod describe;
mod error;
mod gan;
mod layers;
mod networks;
mod quality;
mod resnet;
mod saved;
mod simclr;
mod weights;

pub use classifier::{ClassifierFigures, ClassifierRun, check_classifier, classifier_layers};
pub use describe::{
    Data, Description, Figures, Finding, FindingKind, Image, MAX_CHANNELS, MAX_SIDE, Progress, RunKind,
    RunOptions, Training, kind_of, read, within,
};
pub use error::RunError;
pub use gan::{Classes, GanFigures, GanRun, Latent, LatentDistribution, MAX_CLASSES, MAX_LATENT, NetKind};
pub use layers::{Conv, Layer, MAX_PARAMETERS};
pub use networks::{GanNetworks, TrainingBytes};
pub use quality::{Quality, QualityCheck};
pub use resnet::{Architecture, Block, BlockKind, ConvShape, Stage, Stem};
pub use saved::{Checkpoint, SavedRun, WeightsChoice, kind};
pub use simclr::{Accuracy, Check, Normalization, Projection, SimclrFigures, SimclrRun};
pub use weights::{MAX_WEIGHTS, Tensor, Weights, parse_safetensors};

/// The version of `run.json` and of `state.json`.
pub const FORMAT: u32 = 1;
/// The name of the description within a run folder.
pub const RUN_JSON: &str = "run.json";
