//! The back end on tract, an inference engine in pure Rust.

use std::borrow::ToOwned;
use std::format;
use std::path::{Path, PathBuf};
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use tract_onnx::prelude::*;

use crate::backend::{Backend, RunError, TensorInfo, check_run};
use crate::onnx::{self, FloatType, Interface};
use crate::open_error::OpenError;
use crate::per_batch::PerBatch;

const ENGINE: &str = "tract";

/// A model in tract. It runs on one thread.
///
/// tract optimizes a model for fixed shapes: the first run of each batch size makes a plan, which takes longer than
/// the run. The plans of the last few batch sizes are kept.
pub struct TractBackend {
    model: InferenceModel,
    interface: Interface,
    plans: PerBatch<Arc<TypedRunnableModel>>,
    path: PathBuf,
}

impl TractBackend {
    /// Loads an ONNX file, and makes the plan for the batch size 1 (or the model's only one).
    ///
    /// # Errors
    /// If the file is no ONNX model, it has not one input and one output of float32 or float16, or tract does not support
    /// it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        // tract takes files on trust; ours is the reader that checks, external data included.
        let interface = Interface::of(&onnx::load(path)?)
            .map_err(|source| OpenError::Interface { path: path.to_owned(), source })?;
        let failed = |message| OpenError::Engine { engine: ENGINE, path: path.to_owned(), message };
        // Declared shapes of inner values would contradict the batch sizes that are put in for the free one.
        let model = tract_onnx::onnx()
            .with_ignore_value_info(true)
            .with_ignore_output_shapes(true)
            .model_for_path(path)
            .map_err(|error| failed(chain(&error)))?;
        let mut backend = Self { model, interface, plans: PerBatch::default(), path: path.to_owned() };
        let batch = backend.interface.fixed_batch.unwrap_or(1);
        backend.plan(batch).map_err(failed)?;
        Ok(backend)
    }

    /// The file that was loaded.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn plan(&mut self, batch: usize) -> Result<&mut Arc<TypedRunnableModel>, String> {
        let Self { model, interface, plans, .. } = self;
        plans.get_or_make(batch, || {
            let shape: TVec<usize> = [batch].iter().chain(&interface.input_shape).copied().collect();
            let plan = (|| {
                let plan = model
                    .clone()
                    .with_input_fact(0, datum_type(interface.input_type).fact(shape).into())?
                    .into_optimized()?
                    .into_runnable()?;
                let found = plan.model().output_fact(0)?.shape.as_concrete().map(<[usize]>::to_vec);
                TractResult::Ok((plan, found))
            })();
            let (plan, found) = plan.map_err(|error| chain(&error))?;
            let expected: Vec<usize> = [batch].iter().chain(&interface.output_shape).copied().collect();
            match found {
                Some(found) if found == expected => Ok(plan),
                found => Err(format!(
                    "the output \"{}\" has the shape {found:?}, but the model declares {expected:?}",
                    interface.output
                )),
            }
        })
    }
}

fn datum_type(float: FloatType) -> DatumType {
    match float {
        FloatType::F32 => f32::datum_type(),
        FloatType::F16 => f16::datum_type(),
    }
}

/// The error and all its causes in one line.
fn chain(error: &TractError) -> String {
    format!("{error:#}")
}

impl Backend for TractBackend {
    fn describe(&self) -> &str {
        "tract, 1 thread"
    }

    fn input(&self) -> TensorInfo<'_> {
        self.interface.input_info()
    }

    fn output(&self) -> TensorInfo<'_> {
        self.interface.output_info()
    }

    fn run(&mut self, batch: usize, input: &[f32], output: &mut [f32]) -> Result<(), RunError> {
        check_run(self.interface.input_info(), self.interface.output_info(), batch, input, output)?;
        self.interface.check_batch(batch)?;
        let failed = |message| RunError::Engine { engine: ENGINE, message };
        let shape: TVec<usize> = [batch].iter().chain(&self.interface.input_shape).copied().collect();
        let input_type = datum_type(self.interface.input_type);
        let plan = self.plan(batch).map_err(failed)?;
        let run = || {
            let tensor =
                Tensor::from_shape(&shape, input)?.cast_to_dt(input_type)?.into_owned().into_tvalue();
            let result = plan.run([tensor].into_iter().collect())?.remove(0);
            TractResult::Ok(result.cast_to::<f32>()?.into_owned())
        };
        let result = run().map_err(|error| failed(chain(&error)))?;
        let view = result.to_plain_array_view::<f32>().map_err(|error| failed(chain(&error)))?;
        match view.as_slice() {
            Some(values) if values.len() == output.len() => output.copy_from_slice(values),
            _ => {
                return Err(failed(format!(
                    "the output has the shape {:?}, which was not planned",
                    view.shape()
                )));
            }
        }
        Ok(())
    }
}
