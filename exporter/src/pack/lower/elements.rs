//! Where values of a quantized model are kept as 8-bit integers: a value that is only read rounded to one grid is
//! written on that grid at once, and a DequantizeLinear is the value that it reads.

use latent_runtime::format::{self, Element};

use super::{Lowering, PackError};
use crate::graph::{Activation, Graph, Grid, Node, Op, ValueId};

/// The grid that all readers of a value round it to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Want {
    /// Nobody reads it.
    Unread,
    Grid(Grid),
    /// They differ, or somebody reads it as it is.
    Floats,
}

impl Want {
    fn and(self, other: Want) -> Want {
        match (self, other) {
            (Want::Unread, want) | (want, Want::Unread) => want,
            (a, b) if a == b => a,
            _ => Want::Floats,
        }
    }
}

/// For each value the one grid that all its readers round it to, themselves or after it was only moved about.
pub(super) fn wanted(graph: &Graph) -> Vec<Option<Grid>> {
    let mut wants = vec![Want::Unread; graph.values.len()];
    let add = |wants: &mut [Want], id: ValueId, want| wants[id.0] = wants[id.0].and(want);
    for output in &graph.outputs {
        add(&mut wants, output.value, Want::Floats);
    }
    // What reads a value comes after it.
    for node in graph.nodes.iter().rev() {
        let want = match &node.op {
            Op::Quantize { .. } => graph.grid(node).map_or(Want::Floats, Want::Grid),
            op if op.keeps_grids() && node.epilogue.is_empty() => wants[node.output.0],
            _ => Want::Floats,
        };
        for &id in &node.inputs {
            add(&mut wants, id, want);
        }
        if let Some(id) = node.epilogue.residual {
            add(&mut wants, id, Want::Floats);
        }
    }
    let grid = |want| if let Want::Grid(grid) = want { Some(grid) } else { None };
    wants.into_iter().map(grid).collect()
}

/// The element type of a value on a grid.
pub(super) fn on(grid: Grid) -> Element {
    Element::U8 { scale: grid.scale, zero_point: grid.zero_point }
}

impl Lowering<'_> {
    /// The grid that all readers of a value round it to.
    pub(super) fn wanted(&self, id: ValueId) -> Option<Grid> {
        self.wanted.get(id.0).copied().flatten()
    }

    /// The element type that a node without weights writes: that of the grid that is wanted of it; where it keeps the
    /// grid of its inputs, theirs.
    pub(super) fn element(&self, node: &Node) -> Element {
        if let Some(grid) = self.wanted(node.output) {
            return on(grid);
        }
        let mut inputs = node.inputs.iter().map(|id| self.known_element(id));
        let first = inputs.next().flatten();
        let same = inputs.all(|other| other == first);
        let keeps = node.op.keeps_grids() && node.epilogue.is_empty();
        first.filter(|_| keeps && same).unwrap_or(Element::F32)
    }

    /// `value` with another element type: itself, or what an operator `name` converts it to.
    pub(super) fn convert(
        &mut self,
        name: &str,
        value: format::ValueId,
        element: Element,
    ) -> Result<format::ValueId, PackError> {
        if self.builder.element(value) == element {
            return Ok(value);
        }
        let known = self.converted.iter().find(|(from, to, _)| (*from, *to) == (value, element));
        if let Some((_, _, converted)) = known {
            return Ok(*converted);
        }
        let identity = Activation::Identity;
        let converted = self.builder.elementwise(name, value, None, identity, None, element)?;
        self.converted.push((value, element, converted));
        Ok(converted)
    }

    /// `value` as floats.
    pub(super) fn floats_of(
        &mut self,
        node: &Node,
        role: &str,
        value: format::ValueId,
    ) -> Result<format::ValueId, PackError> {
        self.convert(&format!("{}.{role}", node.name), value, Element::F32)
    }

    /// QuantizeLinear: nothing, where its input is on the grid already.
    pub(super) fn quantize(&mut self, node: &Node) -> Result<format::ValueId, PackError> {
        let Some(grid) = self.graph.grid(node) else {
            return Err(self.error(node, PER_TENSOR));
        };
        let input = self.input(node, 0)?;
        self.convert(&node.name, input, on(grid))
    }

    /// DequantizeLinear of what a QuantizeLinear gave: a packed model's integers are known by what they stand for.
    pub(super) fn dequantize(&mut self, node: &Node) -> Result<format::ValueId, PackError> {
        let Some(grid) = self.graph.grid(node) else {
            return Err(self.error(node, PER_TENSOR));
        };
        let input = self.input(node, 0)?;
        if self.builder.element(input) != on(grid) {
            let what = "its scale or zero point is not that of the QuantizeLinear before it";
            return Err(self.error(node, what));
        }
        Ok(input)
    }
}

const PER_TENSOR: &str = "activations are quantized with one scale and one zero point of 8 bits for all channels; only weights may have one for each";
