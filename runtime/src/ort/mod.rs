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
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};

pub use library::{Library, find_library};

use crate::backend::{Backend, RunError, TensorInfo, check_all};
use crate::caught::caught;
use crate::onnx::proto::tensor_proto::DataType;
use crate::onnx::{self, Dimension, Element, Interface, Port, ValueInfo};
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
    inputs: Vec<InputTensor>,
    /// Holds the output tensors.
    options: RunOptions<HasSelectedOutputs>,
}

impl OrtBackend {
    /// Loads an ONNX file.
    ///
    /// # Errors
    /// If ONNX Runtime's library cannot be loaded ([`OpenError::Library`]), the file is no ONNX model, ONNX Runtime
    /// refuses it, or its inputs and outputs are none that can be run ([`Interface::of`]).
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
        let interface = caught(|| {
            let (inputs, mut outputs) = (values(session.inputs()), values(session.outputs()));
            let mut interface = Interface::of_values(&inputs, &outputs);
            if interface.is_err() && fill_in_sizes(&mut session, &inputs, &mut outputs) {
                interface = Interface::of_values(&inputs, &outputs);
            }
            Ok(interface)
        });
        let failed = |message| OpenError::Engine { engine: ENGINE, path: path.to_owned(), message };
        let interface = interface
            .map_err(failed)?
            .map_err(|source| OpenError::Interface { path: path.to_owned(), source })?;
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

#[derive(Clone, Copy)]
enum Source<'a> {
    File(&'a Path),
    Memory(&'a [u8]),
}

/// On x86 processors without VNNI, ONNX Runtime's products of bytes saturate unless exact ones are asked for. With that it
/// lacks kernels of some models whose operators are quantized themselves; those are taken as they are.
fn build_session(
    environment: &ort::environment::Environment,
    source: Source<'_>,
    options: OrtOptions,
) -> Result<Session, String> {
    // What the binding cannot express, it panics on.
    caught(|| {
        build_session_with(environment, source, options, "1")
            .or_else(|_| build_session_with(environment, source, options, "0"))
    })
}

fn build_session_with(
    environment: &ort::environment::Environment,
    source: Source<'_>,
    options: OrtOptions,
    exact_bytes: &str,
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
        .map_err(say)?
        .with_config_entry("session.x64quantprecision", exact_bytes)
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

/// Sizes that outputs leave open, as exporters do that only know a name for them, are those of one example that is run;
/// whether that told them.
fn fill_in_sizes(session: &mut Session, inputs: &[ValueInfo], outputs: &mut [ValueInfo]) -> bool {
    // With themselves as outputs, what is known of the inputs is taken for granted.
    let Ok(interface) = Interface::of_values(inputs, inputs) else { return false };
    let batch = interface.fixed_batch.unwrap_or(1);
    let tensors: Result<Vec<_>, _> =
        interface.inputs.iter().map(|port| InputTensor::new(session, port, batch)).collect();
    let Ok(mut tensors) = tensors else { return false };
    tensors.iter_mut().for_each(InputTensor::fill_zero);
    let Ok(result) = session.run(&tensors.iter().map(InputTensor::value).collect::<Vec<_>>()[..]) else {
        return false;
    };
    for output in outputs {
        let value = result.get(output.name.as_str());
        let Some(shape) = value.and_then(|value| value.dtype().tensor_shape().cloned()) else { return false };
        let sizes =
            shape.iter().map(|&size| usize::try_from(size).map_or(Dimension::Unknown, Dimension::Fixed));
        let mut sizes: Vec<Dimension> = sizes.collect();
        if let (Some(first), None) = (sizes.first_mut(), interface.fixed_batch) {
            *first = Dimension::Unknown;
        }
        output.shape = Some(sizes);
    }
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

/// An input in the type that the model takes.
enum InputTensor {
    F32(Tensor<f32>),
    F16(Tensor<f16>),
    I32(Tensor<i32>),
    I64(Tensor<i64>),
}

impl InputTensor {
    fn new(session: &Session, port: &Port, batch: usize) -> ort::Result<Self> {
        let (allocator, shape) = (session.allocator(), port.batch_shape(batch));
        Ok(match port.element {
            Element::F32 => Self::F32(Tensor::new(allocator, shape)?),
            Element::F16 => Self::F16(Tensor::new(allocator, shape)?),
            Element::I32 => Self::I32(Tensor::new(allocator, shape)?),
            Element::I64 => Self::I64(Tensor::new(allocator, shape)?),
        })
    }

    /// Values that are whole numbers where the model takes integers.
    fn fill(&mut self, values: &[f32]) {
        match self {
            Self::F32(tensor) => tensor.extract_tensor_mut().1.copy_from_slice(values),
            Self::F16(tensor) => tensor.extract_tensor_mut().1.convert_from_f32_slice(values),
            Self::I32(tensor) => {
                let integers = tensor.extract_tensor_mut().1.iter_mut();
                integers.zip(values).for_each(|(to, from)| *to = *from as i32);
            }
            Self::I64(tensor) => {
                let integers = tensor.extract_tensor_mut().1.iter_mut();
                integers.zip(values).for_each(|(to, from)| *to = *from as i64);
            }
        }
    }

    fn fill_zero(&mut self) {
        match self {
            Self::F32(tensor) => tensor.extract_tensor_mut().1.fill(0.0),
            Self::F16(tensor) => tensor.extract_tensor_mut().1.fill(f16::ZERO),
            Self::I32(tensor) => tensor.extract_tensor_mut().1.fill(0),
            Self::I64(tensor) => tensor.extract_tensor_mut().1.fill(0),
        }
    }

    fn value(&self) -> SessionInputValue<'_> {
        match self {
            Self::F32(tensor) => tensor.into(),
            Self::F16(tensor) => tensor.into(),
            Self::I32(tensor) => tensor.into(),
            Self::I64(tensor) => tensor.into(),
        }
    }
}

impl Tensors {
    fn new(session: &Session, interface: &Interface, batch: usize) -> ort::Result<Self> {
        let inputs = interface.inputs.iter().map(|port| InputTensor::new(session, port, batch));
        let inputs = inputs.collect::<ort::Result<_>>()?;
        let mut outputs = OutputSelector::default();
        for port in &interface.outputs {
            let (name, sizes) = (port.info.name.as_str(), port.batch_shape(batch));
            let allocator = session.allocator();
            outputs = match port.element {
                Element::F32 => outputs.preallocate(name, Tensor::<f32>::new(allocator, sizes)?),
                Element::F16 => outputs.preallocate(name, Tensor::<f16>::new(allocator, sizes)?),
                Element::I32 => outputs.preallocate(name, Tensor::<i32>::new(allocator, sizes)?),
                Element::I64 => outputs.preallocate(name, Tensor::<i64>::new(allocator, sizes)?),
            };
        }
        Ok(Self { inputs, options: RunOptions::new()?.with_outputs(outputs) })
    }
}

/// Copies a tensor out.
fn take(value: &DynValue, element: Element, output: &mut [f32]) -> Result<(), String> {
    let failed = |error: ort::Error| error.message().to_string();
    let shape = value.shape().clone();
    if shape.num_elements() != output.len() {
        return Err(format!("the output has the shape {shape:?}, which the model does not declare"));
    }
    match element {
        Element::F32 => output.copy_from_slice(value.try_extract_tensor::<f32>().map_err(failed)?.1),
        Element::F16 => {
            value.try_extract_tensor::<f16>().map_err(failed)?.1.convert_to_f32_slice(output);
        }
        Element::I32 => {
            let integers = value.try_extract_tensor::<i32>().map_err(failed)?.1;
            output.iter_mut().zip(integers).for_each(|(to, from)| *to = *from as f32);
        }
        Element::I64 => {
            let integers = value.try_extract_tensor::<i64>().map_err(failed)?.1;
            output.iter_mut().zip(integers).for_each(|(to, from)| *to = *from as f32);
        }
    }
    Ok(())
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
        let Self { tensors, session, interface, .. } = self;
        let run = || {
            let say = |error: ort::Error| error.message().to_string();
            let tensors =
                tensors.get_or_make(batch, || Tensors::new(session, interface, batch)).map_err(say)?;
            tensors.inputs.iter_mut().zip(inputs).for_each(|(tensor, values)| tensor.fill(values));
            let values: Vec<_> = tensors.inputs.iter().map(InputTensor::value).collect();
            let found = session.run_with_options(&values[..], &tensors.options).map_err(say)?;
            for ((port, output), index) in interface.outputs.iter().zip(outputs).zip(0..) {
                let index: usize = index;
                take(&found[index], port.element, output)?;
            }
            Ok(())
        };
        caught(run).map_err(|message| RunError::Engine { engine: ENGINE, message })
    }
}
