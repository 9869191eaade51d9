//! Constants of a graph.

use std::fmt;

/// The element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float. Narrower and wider floats of a file become this type.
    F32,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 8-bit integer.
    I8,
    /// Signed 32-bit integer: the bias of a quantized layer.
    I32,
    /// Signed 64-bit integer: shapes, axes, pads.
    I64,
    /// True or false: flags.
    Bool,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Element::F32 => "float32",
            Element::U8 => "uint8",
            Element::I8 => "int8",
            Element::I32 => "int32",
            Element::I64 => "int64",
            Element::Bool => "bool",
        })
    }
}

/// The elements of a [`Tensor`], row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// [`Element::F32`]
    F32(Vec<f32>),
    /// [`Element::U8`]
    U8(Vec<u8>),
    /// [`Element::I8`]
    I8(Vec<i8>),
    /// [`Element::I32`]
    I32(Vec<i32>),
    /// [`Element::I64`]
    I64(Vec<i64>),
    /// [`Element::Bool`]
    Bool(Vec<bool>),
}

/// A tensor whose elements are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    elements: Elements,
}

impl Tensor {
    /// A tensor of the given shape, or `None` when the number of elements is another.
    pub fn new(shape: Vec<usize>, elements: Elements) -> Option<Tensor> {
        let count = shape.iter().try_fold(1usize, |count, &length| count.checked_mul(length))?;
        let tensor = Tensor { shape, elements };
        (count == tensor.len()).then_some(tensor)
    }

    /// One float.
    pub fn scalar(value: f32) -> Tensor {
        Tensor { shape: vec![], elements: Elements::F32(vec![value]) }
    }

    /// A vector of floats.
    pub fn vector(values: Vec<f32>) -> Tensor {
        Tensor { shape: vec![values.len()], elements: Elements::F32(values) }
    }

    /// Length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.elements {
            Elements::F32(data) => data.len(),
            Elements::U8(data) => data.len(),
            Elements::I8(data) => data.len(),
            Elements::I32(data) => data.len(),
            Elements::I64(data) => data.len(),
            Elements::Bool(data) => data.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    pub fn element(&self) -> Element {
        match &self.elements {
            Elements::F32(_) => Element::F32,
            Elements::U8(_) => Element::U8,
            Elements::I8(_) => Element::I8,
            Elements::I32(_) => Element::I32,
            Elements::I64(_) => Element::I64,
            Elements::Bool(_) => Element::Bool,
        }
    }

    /// A tensor of the given shape whose elements are those at `places`; `None` when a place is beyond the end, or their
    /// number is not that of the shape.
    pub fn gather(&self, shape: Vec<usize>, places: &[usize]) -> Option<Tensor> {
        fn pick<T: Copy>(data: &[T], places: &[usize]) -> Option<Vec<T>> {
            places.iter().map(|&place| data.get(place).copied()).collect()
        }
        let elements = match &self.elements {
            Elements::F32(data) => Elements::F32(pick(data, places)?),
            Elements::U8(data) => Elements::U8(pick(data, places)?),
            Elements::I8(data) => Elements::I8(pick(data, places)?),
            Elements::I32(data) => Elements::I32(pick(data, places)?),
            Elements::I64(data) => Elements::I64(pick(data, places)?),
            Elements::Bool(data) => Elements::Bool(pick(data, places)?),
        };
        Tensor::new(shape, elements)
    }

    /// The floats of a float tensor.
    pub fn floats(&self) -> Option<&[f32]> {
        match &self.elements {
            Elements::F32(data) => Some(data),
            _ => None,
        }
    }

    /// The elements of a tensor of integers or flags.
    pub fn integers(&self) -> Option<Vec<i64>> {
        Some(match &self.elements {
            Elements::F32(_) => return None,
            Elements::U8(data) => data.iter().map(|&value| value.into()).collect(),
            Elements::I8(data) => data.iter().map(|&value| value.into()).collect(),
            Elements::I32(data) => data.iter().map(|&value| value.into()).collect(),
            Elements::I64(data) => data.clone(),
            Elements::Bool(data) => data.iter().map(|&value| value.into()).collect(),
        })
    }

    /// The same elements as another type, as ONNX's Cast makes them: floats lose their fraction, and integers wrap.
    pub fn cast(&self, element: Element) -> Tensor {
        let integers = || match &self.elements {
            Elements::F32(data) => data.iter().map(|&value| value as i64).collect(),
            _ => self.integers().unwrap_or_default(),
        };
        let elements = match element {
            Element::F32 => Elements::F32(self.doubles().into_iter().map(|value| value as f32).collect()),
            Element::U8 => Elements::U8(integers().into_iter().map(|value| value as u8).collect()),
            Element::I8 => Elements::I8(integers().into_iter().map(|value| value as i8).collect()),
            Element::I32 => Elements::I32(integers().into_iter().map(|value| value as i32).collect()),
            Element::I64 => Elements::I64(integers()),
            Element::Bool => Elements::Bool(self.doubles().into_iter().map(|value| value != 0.0).collect()),
        };
        Tensor { shape: self.shape.clone(), elements }
    }

    /// The elements as doubles, whatever their type.
    pub fn doubles(&self) -> Vec<f64> {
        match &self.elements {
            Elements::F32(data) => data.iter().map(|&value| value.into()).collect(),
            Elements::U8(data) => data.iter().map(|&value| value.into()).collect(),
            Elements::I8(data) => data.iter().map(|&value| value.into()).collect(),
            Elements::I32(data) => data.iter().map(|&value| value.into()).collect(),
            Elements::I64(data) => data.iter().map(|&value| value as f64).collect(),
            Elements::Bool(data) => data.iter().map(|&value| u8::from(value).into()).collect(),
        }
    }
}
