//! Small vectors of integers that a model computes from shapes, with the batch as a symbol: what exporters write for
//! `x.view(x.size(0), -1)`.

use crate::graph::{Dim, Element, Elements, Tensor};

/// One integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Known(i64),
    /// The batch.
    Batch,
}

impl From<Dim> for Entry {
    fn from(dim: Dim) -> Entry {
        match dim {
            Dim::Batch => Entry::Batch,
            Dim::Size(size) => Entry::Known(size as i64),
        }
    }
}

/// A scalar or a vector of integers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShapeValue {
    pub(super) entries: Vec<Entry>,
    /// Whether it is a scalar; then there is one entry.
    pub(super) scalar: bool,
    /// Their type in the model, I32 or I64: what is no shape after all, such as a zero point, keeps it.
    pub(super) element: Element,
}

impl ShapeValue {
    /// A vector, of int64 as shapes are.
    pub(super) fn vector(entries: Vec<Entry>) -> ShapeValue {
        ShapeValue { entries, scalar: false, element: Element::I64 }
    }

    /// The integers of a small constant, as a computation on shapes can use them; `None` for other constants.
    pub(super) fn of(tensor: &Tensor) -> Option<ShapeValue> {
        let element = tensor.element();
        if !matches!(element, Element::I32 | Element::I64) || tensor.shape().len() > 1 {
            return None;
        }
        let entries = tensor.integers()?.into_iter().map(Entry::Known).collect();
        Some(ShapeValue { entries, scalar: tensor.shape().is_empty(), element })
    }

    /// As a constant of its type; `None` when the batch is in it.
    pub(super) fn tensor(&self) -> Option<Tensor> {
        let values = self.known()?;
        let lengths = if self.scalar { vec![] } else { vec![values.len()] };
        let elements = match self.element {
            Element::I32 => {
                Elements::I32(values.into_iter().map(i32::try_from).collect::<Result<_, _>>().ok()?)
            }
            _ => Elements::I64(values),
        };
        Tensor::new(lengths, elements)
    }

    /// Its integers, when the batch is not among them.
    pub(super) fn known(&self) -> Option<Vec<i64>> {
        let known = |entry: &Entry| match entry {
            Entry::Known(value) => Some(*value),
            Entry::Batch => None,
        };
        self.entries.iter().map(known).collect()
    }

    /// The entries at `indices`, of which negative ones count from the end.
    pub(super) fn gather(&self, indices: &ShapeValue) -> Option<ShapeValue> {
        let entries =
            indices.known()?.into_iter().map(|index| self.entries.get(from_end(index, self.entries.len())?));
        Some(ShapeValue {
            entries: entries.map(Option::<&Entry>::copied).collect::<Option<_>>()?,
            scalar: indices.scalar,
            element: self.element,
        })
    }

    /// The entries from `start` to before `end`, step 1; negative bounds count from the end.
    pub(super) fn slice(&self, start: i64, end: i64) -> ShapeValue {
        let length = self.entries.len() as i64;
        let bound = |at: i64| (if at < 0 { at.saturating_add(length) } else { at }).clamp(0, length) as usize;
        let (start, end) = (bound(start), bound(end));
        ShapeValue {
            entries: self.entries[start..end.max(start)].to_vec(),
            scalar: false,
            element: self.element,
        }
    }

    /// An operation entry by entry; a single entry meets every entry of the other. `None` when the batch would be
    /// computed with.
    pub(super) fn combine(&self, other: &ShapeValue, operation: Operation) -> Option<ShapeValue> {
        let length = match (self.entries.len(), other.entries.len()) {
            (a, b) if a == b => a,
            (1, b) => b,
            (a, 1) => a,
            _ => return None,
        };
        let at = |value: &ShapeValue, index: usize| {
            value.entries[if value.entries.len() == 1 { 0 } else { index }]
        };
        let entries = (0..length).map(|index| operation.apply(at(self, index), at(other, index)));
        Some(ShapeValue {
            entries: entries.collect::<Option<_>>()?,
            scalar: self.scalar && other.scalar,
            element: self.element,
        })
    }
}

/// An operation on two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// The remainder, with the divisor's sign.
    Modulo,
}

impl Operation {
    fn apply(self, a: Entry, b: Entry) -> Option<Entry> {
        use Entry::{Batch, Known};
        Some(match (self, a, b) {
            (Operation::Add, Known(a), Known(b)) => Known(a.checked_add(b)?),
            (Operation::Subtract, Known(a), Known(b)) => Known(a.checked_sub(b)?),
            (Operation::Multiply, Known(a), Known(b)) => Known(a.checked_mul(b)?),
            (Operation::Divide, Known(a), Known(b)) => Known(a.checked_div(b)?),
            (Operation::Modulo, Known(a), Known(b)) => match a.checked_rem(b)? {
                rest if rest != 0 && (rest < 0) != (b < 0) => Known(rest + b),
                rest => Known(rest),
            },
            (Operation::Add, Batch, Known(0)) | (Operation::Add, Known(0), Batch) => Batch,
            (Operation::Subtract, Batch, Known(0)) => Batch,
            (Operation::Multiply, Batch, Known(1)) | (Operation::Multiply, Known(1), Batch) => Batch,
            (Operation::Divide, Batch, Known(1)) => Batch,
            _ => return None,
        })
    }
}

fn from_end(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(length as i64)? } else { index };
    usize::try_from(index).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Entry::{Batch, Known};

    fn vector(entries: &[Entry]) -> ShapeValue {
        ShapeValue::vector(entries.to_vec())
    }

    #[test]
    fn the_batch_passes_through() {
        let shape = vector(&[Batch, Known(3), Known(8)]);
        let first = shape.gather(&ShapeValue { scalar: true, ..vector(&[Known(0)]) }).unwrap();
        assert_eq!(first, ShapeValue { scalar: true, ..vector(&[Batch]) });
        assert_eq!(shape.gather(&vector(&[Known(-1)])).unwrap(), vector(&[Known(8)]));
        assert!(shape.gather(&vector(&[Known(3)])).is_none());
        assert_eq!(shape.slice(1, i64::MAX), vector(&[Known(3), Known(8)]));
        assert_eq!(shape.slice(-2, -1), vector(&[Known(3)]));
        assert_eq!(shape.slice(5, 1), vector(&[]));
        let one = vector(&[Known(1)]);
        assert_eq!(shape.combine(&one, Operation::Multiply).unwrap(), shape);
        assert!(shape.combine(&vector(&[Known(2)]), Operation::Multiply).is_none());
        assert_eq!(
            vector(&[Known(7)]).combine(&vector(&[Known(2)]), Operation::Divide).unwrap(),
            vector(&[Known(3)])
        );
        for operation in [Operation::Divide, Operation::Modulo] {
            assert!(vector(&[Known(7)]).combine(&vector(&[Known(0)]), operation).is_none());
            assert!(vector(&[Batch]).combine(&vector(&[Known(2)]), operation).is_none());
        }
        // As Python's %.
        for (a, b, expected) in [(7, 3, 1), (-7, 3, 2), (7, -3, -2), (-7, -3, -1), (6, -3, 0)] {
            let rest = vector(&[Known(a)]).combine(&vector(&[Known(b)]), Operation::Modulo);
            assert_eq!(rest, Some(vector(&[Known(expected)])), "{a} % {b}");
        }
    }
}
