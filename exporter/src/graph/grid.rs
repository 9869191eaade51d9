//! The numbers that 8-bit integers stand for.

use super::{Element, Graph, Node, Op};

/// What the integers of a quantized value stand for: scale * (q - zero point), the same for all elements. Signed
/// integers count as unsigned ones here: 128 is added to them and to their zero point, which changes no number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// The distance of two numbers.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: u8,
}

impl Graph {
    /// The grid of a QuantizeLinear or DequantizeLinear; `None` of one with several scales or zero points, of one whose
    /// integers do not have 8 bits, and of other nodes.
    pub fn grid(&self, node: &Node) -> Option<Grid> {
        let element = match node.op {
            Op::Quantize { element, .. } => element,
            Op::Dequantize { .. } => self.element(node.inputs[0]),
            _ => return None,
        };
        let shift = match element {
            Element::U8 => 0,
            Element::I8 => 128,
            _ => return None,
        };
        let &[scale] = self.constant(node.inputs[1])?.floats()? else { return None };
        let zero_point = match node.inputs.get(2) {
            None => 0,
            Some(&id) => match *self.constant(id)?.integers()? {
                [zero_point] => zero_point,
                _ => return None,
            },
        };
        Some(Grid { scale, zero_point: u8::try_from(zero_point.checked_add(shift)?).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Dim, Elements, Tensor};

    #[test]
    fn signed_integers_count_as_unsigned_ones() {
        let cases = [
            (Elements::U8(vec![3]), Some(3)),
            (Elements::I8(vec![-128]), Some(0)),
            (Elements::I8(vec![0]), Some(128)),
            (Elements::I8(vec![127]), Some(255)),
            // One for each channel.
            (Elements::U8(vec![3, 4]), None),
        ];
        for (zero_point, expected) in cases {
            let mut graph = Graph::default();
            let x = graph.add_input("x", Element::F32, vec![Dim::Batch, Dim::Size(2)]);
            let tensor = Tensor::new(vec![zero_point_len(&zero_point)], zero_point.clone()).unwrap();
            let op = Op::Quantize { axis: 1, element: tensor.element() };
            let zero_point_id = graph.add_constant("z", tensor);
            let scale = graph.add_constant("s", Tensor::vector(vec![0.5]));
            graph.add_node("q", op, vec![x, scale, zero_point_id], "q").unwrap();
            let found = graph.grid(&graph.nodes[0]);
            assert_eq!(found, expected.map(|zero_point| Grid { scale: 0.5, zero_point }), "{zero_point:?}");
        }
    }

    fn zero_point_len(elements: &Elements) -> usize {
        match elements {
            Elements::U8(values) => values.len(),
            Elements::I8(values) => values.len(),
            _ => 0,
        }
    }
}
