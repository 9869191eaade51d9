//! What is to be done outside of shell and scenes, and what came of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::inference::{Frame, Job, Request};
use crate::directions::{Directions, Method};
use crate::embedding::{Progress, Task};
use crate::error::BackgroundError;
use crate::model::{GeneratorFile, Images};
use crate::picture::Picture;
use crate::record::RecordFormat;
use crate::walk::WalkFile;

pub const DIRECTIONS: usize = 24;

#[derive(Debug)]
pub enum Effect {
    /// Make the images of this request; the newest wins.
    Submit(Request),
    /// Make these images when there is time.
    Enqueue(Job),
    /// Forget these jobs, if they have not been begun.
    ForgetJobs(Vec<u64>),
    /// Read this model and show it.
    Open(PathBuf),
    /// Embed a folder of images; what was embedded before ends.
    Embed(Task),
    ReadVariants(Vec<PathBuf>),
    /// Find SeFa's directions.
    Sefa(Arc<GeneratorFile>),
    /// Find the principal components of samples.
    Pca {
        file: Arc<GeneratorFile>,
        /// One latent vector after the other.
        latents: Vec<f32>,
        /// One image after the other.
        images: Vec<f32>,
    },
    /// Write a PNG.
    SavePicture(Picture),
    /// Write these pictures, so many a second, as a file of this kind.
    SaveClip(Vec<Picture>, f64, RecordFormat),
    SaveWalk(WalkFile),
    /// Read the walk last written or read.
    LoadWalk,
    /// Leave the program.
    Quit,
}

/// What came of an effect; a scene takes what it asked for, and leaves the rest.
#[derive(Debug)]
pub enum Outcome {
    Frame(Frame),
    /// The images of a job, by its number.
    Job(u64, Result<Images, Arc<BackgroundError>>),
    Embedding(Progress),
    Variants(Vec<GeneratorFile>),
    Directions {
        method: Method,
        /// The model they are of.
        path: PathBuf,
        found: Result<Directions, BackgroundError>,
    },
    Walk(PathBuf, WalkFile),
}
