//! The back end on tract, an inference engine in pure Rust.

use std::borrow::ToOwned;
use std::format;
use std::path::{Path, PathBuf};
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use tract_onnx::prelude::*;

use crate::backend::{Backend, RunError, TensorInfo, check_all};
use crate::caught::caught;
use crate::onnx::{self, Element, Interface, Port};
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
    /// If the file is no ONNX model, its inputs and outputs are none that can be run ([`Interface::of`]), or tract
    /// does not support it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        // tract takes files on trust; ours is the reader that checks, external data included.
        let interface = Interface::of(&onnx::load(path)?)
            .map_err(|source| OpenError::Interface { path: path.to_owned(), source })?;
        let failed = |message| OpenError::Engine { engine: ENGINE, path: path.to_owned(), message };
        // Declared shapes of inner values would contradict the batch sizes that are put in for the free one.
        let read = || {
            let reader = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
            reader.model_for_path(path).map_err(|error| chain(&error))
        };
        let model = caught(read).map_err(failed)?;
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
            let plan = || {
                let mut model = model.clone();
                for (index, port) in interface.inputs.iter().enumerate() {
                    let fact = datum_type(port.element).fact(port.batch_shape(batch));
                    model.set_input_fact(index, fact.into())?;
                }
                let plan = model.into_optimized()?.into_runnable()?;
                let shape = |index| {
                    let fact = plan.model().output_fact(index)?;
                    TractResult::Ok(fact.shape.as_concrete().map(<[usize]>::to_vec))
                };
                let found = (0..interface.outputs.len()).map(shape).collect::<TractResult<Vec<_>>>()?;
                TractResult::Ok((plan, found))
            };
            let (plan, found) = caught(|| plan().map_err(|error| chain(&error)))?;
            for (port, found) in interface.outputs.iter().zip(found) {
                let expected = port.batch_shape(batch);
                if found.as_ref() != Some(&expected) {
                    return Err(format!(
                        "the output \"{}\" has the shape {found:?}, but the model declares {expected:?}",
                        port.info.name
                    ));
                }
            }
            Ok(plan)
        })
    }
}

fn datum_type(element: Element) -> DatumType {
    match element {
        Element::F32 => f32::datum_type(),
        Element::F16 => f16::datum_type(),
        Element::I32 => i32::datum_type(),
        Element::I64 => i64::datum_type(),
    }
}

/// What goes into a port.
fn tensor(port: &Port, batch: usize, values: &[f32]) -> TractResult<TValue> {
    let tensor = Tensor::from_shape(&port.batch_shape(batch), values)?;
    Ok(tensor.cast_to_dt(datum_type(port.element))?.into_owned().into_tvalue())
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
        self.run_all(batch, &[input], &mut [output])
    }

    fn input_at(&self, index: usize) -> Option<TensorInfo<'_>> {
        Some(self.interface.inputs.get(index)?.info.info())
    }

    fn output_at(&self, index: usize) -> Option<TensorInfo<'_>> {
        Some(self.interface.outputs.get(index)?.info.info())
    }

    fn run_all(
        &mut self,
        batch: usize,
        inputs: &[&[f32]],
        outputs: &mut [&mut [f32]],
    ) -> Result<(), RunError> {
        check_all(self, batch, inputs, outputs)?;
        self.interface.check(batch, inputs)?;
        let failed = |message| RunError::Engine { engine: ENGINE, message };
        let ports = self.interface.inputs.iter().zip(inputs);
        let tensors = ports.map(|(port, values)| tensor(port, batch, values)).collect::<TractResult<_>>();
        let tensors: TVec<TValue> = tensors.map_err(|error| failed(chain(&error)))?;
        let plan = self.plan(batch).map_err(failed)?;
        let results = caught(|| plan.run(tensors).map_err(|error| chain(&error))).map_err(failed)?;
        for (output, result) in outputs.iter_mut().zip(&results) {
            let result = result.cast_to::<f32>().map_err(|error| failed(chain(&error)))?;
            let view = result.to_plain_array_view::<f32>().map_err(|error| failed(chain(&error)))?;
            match view.as_slice() {
                Some(values) if values.len() == output.len() => output.copy_from_slice(values),
                _ => {
                    return Err(failed(format!(
                        "an output has the shape {:?}, which was not planned",
                        view.shape()
                    )));
                }
            }
        }
        Ok(())
    }
}
