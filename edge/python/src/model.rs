//! A model as a Python object.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use latent_runtime::backend::{Backend, RunError, TensorInfo, inputs, outputs};
use latent_runtime::format::{Name, PortType, Precision};
use latent_runtime::image_encoding::{ImageEncoding, ImageShape, RangeSource};
use latent_runtime::latent::Distribution;
use latent_runtime::native::{NativeBackend, NativeOptions};
use latent_runtime::onnx::ModelMetadata;
use latent_runtime::open::{Choice, Label, ModelFormat};
use latent_runtime::pixels::ValueRange;
use latent_runtime::rng::Rng;
use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::arrays::{any, array, batch_shape, bytes, dtype, examples, floats, is_whole, shape, whole, zeros};
use crate::error::{NO_CODE, detached, error, load_error, pixel_error, run_error};

/// An input or an output of a model: its name, its shape without the batch axis, the NumPy type of its values.
#[pyclass(frozen, get_all, module = "latent")]
pub(crate) struct Port {
    name: String,
    shape: Py<PyTuple>,
    dtype: &'static str,
}

impl Port {
    fn new(py: Python<'_>, info: TensorInfo<'_>) -> PyResult<Self> {
        let shape = PyTuple::new(py, info.shape)?.unbind();
        Ok(Self { name: info.name.into(), shape, dtype: dtype(info.kind) })
    }
}

#[pymethods]
impl Port {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "Port(name={:?}, shape={}, dtype={:?})",
            self.name,
            self.shape.bind(py).repr()?,
            self.dtype
        ))
    }
}

/// Opens a packed model (`.lat`), which has to be of `precision` ("f32", "f16", "bf16", "int8", "int4") if that is given.
///
/// Threads are those of one run. Raises OSError if the file cannot be read, latent.Error if it is no model.
#[pyfunction]
#[pyo3(signature = (path, *, precision = None, threads = 1))]
pub(crate) fn open(
    py: Python<'_>,
    path: PathBuf,
    precision: Option<&str>,
    threads: usize,
) -> PyResult<Model> {
    if !(1..=256).contains(&threads) {
        return Err(PyValueError::new_err(format!("threads is {threads}, expected 1 to 256")));
    }
    let precision = match precision {
        None => None,
        Some("f32") => Some(Precision::F32),
        Some("f16") => Some(Precision::F16),
        Some("bf16") => Some(Precision::Bf16),
        Some("int8") => Some(Precision::Int8),
        Some("int4") => Some(Precision::Int4),
        Some(other) => {
            return Err(PyValueError::new_err(format!(
                "precision is {other:?}, expected \"f32\", \"f16\", \"bf16\", \"int8\" or \"int4\""
            )));
        }
    };
    let options = NativeOptions { threads, instruction_set: None };
    detached(py, || Model::load(path, precision, options))?
}

/// A model. Any number of Python threads may run it at once: each has a session of its own, and they share the weights.
#[pyclass(frozen, module = "latent")]
pub(crate) struct Model {
    path: PathBuf,
    /// What sessions are made of; never run itself.
    first: NativeBackend,
    /// Sessions that nobody uses at present.
    idle: Mutex<Vec<NativeBackend>>,
    options: NativeOptions,
    precision: Precision,
    metadata: ModelMetadata,
    label: Option<Label>,
    /// The input that examples go into, or why it cannot be told.
    main: Result<usize, String>,
}

impl Model {
    fn load(path: PathBuf, precision: Option<Precision>, options: NativeOptions) -> PyResult<Self> {
        let alone = NativeOptions::default();
        let first = match ModelFormat::of(&path) {
            ModelFormat::Packed => NativeBackend::load(&path, &alone).map_err(load_error)?,
            ModelFormat::Onnx => {
                let path = path.display();
                return Err(error(
                    NO_CODE,
                    format_args!(
                        "{path} is an ONNX file, which is not taken in here; `exporter pack` packs it"
                    ),
                ));
            }
        };
        let model = first.model();
        let (found, metadata) = (model.precision(), ModelMetadata::from_packed(&model));
        if let Some(wanted) = precision.filter(|&wanted| wanted != found) {
            return Err(PyValueError::new_err(format!(
                "{} is packed as {}, not {}",
                path.display(),
                found.name(),
                wanted.name()
            )));
        }
        let (ins, outs): (Vec<_>, Vec<_>) = (inputs(&first).collect(), outputs(&first).collect());
        let choice = Choice { output: outs.first().map(|output| output.name.into()), ..Choice::default() };
        let main = choice.among(&ins, &outs, || metadata.label.clone()).map(|(input, _)| input);
        let main = main.map_err(|why| why.to_string());
        let label = main.as_ref().ok().and_then(|&main| {
            Label::among(ins.iter().copied(), ins[main].name, metadata.label.as_deref(), metadata.classes)
        });
        let idle = Mutex::default();
        Ok(Self { path, first, idle, options, precision: found, metadata, label, main })
    }

