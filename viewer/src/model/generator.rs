//! A generator opened by a back end.

use latent_runtime::onnx::ImageShape;
use latent_runtime::open::BackendKind;

use super::open_model::OpenModel;
use super::{GeneratorFile, ModelError};
use crate::picture::Picture;

/// A generator that can be run.
pub struct Generator {
    pub file: GeneratorFile,
    model: OpenModel,
    values: Vec<f32>,
}

/// What a generator made of some latent vectors.
#[derive(Clone, Debug)]
pub struct Images {
    /// One picture for each latent vector.
    pub pictures: Vec<Picture>,
    /// The values they were made of, as the model gives them, one image after the other.
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
        let model = OpenModel::open(
            &file.path,
            engine,
            (threads, &file.choice),
            (file.space.size, file.image_values()),
        )?;
        Ok(Self { file: file.clone(), model, values: Vec::new() })
    }

    /// Opens a file with the first of its back ends that can, in the file's order.
    ///
    /// # Errors
    /// If none can; with what each of them said.
    pub fn open_with_any(file: &GeneratorFile, threads: usize) -> Result<(Self, BackendKind), ModelError> {
        OpenModel::first(&file.engines, |engine| Self::open(file, engine, threads))
    }

    /// What runs it, e.g. `ONNX Runtime 1.32, 2 threads`.
    pub fn describe(&self) -> &str {
        self.model.describe()
    }

    /// Makes the images of latent vectors, one after the other in `latents`, all of the class if the model takes one.
    ///
    /// # Errors
    /// If `latents` is no whole number of latent vectors, there is no such class, or the back end fails.
    pub fn run(&mut self, latents: &[f32], class: usize) -> Result<Images, ModelError> {
        if let Some(label) = &self.file.label {
            let values = label.values(class).ok_or_else(|| ModelError::Class {
                path: self.file.path.clone(),
                class,
                classes: self.file.classes(),
            })?;
            self.model
                .give(&label.name, &values)
                .map_err(|cause| ModelError::Run { path: self.file.path.clone(), cause: Box::new(cause) })?;
        }
        let image_values = self.file.image_values();
        self.values.clear();
        self.values.resize(latents.len() / self.file.space.size * image_values, 0.0);
        let seconds = self
            .model
            .run(latents, &mut self.values)
            .map_err(|cause| ModelError::Run { path: self.file.path.clone(), cause: Box::new(cause) })?;
        let ImageShape { channels, height, width } = self.file.image;
        let shape = (channels, height, width);
        let pictures = self
            .values
            .chunks_exact(image_values)
            .map(|values| Picture::from_values(values, shape, &self.file.encoding))
            // The lengths fit by construction.
            .collect::<Result<_, _>>()
            .map_err(|error| ModelError::Open { message: error.to_string() })?;
        Ok(Images { pictures, values: self.values.clone(), seconds })
    }
}
