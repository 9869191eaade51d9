//! What quantization costs in the task's own unit: for a generator, how far its images' distribution moves; for an
//! encoder, how many pictures fewer their nearest neighbors tell the class of.

mod features;
mod neighbors;
mod runner;

use latent_quality::Gaussian;
use latent_runtime::backend::RunError;
use latent_runtime::gallery::GalleryError;
use latent_runtime::image_encoding::NormalizationError;
use latent_runtime::native::LoadError;
use serde::Serialize;

use crate::graph::{Dim, Graph};
use crate::quantize::{DataError, Pictures, QuantizeError, Samples};

pub use features::Features;
pub use neighbors::{NEIGHBORS, TEMPERATURE};
pub use runner::Runner;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Pictures or arrays cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A graph cannot be evaluated.
    #[error(transparent)]
    Definition(#[from] QuantizeError),
    #[error("the packed model cannot be loaded: {0}")]
    Load(#[from] LoadError),
    #[error("the packed model does not run: {0}")]
    Run(#[from] RunError),
    #[error("the embeddings cannot be searched: {0}")]
    Search(#[from] GalleryError),
    #[error("the encoder {what}, but the generator's images are {images}")]
    Encoder {
        /// What it takes.
        what: String,
        /// What the generator gives.
        images: String,
    },
    /// An encoder that does not say how its images are to be normalized, as it should.
    #[error("the encoder {encoder} cannot be given images: {problem}")]
    Normalization {
        /// Its name.
        encoder: String,
        problem: NormalizationError,
    },
    #[error("the encoder gives {found} features; at most {limit} are supported")]
    TooManyFeatures {
        /// How many it gives.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
}

/// The figure of the model's own task.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "figure", rename_all = "kebab-case")]
pub enum TaskReport {
    /// Of a generator.
    Frechet(FrechetReport),
    /// Of an encoder.
    Knn(KnnReport),
}

/// Fréchet distances of a generator's images (see [`Gaussian::distance`]).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrechetReport {
    /// How many images each model made, of the same latents.
    pub samples: usize,
    /// What is compared of images.
    pub features: String,
    /// How many numbers that is for each.
    pub dimension: usize,
    /// From the float model's images to the quantized model's.
    pub quantized: f64,
    /// From the float model's images to as many others of its own: what is left when nothing but the latents differ.
    pub other_latents: Option<f64>,
    /// To real pictures.
    pub reference: Option<ReferenceReport>,
}

/// Fréchet distances to real pictures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReferenceReport {
    /// How many pictures.
    pub samples: usize,
    /// From the float model's images.
    pub float: f64,
    /// From the quantized model's.
    pub quantized: f64,
}

/// How often the neighbors of a picture's embedding have its class. Each picture is left out in turn; the others vote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnnReport {
    /// How many pictures.
    pub samples: usize,
    pub classes: usize,
    /// How many neighbors vote.
    pub neighbors: usize,
    pub temperature: f32,
    /// Part of the pictures whose class the float model's embeddings tell, 0 to 1.
    pub float: f64,
    /// The same for the quantized model.
    pub quantized: f64,
    /// Part of the pictures that both give the same class, right or wrong.
    pub same: f64,
}

/// Images that are made or decoded at once: a bound on memory.
const AT_ONCE: usize = 128;

/// Whether a graph is a generator by its ends: vectors in, pictures out. The shape of these.
pub fn generated_images(graph: &Graph) -> Option<Vec<Dim>> {
    let (&[input], [output]) = (&*graph.inputs, &*graph.outputs) else { return None };
    let shape = graph.shape(output.value);
    let is_picture = matches!(*shape, [_, Dim::Size(1 | 3), Dim::Size(_), Dim::Size(_)]);
    (graph.shape(input).len() == 2 && is_picture).then_some(shape)
}

/// Whether a graph is an encoder by its ends: pictures in, vectors out. The shape of its input.
pub fn encoded_pictures(graph: &Graph) -> Option<Vec<Dim>> {
    let (&[input], [output]) = (&*graph.inputs, &*graph.outputs) else { return None };
    let shape = graph.shape(input);
    let is_picture = matches!(*shape, [_, Dim::Size(1 | 3), Dim::Size(_), Dim::Size(_)]);
    let is_vector = matches!(*graph.shape(output.value), [_, Dim::Size(2..)]);
    (is_picture && is_vector).then_some(shape)
}

/// Real pictures for a generator.
#[derive(Debug)]
pub enum Reference {
    /// Files.
    Pictures(Pictures),
    /// Values, in the model's range.
    Array(Samples),
}

impl Reference {
    fn features(&self, features: &mut Features) -> Result<Vec<f64>, TaskError> {
        match self {
            Reference::Array(samples) => features.of(&samples.values),
            Reference::Pictures(pictures) => {
                let mut all = Vec::new();
                for from in (0..pictures.len()).step_by(AT_ONCE) {
                    let some = pictures.read(from..pictures.len().min(from + AT_ONCE))?;
                    all.extend(features.of(&some.values)?);
                }
                Ok(all)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Reference::Array(samples) => samples.count,
            Reference::Pictures(pictures) => pictures.len(),
        }
    }
}

/// Compares the images that two generators make of `latents`; `others` are latents for the float model alone.
///
/// # Errors
/// When a model does not run or `reference` cannot be read.
pub fn frechet(
    [float, quantized]: [&mut Runner; 2],
    latents: &Samples,
    others: Option<&Samples>,
    reference: Option<&Reference>,
    features: &mut Features,
) -> Result<FrechetReport, TaskError> {
    let dimension = features.dimension();
    let gaussian = |runner: &mut Runner, latents: &Samples, features: &mut Features| {
        let mut all = Vec::with_capacity(latents.count * dimension);
        runner.run_in_parts(latents, AT_ONCE, |images| {
            all.extend(features.of(images)?);
            Ok(())
        })?;
        Ok::<_, TaskError>(Gaussian::of(&all, dimension))
    };
    let of_float = gaussian(float, latents, features)?;
    let of_quantized = gaussian(quantized, latents, features)?;
    let other_latents = match others {
        None => None,
        Some(others) => Some(of_float.distance(&gaussian(float, others, features)?)),
    };
    let reference = match reference {
        None => None,
        Some(reference) => {
            let real = Gaussian::of(&reference.features(features)?, dimension);
            Some(ReferenceReport {
                samples: reference.len(),
                float: real.distance(&of_float),
                quantized: real.distance(&of_quantized),
            })
        }
    };
    Ok(FrechetReport {
        samples: latents.count,
        features: features.to_string(),
        dimension,
        quantized: of_float.distance(&of_quantized),
        other_latents,
        reference,
    })
}

/// Compares what the neighbors of `pictures` say of their classes, the names of their folders, by the embeddings of two
/// encoders. `None` when there are fewer than two classes.
///
/// # Errors
/// When a model does not run or a picture cannot be read.
pub fn knn(
    [float, quantized]: [&mut Runner; 2],
    pictures: &Pictures,
) -> Result<Option<KnnReport>, TaskError> {
    let names = pictures.classes();
    let mut classes = names.clone();
    classes.sort();
    classes.dedup();
    if classes.len() < 2 {
        return Ok(None);
    }
    let labels: Vec<u32> =
        names.iter().filter_map(|name| Some(classes.binary_search(name).ok()? as u32)).collect();
    let mut embeddings = [Vec::new(), Vec::new()];
    for from in (0..pictures.len()).step_by(AT_ONCE) {
        let some = pictures.read(from..pictures.len().min(from + AT_ONCE))?;
        for (runner, all) in [&mut *float, &mut *quantized].into_iter().zip(&mut embeddings) {
            runner.run_in_parts(&some, AT_ONCE, |embeddings| {
                all.extend_from_slice(embeddings);
                Ok(())
            })?;
        }
    }
    let [said_by_float, said_by_quantized] = {
        let [float, quantized] = &embeddings;
        [neighbors::classes(float, &labels)?, neighbors::classes(quantized, &labels)?]
    };
    let part = |is: &dyn Fn(usize) -> bool| {
        (0..labels.len()).filter(|&at| is(at)).count() as f64 / labels.len() as f64
    };
    Ok(Some(KnnReport {
        samples: labels.len(),
        classes: classes.len(),
        neighbors: NEIGHBORS.min(labels.len() - 1),
        temperature: TEMPERATURE,
        float: part(&|at| said_by_float[at] == Some(labels[at])),
        quantized: part(&|at| said_by_quantized[at] == Some(labels[at])),
        same: part(&|at| said_by_float[at] == said_by_quantized[at]),
    }))
}