    fn ins(&self) -> impl Iterator<Item = TensorInfo<'_>> + Clone {
        inputs(&self.first)
    }

    fn main(&self) -> PyResult<TensorInfo<'_>> {
        let fail = |why: &String| error(NO_CODE, format_args!("{}: {why}", self.path.display()));
        let index = *self.main.as_ref().map_err(fail)?;
        Ok(self.ins().nth(index).unwrap_or_else(|| self.first.input()))
    }

    /// How images are values; warns if nothing says it.
    fn encoding(&self, py: Python<'_>, range: Option<(f32, f32)>) -> PyResult<ImageEncoding> {
        let given = match range {
            None => None,
            Some((low, high)) => Some(ValueRange::new(low, high).ok_or_else(|| {
                PyValueError::new_err(format!(
                    "value_range is ({low}, {high}), expected finite numbers, the lower first"
                ))
            })?),
        };
        let (input, output) = (self.main()?, self.first.output());
        let encoding = self.metadata.image_encoding(input.shape, output.shape, given);
        let encoding =
            encoding.map_err(|why| error(NO_CODE, format_args!("{}: {why}", self.path.display())))?;
        if encoding.source == RangeSource::Assumed {
            let (low, high) = (encoding.range.low(), encoding.range.high());
            let text = format!(
                "{} does not say which values are black and white; taking {low} and {high} (value_range=(low, high) gives \
                 others)\0",
                self.path.display().to_string().replace('\0', "")
            );
            let text = std::ffi::CStr::from_bytes_until_nul(text.as_bytes()).unwrap_or_default();
            PyErr::warn(py, &py.get_type::<PyUserWarning>(), text, 1)?;
        }
        Ok(encoding)
    }

    /// The pictures that a tensor holds.
    fn image(&self, info: TensorInfo<'_>, role: &str) -> PyResult<ImageShape> {
        ImageShape::of(info.shape, self.metadata.image).map(|(image, _)| image).ok_or_else(|| {
            let shape = batch_shape(info.shape);
            PyValueError::new_err(format!("the {role} {} of shape {shape} holds no pictures", info.name))
        })
    }

    /// The arguments in the order of the inputs.
    fn arguments<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let names = || Name::new(&self.ins().map(|input| input.name).collect::<Vec<_>>().join(", "));
        let count = self.ins().count();
        if args.len() > count {
            let found = args.len();
            return Err(run_error(RunError::PortCount {
                role: "input",
                expected: count,
                found,
                names: names(),
            }));
        }
        let mut given: Vec<Option<Bound<'py, PyAny>>> = args.iter().map(Some).collect();
        given.resize(count, None);
        for (name, value) in kwargs.into_iter().flatten() {
            let name: String = name.extract()?;
            let Some(index) = self.ins().position(|input| input.name == name) else {
                let name = Name::new(&name);
                return Err(run_error(RunError::NoSuchPort { role: "input", name, names: names() }));
            };
            if given[index].replace(value).is_some() {
                return Err(PyTypeError::new_err(format!("the input {name} was given twice")));
            }
        }
        let taken = given.into_iter().zip(self.ins()).map(|(value, input)| {
            value.ok_or_else(|| run_error(RunError::NotGiven { name: Name::new(input.name) }))
        });
        taken.collect()
    }

    /// The values of the classes that an array of whole numbers holds: one for each example, or one for all.
    fn class_values(
        &self,
        label: &Label,
        given: &Bound<'_, PyUntypedArray>,
        batch: usize,
    ) -> PyResult<(Vec<f32>, usize)> {
        let mut classes = whole(given)?;
        if given.shape().is_empty() {
            classes = vec![classes[0]; batch];
        }
        let mut values = Vec::new();
        for &class in &classes {
            let one = usize::try_from(class).ok().and_then(|class| label.values(class)).ok_or_else(|| {
                let known =
                    label.classes.map_or(String::new(), |classes| format!(" of 0 to {}", classes - 1));
                PyValueError::new_err(format!(
                    "the input {} takes a class{known}, but {class} was given",
                    label.name
                ))
            })?;
            values.extend(one);
        }
        Ok((values, classes.len()))
    }

    fn session(&self) -> PyResult<NativeBackend> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.first.another(&self.options).map_err(load_error), Ok)
    }
}

