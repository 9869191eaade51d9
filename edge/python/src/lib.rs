//! The module `latent._native`: the runtime's engine for Python. `python/latent/_native.pyi` says what is in it.

mod arrays;
mod error;
mod model;

use latent_runtime::latent;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{array, floats, shape, zeros};

/// Walks from `a` to `b`: a row for each `t`.
fn walk<'py>(
    [a, b]: [&Bound<'py, PyAny>; 2],
    t: &Bound<'py, PyAny>,
    point: fn(&[f32], &[f32], f32, &mut [f32]),
) -> PyResult<Bound<'py, PyAny>> {
    let ((from, from_shape), (to, to_shape)) =
        (floats(a, "the first latent")?, floats(b, "the second latent")?);
    if from_shape != to_shape {
        let (from, to) = (shape(&from_shape), shape(&to_shape));
        return Err(PyValueError::new_err(format!("the latents have different shapes, {from} and {to}")));
    }
    let py = a.py();
    let single = [("dtype", "float32")];
    let options = pyo3::types::PyDict::from_sequence(single.into_pyobject(py)?.as_any())?;
    let (at, mut sizes) = floats(&py.import("numpy")?.call_method("asarray", (t,), Some(&options))?, "t")?;
    sizes.extend(from_shape);
    let mut values = zeros(at.len().saturating_mul(from.len()))?;
    for (&t, out) in at.iter().zip(values.chunks_exact_mut(from.len().max(1))) {
        point(&from, &to, t, out);
    }
    array(py, values, &sizes)
}

/// The best instruction set that the engine finds here, by name.
#[pyfunction]
fn instruction_set() -> &'static str {
    latent_runtime::native::instruction_set()
}

/// Spherical interpolation between two latents (float32, of one shape): at `t`, or at each of an array of them.
#[pyfunction]
fn slerp<'py>(
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    t: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    walk([a, b], t, latent::slerp)
}

/// Linear interpolation between two latents (float32, of one shape): at `t`, or at each of an array of them.
#[pyfunction]
fn lerp<'py>(
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    t: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    walk([a, b], t, latent::lerp)
}

#[pymodule]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::{
        error::Error,
        instruction_set, lerp,
        model::{Model, Port, open},
        slerp,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        // What an instance without a number has.
        module.py().get_type::<Error>().setattr("code", super::error::NO_CODE)
    }
}
