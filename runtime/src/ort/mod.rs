//! The back end on ONNX Runtime, whose shared library is loaded at run time.

mod library;

use std::borrow::ToOwned;
use std::format;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};

pub use library::{Library, find_library};

use crate::backend::{Backend, RunError, TensorInfo, check_run};
use crate::onnx::proto::tensor_proto::DataType;
use crate::onnx::{self, Dimension, FloatType, Interface, ValueInfo};
use crate::open_error::OpenError;
use crate::per_batch::PerBatch;

const ENGINE: &str = "ONNX Runtime";

/// How ONNX Runtime runs a model. It always optimizes the graph as far as it can and runs the nodes one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrtOptions {
    /// The threads within one node; 0 leaves it to ONNX Runtime, which takes one for each physical core.
    pub threads: usize,
    /// Whether waiting threads spin: faster while runs follow one another closely, at the cost of busy cores.
    pub spinning: bool,
}

impl Default for OrtOptions {
    fn default() -> Self {
        Self { threads: 0, spinning: true }
    }
}

/// A model in ONNX Runtime.
///
/// The tensors of the last few batch sizes are kept, so that a run copies the input in and the output out, and
/// allocates nothing large.
pub struct OrtBackend {
    // Declared before the session: fields are dropped in this order.
    tensors: PerBatch<Tensors>,
    session: Session,
    interface: Interface,
    description: String,
}

struct Tensors {
    input: InputTensor,
    /// Holds the output tensor.
    options: RunOptions<HasSelectedOutputs>,
}

impl OrtBackend {
    /// Loads an ONNX file.
    ///
    /// # Errors
    /// If ONNX Runtime's library cannot be loaded ([`OpenError::Library`]), the file is no ONNX model, ONNX Runtime
    /// refuses it, or it has not one input and one output of float32 or float16.
    pub fn load(path: impl AsRef<Path>, options: OrtOptions) -> Result<Self, OpenError> {
        let path = path.as_ref();
        onnx::check_file(path)?;
        let runtime = library::load()?;
        let mut session =
            build_session(&runtime.environment, Source::File(path), options).map_err(|message| {
                // What ONNX Runtime says about a damaged file is short; our own reader may know more.
                match onnx::load(path) {
                    Err(error) => OpenError::Onnx(error),
                    Ok(_) => OpenError::Engine { engine: ENGINE, path: path.to_owned(), message },
                }
            })?;
        let values = |outlets: &[Outlet]| outlets.iter().map(value_info).collect::<Vec<_>>();
        let (inputs, mut outputs) = (values(session.inputs()), values(session.outputs()));
        let mut interface = Interface::of_values(&inputs, &outputs);
        if interface.is_err() && fill_in_sizes(&mut session, &inputs, &mut outputs) {
            interface = Interface::of_values(&inputs, &outputs);
        }
        let interface = interface.map_err(|source| OpenError::Interface { path: path.to_owned(), source })?;
        let threads = match options.threads {
            0 => "default threads".to_string(),
            1 => "1 thread".to_string(),
            n => format!("{n} threads"),
        };
        let description = match runtime.minor {
            Some(minor) => format!("{ENGINE} 1.{minor}, {threads}"),
            None => format!("{ENGINE}, {threads}"),
        };
        Ok(Self { tensors: PerBatch::default(), session, interface, description })
    }
}

/// Whether ONNX Runtime takes a model in memory, of any interface.
///
/// # Errors
/// [`OpenError::Library`] when its library cannot be loaded, [`OpenError::Engine`] with `path` as the model's name when it
/// refuses the model.
pub fn check(model: &[u8], path: &Path) -> Result<(), OpenError> {
    let runtime = library::load()?;
    match build_session(&runtime.environment, Source::Memory(model), OrtOptions::default()) {
        Ok(_) => Ok(()),
        Err(message) => Err(OpenError::Engine { engine: ENGINE, path: path.to_owned(), message }),
    }
}

enum Source<'a> {
    File(&'a Path),
    Memory(&'a [u8]),
}

fn build_session(
    environment: &ort::environment::Environment,
    source: Source<'_>,
    options: OrtOptions,
) -> Result<Session, String> {
    // The error types of the builder's methods differ.
    fn say<T>(error: ort::Error<T>) -> String {
        error.message().to_string()
    }
    let mut builder = Session::builder(environment)
        .map_err(say)?
        .with_log_level(LogLevel::Fatal)
        .map_err(say)?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(say)?
        .with_parallel_execution(false)
        .map_err(say)?
        .with_inter_threads(1)
        .map_err(say)?
        .with_intra_threads(options.threads)
        .map_err(say)?
        .with_intra_op_spinning(options.spinning)
        .map_err(say)?;
    match source {
        Source::File(path) => builder.commit_from_file(path).map_err(say),
        Source::Memory(bytes) => builder.commit_from_memory(bytes).map_err(say),
    }
}

fn value_info(outlet: &Outlet) -> ValueInfo {
    let (data_type, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, dimension_symbols } => {
            let dimensions = shape.iter().zip(dimension_symbols.iter());
            let dimension = |(&size, symbol): (&i64, &String)| match usize::try_from(size) {
                Ok(size) => Dimension::Fixed(size),
                Err(_) if symbol.is_empty() => Dimension::Unknown,
                Err(_) => Dimension::Symbol(symbol.clone()),
            };
            (data_type(*ty), Some(dimensions.map(dimension).collect()))
        }
        _ => (DataType::Undefined, None),
    };
    ValueInfo { name: outlet.name().to_owned(), data_type: data_type as i32, shape }
}

