//! NumPy arrays in and out: whatever layout they have, what goes in is copied, so that no other thread can change it
//! while it is read.

use std::fmt::Display;

use latent_runtime::backend::TensorInfo;
use latent_runtime::format::PortType;
use numpy::{
    IntoPyArray, PyArray1, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;

/// Room for so many values.
pub(crate) fn zeros<T: Clone + Default>(length: usize) -> PyResult<Vec<T>> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(length)
        .map_err(|_| PyMemoryError::new_err(format!("no memory for {length} values")))?;
    values.resize(length, T::default());
    Ok(values)
}

/// What is wrong with an array: what it is for, what is taken, what was given.
fn unfit(what: impl Display, taken: impl Display, found: &Bound<'_, PyUntypedArray>) -> PyErr {
    let (shape, dtype) = (shape(found.shape()), found.dtype());
    PyValueError::new_err(format!("{what} takes {taken}, but an array of {dtype} of shape {shape} was given"))
}

/// A shape as Python writes it.
pub(crate) fn shape(sizes: &[usize]) -> String {
    match sizes {
        [size] => format!("({size},)"),
        sizes => format!("({})", sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// The shape of a batch as an error tells it.
pub(crate) fn batch_shape(sizes: &[usize]) -> String {
    let sizes: String = sizes.iter().map(|size| format!(", {size}")).collect();
    format!("(N{})", if sizes.is_empty() { ",".into() } else { sizes })
}

/// A copy of an array's values in row-major order.
fn copy<T: numpy::Element + Copy>(array: &Bound<'_, PyArrayDyn<T>>) -> PyResult<Vec<T>> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(array.len())
        .map_err(|_| PyMemoryError::new_err(format!("no memory for {} values", array.len())))?;
    values.extend(array.try_readonly()?.as_array().iter().copied());
    Ok(values)
}

/// An array, or what NumPy makes one of.
pub(crate) fn any<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    match value.cast::<PyUntypedArray>() {
        Ok(array) => Ok(array.clone()),
        Err(_) => Ok(value.py().import("numpy")?.call_method1("asarray", (value,))?.cast_into()?),
    }
}

/// Whether an array holds whole numbers.
pub(crate) fn is_whole(array: &Bound<'_, PyUntypedArray>) -> bool {
    matches!(array.dtype().kind(), b'i' | b'u' | b'b')
}

/// The whole numbers of an array.
pub(crate) fn whole(array: &Bound<'_, PyUntypedArray>) -> PyResult<Vec<i64>> {
    copy(array.call_method1("astype", ("int64",))?.cast::<PyArrayDyn<i64>>()?)
}

/// The values of an array of f32 with its shape.
pub(crate) fn floats(value: &Bound<'_, PyAny>, what: &str) -> PyResult<(Vec<f32>, Vec<usize>)> {
    let array = any(value)?;
    let Ok(floats) = array.cast::<PyArrayDyn<f32>>() else {
        return Err(unfit(what, "float32 (`x.astype(numpy.float32)`)", &array));
    };
    Ok((copy(floats)?, array.shape().to_vec()))
}

/// The bytes of an array of u8 with its shape.
pub(crate) fn bytes(value: &Bound<'_, PyAny>, what: &str) -> PyResult<(Vec<u8>, Vec<usize>)> {
    let array = any(value)?;
    let Ok(bytes) = array.cast::<PyArrayDyn<u8>>() else { return Err(unfit(what, "uint8", &array)) };
    Ok((copy(bytes)?, array.shape().to_vec()))
}

/// The examples of an array for an input, and how many.
pub(crate) fn examples(
    array: &Bound<'_, PyUntypedArray>,
    input: TensorInfo<'_>,
) -> PyResult<(Vec<f32>, usize)> {
    let dtype = dtype(input.kind);
    let fail = || {
        let cast = if input.kind == PortType::Float { " (`x.astype(numpy.float32)`)" } else { "" };
        let taken = format!("{dtype}{cast} of shape {}", batch_shape(input.shape));
        unfit(format_args!("the input {}", input.name), taken, array)
    };
    let (&[batch, ref sizes @ ..], true) = (array.shape(), array.shape().get(1..) == Some(input.shape))
    else {
        return Err(fail());
    };
    debug_assert_eq!(sizes, input.shape);
    let values = match input.kind {
        PortType::Float => copy(array.cast::<PyArrayDyn<f32>>().map_err(|_| fail())?)?,
        PortType::Integer if is_whole(array) => {
            let numbers = whole(array)?;
            // The engine takes them as f32.
            if let Some(beyond) =
                numbers.iter().find(|number| number.unsigned_abs() > 1 << f32::MANTISSA_DIGITS)
            {
                return Err(PyValueError::new_err(format!(
                    "the input {} takes whole numbers from -2^24 to 2^24, but {beyond} was given",
                    input.name
                )));
            }
            numbers.into_iter().map(|number| number as f32).collect()
        }
        PortType::Integer => return Err(fail()),
    };
    Ok((values, batch))
}

/// The NumPy type of what goes into an input or comes out of an output.
pub(crate) fn dtype(kind: PortType) -> &'static str {
    match kind {
        PortType::Float => "float32",
        PortType::Integer => "int64",
    }
}

/// An array of its own memory: the values, which fill the shape.
pub(crate) fn array<'py, T: numpy::Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let flat: Bound<'py, PyArray1<T>> = values.into_pyarray(py);
    Ok(flat.reshape(shape.to_vec())?.into_any())
}
