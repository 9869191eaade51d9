//! A generator opened by a back end.

use std::time::Instant;

use latent_runtime::backend::{Backend, RunError};
use latent_runtime::open::{BackendKind, OpenError, OpenOptions, open};

use super::{GeneratorFile, ModelError};
use crate::picture::Picture;

/// A generator that can be run.
pub struct Generator {
    /// The file it came from.
    pub file: GeneratorFile,
    backend: Box<dyn Backend>,
    /// The model takes one image at a time.
    one_by_one: bool,
    values: Vec<f32>,
}

/// What a generator made of some latent vectors.
#[derive(Clone, Debug)]
pub struct Images {
    /// One picture for each latent vector.
    pub pictures: Vec<Picture>,
    /// The values they were made of, planar, one image after the other.
    pub values: Vec<f32>,
    /// The seconds that the back end took for all of them.
    pub seconds: f64,
}

impl Generator {
    /// Opens a file with one of its back ends. `threads` is what one run may use; 0 leaves it to the back end.
    ///
    /// # Errors
    /// If the back end cannot open it, or finds other shapes than the file says.
    pub fn open(file: &GeneratorFile, engine: BackendKind, threads: usize) -> Result<Self, ModelError> {
        let backend = open(&file.path, engine, &OpenOptions { threads }).map_err(|error| {
            let message = match error {
                // The runtime's own message tells how to build the runtime.
                OpenError::NotBuiltIn { kind } => format!(
                    "this build of the viewer has no back end \"{kind}\"; `cargo build --release -p latent-viewer \
                     --features {}` builds it in",
                    kind.feature()
                ),
                error => error.to_string(),
            };
            ModelError::Open { message }
        })?;
        let (input, output) = (backend.input(), backend.output());
        if input.values() != file.space.size || output.values() != file.image_values() {
            let message = format!(
                "{engine} opens {} as {input} -> {output}, which is not what the file says",
                file.path.display()
            );
            return Err(ModelError::Open { message });
        }
        Ok(Self { file: file.clone(), backend, one_by_one: false, values: Vec::new() })
    }

    /// Opens a file with the first of its back ends that can, in the file's order.
    ///
    /// # Errors
    /// If none can; with what each of them said.
    pub fn open_with_any(file: &GeneratorFile, threads: usize) -> Result<(Self, BackendKind), ModelError> {
        let mut messages = Vec::new();
        for &engine in &file.engines {
            match Self::open(file, engine, threads) {
                Ok(generator) => return Ok((generator, engine)),
                Err(error) => messages.push(error.to_string()),
            }
        }
        Err(ModelError::Open { message: messages.join("; ") })
    }

    /// What runs it, e.g. `ONNX Runtime 1.32, 2 threads`.
    pub fn describe(&self) -> &str {
        self.backend.describe()
    }

    /// Makes the images of latent vectors, one after the other in `latents`.
    ///
    /// # Errors
    /// If `latents` is no whole number of latent vectors, or the back end fails.
    pub fn run(&mut self, latents: &[f32]) -> Result<Images, ModelError> {
        let (latent_size, image_values) = (self.file.space.size, self.file.image_values());
        let batch = latents.len() / latent_size;
        self.values.clear();
        self.values.resize(batch * image_values, 0.0);
        let failed = |cause| ModelError::Run { path: self.file.path.clone(), cause };
        let start = Instant::now();
        if !self.one_by_one {
            match self.backend.run(batch, latents, &mut self.values) {
                Err(RunError::FixedBatch { expected: 1, .. } | RunError::BatchTooLarge { .. })
                    if batch > 1 =>
                {
                    self.one_by_one = true;
                }
                result => result.map_err(failed)?,
            }
        }
        if self.one_by_one {
            let images = latents.chunks_exact(latent_size).zip(self.values.chunks_exact_mut(image_values));
            for (latent, image) in images {
                self.backend.run(1, latent, image).map_err(failed)?;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let pictures = self
            .values
            .chunks_exact(image_values)
            .map(|values| Picture::from_values(values, self.file.image, self.file.range))
            // The lengths fit by construction.
            .collect::<Result<_, _>>()
            .map_err(|error| ModelError::Open { message: error.to_string() })?;
        Ok(Images { pictures, values: self.values.clone(), seconds })
    }
}