/// Sizes that the one output leaves open, as exporters do that only know a name for them, are those of one example that is run;
/// whether that told them.
fn fill_in_sizes(session: &mut Session, inputs: &[ValueInfo], outputs: &mut [ValueInfo]) -> bool {
    let [output] = outputs else { return false };
    // With itself as output, what is known of the input is taken for granted.
    let Ok(interface) = Interface::of_values(inputs, inputs) else { return false };
    let batch = interface.fixed_batch.unwrap_or(1);
    let shape: Vec<usize> = [batch].iter().chain(&interface.input_shape).copied().collect();
    let Ok(mut input) = InputTensor::new(session, interface.input_type, shape) else { return false };
    input.fill_zero();
    let Ok(result) = session.run([input.value()]) else { return false };
    let Some(shape) =
        result.get(output.name.as_str()).and_then(|value| value.dtype().tensor_shape().cloned())
    else {
        return false;
    };
    let sizes = shape.iter().map(|&size| usize::try_from(size).map_or(Dimension::Unknown, Dimension::Fixed));
    let mut sizes: Vec<Dimension> = sizes.collect();
    if let (Some(first), None) = (sizes.first_mut(), interface.fixed_batch) {
        *first = Dimension::Unknown;
    }
    output.shape = Some(sizes);
    true
}

fn data_type(element: TensorElementType) -> DataType {
    match element {
        TensorElementType::Float32 => DataType::Float,
        TensorElementType::Float16 => DataType::Float16,
        TensorElementType::Bfloat16 => DataType::Bfloat16,
        TensorElementType::Float64 => DataType::Double,
        TensorElementType::Uint8 => DataType::Uint8,
        TensorElementType::Int8 => DataType::Int8,
        TensorElementType::Int32 => DataType::Int32,
        TensorElementType::Int64 => DataType::Int64,
        TensorElementType::Bool => DataType::Bool,
        _ => DataType::Undefined,
    }
}

/// The input in the type that the model takes.
enum InputTensor {
    F32(Tensor<f32>),
    F16(Tensor<f16>),
}

impl InputTensor {
    fn new(session: &Session, float: FloatType, shape: Vec<usize>) -> ort::Result<Self> {
        Ok(match float {
            FloatType::F32 => Self::F32(Tensor::new(session.allocator(), shape)?),
            FloatType::F16 => Self::F16(Tensor::new(session.allocator(), shape)?),
        })
    }

    fn fill(&mut self, values: &[f32]) {
        match self {
            Self::F32(tensor) => tensor.extract_tensor_mut().1.copy_from_slice(values),
            Self::F16(tensor) => tensor.extract_tensor_mut().1.convert_from_f32_slice(values),
        }
    }

    fn fill_zero(&mut self) {
        match self {
            Self::F32(tensor) => tensor.extract_tensor_mut().1.fill(0.0),
            Self::F16(tensor) => tensor.extract_tensor_mut().1.fill(f16::ZERO),
        }
    }

    fn value(&self) -> SessionInputValue<'_> {
        match self {
            Self::F32(tensor) => tensor.into(),
            Self::F16(tensor) => tensor.into(),
        }
    }
}

impl Tensors {
    fn new(session: &Session, interface: &Interface, batch: usize) -> ort::Result<Self> {
        let shape = |sizes: &[usize]| -> Vec<usize> { [batch].iter().chain(sizes).copied().collect() };
        let input = InputTensor::new(session, interface.input_type, shape(&interface.input_shape))?;
        let (name, sizes) = (interface.output.as_str(), shape(&interface.output_shape));
        let outputs = OutputSelector::default();
        let outputs = match interface.output_type {
            FloatType::F32 => outputs.preallocate(name, Tensor::<f32>::new(session.allocator(), sizes)?),
            FloatType::F16 => outputs.preallocate(name, Tensor::<f16>::new(session.allocator(), sizes)?),
        };
        Ok(Self { input, options: RunOptions::new()?.with_outputs(outputs) })
    }
}

impl Backend for OrtBackend {
    fn describe(&self) -> &str {
        &self.description
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
        let Self { tensors, session, interface, .. } = self;
        let failed =
            |error: ort::Error| RunError::Engine { engine: ENGINE, message: error.message().to_string() };
        let tensors =
            tensors.get_or_make(batch, || Tensors::new(session, interface, batch)).map_err(failed)?;
        tensors.input.fill(input);
        let outputs = session.run_with_options([tensors.input.value()], &tensors.options).map_err(failed)?;
        let other = |shape: &ort::value::Shape| {
            let message = format!("the output has the shape {shape:?}, which the model does not declare");
            Err(RunError::Engine { engine: ENGINE, message })
        };
        match interface.output_type {
            FloatType::F32 => match outputs[0].try_extract_tensor::<f32>().map_err(failed)? {
                (_, values) if values.len() == output.len() => output.copy_from_slice(values),
                (shape, _) => return other(shape),
            },
            FloatType::F16 => match outputs[0].try_extract_tensor::<f16>().map_err(failed)? {
                (_, values) if values.len() == output.len() => values.convert_to_f32_slice(output),
                (shape, _) => return other(shape),
            },
        }
        Ok(())
    }
}