#[pymethods]
impl Model {
    /// Runs a batch: an array for each input, in order or by name, of shape (N, ...); the label of a conditional model may also
    /// be its class or classes. Returns the output's array, or a dict of arrays by name if there are several.
    ///
    /// Raises latent.Error, a ValueError, if they do not fit. Other Python threads go on meanwhile.
    #[pyo3(signature = (*args, **kwargs))]
    fn run<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let arrays: Vec<_> = self.arguments(args, kwargs)?.iter().map(any).collect::<PyResult<_>>()?;
        let label = |input: TensorInfo<'_>, array: &Bound<'_, PyUntypedArray>| {
            self.label
                .as_ref()
                .filter(|label| label.name == input.name && array.ndim() < 2 && is_whole(array))
        };
        let given = || self.ins().zip(&arrays);
        // A class for all has the others' batch.
        let others = given().filter(|(input, array)| label(*input, array).is_none());
        let batch = others.clone().find_map(|(_, array)| array.shape().first()).copied().unwrap_or(1);
        let mut values = Vec::new();
        for (input, array) in given() {
            let (found, examples) = match label(input, array) {
                Some(label) => self.class_values(label, array, batch)?,
                None => examples(array, input)?,
            };
            if examples != batch {
                let (expected, found) = (batch.saturating_mul(input.values()), found.len());
                let name = Name::new(input.name);
                return Err(run_error(RunError::PortLength { role: "input", name, expected, found }));
            }
            values.push(found);
        }
        let mut results = Vec::new();
        for output in outputs(&self.first) {
            results.push(zeros::<f32>(batch.saturating_mul(output.values()))?);
        }
        let results = detached(py, || {
            let mut session = self.session()?;
            let values: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
            let mut slices: Vec<&mut [f32]> = results.iter_mut().map(Vec::as_mut_slice).collect();
            session.run_all(batch, &values, &mut slices).map_err(run_error)?;
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
            PyResult::Ok(results)
        })??;
        let named = PyDict::new(py);
        for (output, values) in outputs(&self.first).zip(results) {
            let sizes: Vec<usize> = [batch].iter().chain(output.shape).copied().collect();
            let result = match output.kind {
                PortType::Float => array(py, values, &sizes)?,
                PortType::Integer => array(py, values.iter().map(|&value| value as i64).collect(), &sizes)?,
            };
            if outputs(&self.first).count() == 1 {
                return Ok(result);
            }
            named.set_item(output.name, result)?;
        }
        Ok(named.into_any())
    }

    /// `n` latents of shape (n, ...), drawn as the generator wants them: those of `runtime run --seed SEED --count N`.
    #[pyo3(signature = (n, *, seed = 0))]
    fn sample<'py>(&self, py: Python<'py>, n: usize, seed: u64) -> PyResult<Bound<'py, PyAny>> {
        let input = self.main()?;
        let facts = self.metadata.facts(input.shape, self.first.output().shape);
        if facts.takes_images() {
            let shape = batch_shape(input.shape);
            return Err(PyValueError::new_err(format!(
                "the model takes images, {} {shape}, not latents",
                input.name
            )));
        }
        let distribution = match self.metadata.distribution {
            Some(distribution) => distribution,
            None => {
                let text = c"the model does not say what its noise is drawn from; taking uniform in [-1, 1]";
                PyErr::warn(py, &py.get_type::<PyUserWarning>(), text, 1)?;
                Distribution::REFERENCE
            }
        };
        let mut values = zeros(n.saturating_mul(input.values()))?;
        distribution.fill(&mut Rng::from_seed(seed), &mut values);
        let sizes: Vec<usize> = [n].iter().chain(input.shape).copied().collect();
        array(py, values, &sizes)
    }

    /// The pictures that images are, as uint8 of shape (N, H, W), or (N, H, W, 3) in color.
    #[pyo3(signature = (values, *, value_range = None))]
    fn to_pixels<'py>(
        &self,
        values: &Bound<'py, PyAny>,
        value_range: Option<(f32, f32)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = values.py();
        let output = self.first.output();
        let ImageShape { channels, height, width } = self.image(output, "output")?;
        let (values, found) = floats(values, "to_pixels")?;
        if found.get(1..) != Some(output.shape) {
            let (expected, found) = (batch_shape(output.shape), shape(&found));
            return Err(PyValueError::new_err(format!("images have the shape {found}, expected {expected}")));
        }
        let encoding = self.encoding(py, value_range)?;
        let mut pixels = zeros(values.len())?;
        let size = output.values().max(1);
        for (values, pixels) in values.chunks_exact(size).zip(pixels.chunks_exact_mut(size)) {
            encoding.pixels(values, channels, pixels).map_err(pixel_error)?;
        }
        let all = [found[0], height, width, channels];
        array(py, pixels, if channels == 1 { &all[..3] } else { &all })
    }

    /// The values of pictures as the model takes them: uint8 of shape (N, H, W), or (N, H, W, C), of the model's size.
    #[pyo3(signature = (pixels, *, value_range = None))]
    fn from_pixels<'py>(
        &self,
        pixels: &Bound<'py, PyAny>,
        value_range: Option<(f32, f32)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = pixels.py();
        let input = self.main()?;
        let ImageShape { channels, height, width } = self.image(input, "input")?;
        let (pixels, found) = bytes(pixels, "from_pixels")?;
        let all = [height, width, channels];
        let fits = found.get(1..).is_some_and(|sizes| sizes == all || channels == 1 && sizes == &all[..2]);
        if !fits {
            let (expected, found) =
                (batch_shape(if channels == 1 { &all[..2] } else { &all }), shape(&found));
            return Err(PyValueError::new_err(format!(
                "pictures have the shape {found}, expected {expected}"
            )));
        }
        let encoding = self.encoding(py, value_range)?;
        let mut values = zeros(pixels.len())?;
        let size = input.values().max(1);
        for (pixels, values) in pixels.chunks_exact(size).zip(values.chunks_exact_mut(size)) {
            encoding.values(pixels, channels, values).map_err(pixel_error)?;
        }
        let sizes: Vec<usize> = found[..1].iter().chain(input.shape).copied().collect();
        array(py, values, &sizes)
    }

    /// The inputs, in order.
    #[getter]
    fn inputs(&self, py: Python<'_>) -> PyResult<Vec<Port>> {
        self.ins().map(|info| Port::new(py, info)).collect()
    }

    /// The outputs, in order.
    #[getter]
    fn outputs(&self, py: Python<'_>) -> PyResult<Vec<Port>> {
        outputs(&self.first).map(|info| Port::new(py, info)).collect()
    }

    /// What the file says of itself, by key.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let entries = PyDict::new(py);
        for entry in self.metadata.to_entries() {
            entries.set_item(entry.key, entry.value)?;
        }
        Ok(entries)
    }

    /// "generator", "discriminator", "encoder", or None if the file does not say it.
    #[getter]
    fn kind(&self) -> Option<&'static str> {
        self.metadata.kind.map(|kind| kind.name())
    }

    /// "f32", "f16", "bf16", "int8" or "int4".
    #[getter]
    fn precision(&self) -> &'static str {
        self.precision.name()
    }

    /// The values of black and white, or None if the file does not say them.
    #[getter]
    fn value_range(&self) -> Option<(f32, f32)> {
        self.metadata.range.map(|range| (range.low(), range.high()))
    }

    /// The name of the input that takes a class, of a model that has one.
    #[getter]
    fn label(&self) -> Option<&str> {
        self.label.as_ref().map(|label| label.name.as_str())
    }

    /// How many classes there are, of a model with a label, if it is known.
    #[getter]
    fn classes(&self) -> Option<usize> {
        self.label.as_ref().and_then(|label| label.classes)
    }

    /// The threads of one run.
    #[getter]
    fn threads(&self) -> usize {
        self.options.threads
    }

    fn __repr__(&self) -> String {
        let told = |all: &mut dyn Iterator<Item = TensorInfo<'_>>| {
            all.map(|info| info.to_string()).collect::<Vec<_>>().join(", ")
        };
        format!(
            "<latent.Model {}: {}, {} -> {}>",
            self.path.display(),
            self.precision.name(),
            told(&mut self.ins()),
            told(&mut outputs(&self.first))
        )
    }
}
