//! A model opened by a back end.

use std::path::Path;
use std::time::Instant;

use latent_runtime::backend::{Backend, RunError};
use latent_runtime::open::{BackendKind, Choice, OpenError, OpenOptions, open};

use super::ModelError;

/// A model that can be run.
pub(super) struct OpenModel {
    backend: Box<dyn Backend>,
    /// The model takes one example at a time.
    one_by_one: bool,
    /// The values of one example's input and output.
    values: (usize, usize),
}

impl OpenModel {
    /// Opens a file about the chosen input and output, which have so many values. `threads` is what one run may use; 0 leaves
    /// it to the back end.
    ///
    /// # Errors
    /// If the back end cannot open it, or finds other shapes.
    pub(super) fn open(
        path: &Path,
        engine: BackendKind,
        (threads, choice): (usize, &Choice),
        values: (usize, usize),
    ) -> Result<Self, ModelError> {
        let options = OpenOptions { threads, choice: choice.clone() };
        let backend = open(path, engine, &options).map_err(|error| {
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
        if (input.values(), output.values()) != values {
            let message = format!(
                "{engine} opens {} as {input} -> {output}, which is not what the file says",
                path.display()
            );
            return Err(ModelError::Open { message });
        }
        let mut model = Self { backend, one_by_one: false, values };
        for (name, values) in &choice.given {
            model.give(name, values).map_err(|error| ModelError::Open { message: error.to_string() })?;
        }
        Ok(model)
    }

    /// The first of `engines` that can open it, by `open`.
    ///
    /// # Errors
    /// If none can; with what each of them said.
    pub(super) fn first<T>(
        engines: &[BackendKind],
        mut open: impl FnMut(BackendKind) -> Result<T, ModelError>,
    ) -> Result<(T, BackendKind), ModelError> {
        let mut messages = Vec::new();
        for &engine in engines {
            match open(engine) {
                Ok(opened) => return Ok((opened, engine)),
                Err(error) => messages.push(error.to_string()),
            }
        }
        Err(ModelError::Open { message: messages.join("; ") })
    }

    /// What runs it, e.g. `ONNX Runtime 1.32, 2 threads`.
    pub(super) fn describe(&self) -> &str {
        self.backend.describe()
    }

    /// Says what goes into another input than that of the examples, until it is said again.
    ///
    /// # Errors
    /// If the model has no such input, or the values do not fit it.
    pub(super) fn give(&mut self, name: &str, values: &[f32]) -> Result<(), RunError> {
        self.backend.give(name, values)
    }

    /// Runs as many examples as `input` holds. Returns the seconds that the back end took.
    ///
    /// # Errors
    /// If `input` is no whole number of examples, `output` has not the room for them, or the back end fails.
    pub(super) fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<f64, RunError> {
        let batch = input.len() / self.values.0;
        let start = Instant::now();
        if !self.one_by_one {
            match self.backend.run(batch, input, output) {
                Err(RunError::FixedBatch { expected: 1, .. } | RunError::BatchTooLarge { .. })
                    if batch > 1 =>
                {
                    self.one_by_one = true;
                }
                result => return result.map(|()| start.elapsed().as_secs_f64()),
            }
        }
        let examples = input.chunks_exact(self.values.0).zip(output.chunks_exact_mut(self.values.1));
        for (input, output) in examples {
            self.backend.run(1, input, output)?;
        }
        Ok(start.elapsed().as_secs_f64())
    }
}
