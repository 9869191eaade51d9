//! Operators of two values that are broadcast against each other, of which one may be a constant.

use latent_runtime::format::{self, Element};

use super::{Lowering, PackError, extents_of, packed};
use crate::graph::{Activation, Binary, Dim, Node, ValueId, shape_text};

impl Lowering<'_> {
    /// Lengths of a node's input without the batch, as if it had `rank` axes with the batch: new ones in front have length 1.
    pub(super) fn operand_lengths(
        &self,
        node: &Node,
        index: usize,
        rank: usize,
    ) -> Result<Vec<usize>, PackError> {
        let mut shape = self.graph.shape(node.inputs[index]);
        while shape.len() < rank {
            shape.insert(0, Dim::Size(1));
        }
        super::per_example(&shape).map_err(|what| self.error(node, format!("its operand {what}")))
    }

    /// A node's input, also a constant one, with the extents that it has with `rank` axes.
    pub(super) fn operand(
        &mut self,
        node: &Node,
        index: usize,
        rank: usize,
    ) -> Result<format::ValueId, PackError> {
        let extents = extents_of(&self.operand_lengths(node, index, rank)?);
        self.operand_as(node, index, extents)
    }

    /// A node's input, also a constant one, with these extents.
    pub(super) fn operand_as(
        &mut self,
        node: &Node,
        index: usize,
        extents: [usize; 3],
    ) -> Result<format::ValueId, PackError> {
        let id = node.inputs[index];
        if self.graph.constant(id).is_none() && !self.dequantized.contains_key(&id) {
            let value = self.input(node, index)?;
            return Ok(self.builder.reshape(&format!("{}.operand{index}", node.name), value, extents)?);
        }
        let known = self.constants.iter().find(|(from, as_, _)| (*from, *as_) == (id, extents));
        if let Some((_, _, value)) = known {
            return Ok(*value);
        }
        let values = self.floats(node, index)?;
        let name = self.graph.value(id).name.clone();
        let value = self.builder.constant(&name, &values, extents)?;
        self.constants.push((id, extents, value));
        Ok(value)
    }

    /// A node's input repeated to these lengths.
    fn spread(
        &mut self,
        node: &Node,
        index: usize,
        own: &[usize],
        whole: &[usize],
    ) -> Result<format::ValueId, PackError> {
        let extents = extents_of(whole);
        if own == whole {
            return self.operand_as(node, index, extents);
        }
        let value = self.operand_as(node, index, extents_of(own))?;
        let name = format!("{}.spread{index}", node.name);
        let spread = self.expanded(&name, value, own, whole, extents)?;
        spread.ok_or_else(|| self.error(node, "its operands cannot be spread over each other"))
    }

    /// Along each axis the second operand has as many elements as the first, or one; the first is the whole.
    pub(super) fn binary(&mut self, node: &Node, mut binary: Binary) -> Result<format::ValueId, PackError> {
        let activation = packed(node.epilogue.activation);
        let whole = self.lengths(node, node.output)?;
        let rank = whole.len() + 1;
        let (mut first, mut second) = (0, 1);
        let lengths = [self.operand_lengths(node, 0, rank)?, self.operand_lengths(node, 1, rank)?];
        let mut b = None;
        if lengths[0] != whole && lengths[1] == whole {
            if binary == Binary::Subtract {
                // a - b = -b + a.
                let value = self.operand(node, 1, rank)?;
                let channels = self.builder.extents(value)[0];
                let (minus, zero) = (vec![-1.0; channels], vec![0.0; channels]);
                let (identity, name) = (Activation::Identity, format!("{}.negative", node.name));
                let before = Some((&*minus, &*zero));
                b = Some(self.builder.elementwise(&name, value, before, identity, None, Element::F32)?);
                binary = Binary::Add;
            }
            if binary.commutes() {
                (first, second) = (1, 0);
            }
        }
        let a = match b {
            Some(value) => value,
            None => self.spread(node, first, &lengths[first], &whole)?,
        };
        let (own, all) = (extents_of(&lengths[second]), extents_of(&whole));
        let fits = own.iter().zip(all).all(|(&own, all)| own == all || own == 1);
        // Several axes are one: they are all there, or none of them is.
        let b = match fits
            && (whole.len() <= 3
                || own[0] == all[0]
                || lengths[second][..whole.len() - 2].iter().all(|&n| n == 1))
        {
            true => self.operand_as(node, second, own)?,
            false => self.spread(node, second, &lengths[second], &whole)?,
        };
        let element = self.element(node);
        Ok(self.builder.binary(&node.name, binary, a, b, activation, element)?)
    }

    /// A product of matrices, the axes before their last two broadcast.
    pub(super) fn product(&mut self, node: &Node) -> Result<format::ValueId, PackError> {
        let shapes = [0, 1].map(|index| self.graph.shape(node.inputs[index]));
        let rank = shapes.iter().map(Vec::len).max().unwrap_or(0);
        if rank < 3 || shapes.iter().any(|shape| shape.len() < 2) {
            let text = shapes.map(|shape| shape_text(&shape));
            return Err(self.error(
                node,
                format!("the product of {} and {} mixes the examples of the batch", text[0], text[1]),
            ));
        }
        let whole = self.lengths(node, node.output)?;
        let (outer, _) = whole.split_at(rank - 3);
        let mut values = [None; 2];
        for index in [0, 1] {
            let own = self.operand_lengths(node, index, rank)?;
            let (own_outer, matrix) = own.split_at(rank - 3);
            let once = index == 1 && own_outer.iter().all(|&length| length == 1);
            let count: usize = if once { 1 } else { outer.iter().product() };
            let extents = [count, matrix[0], matrix[1]];
            values[index] = Some(match once || own_outer == outer {
                true => self.operand_as(node, index, extents)?,
                false => {
                    let all = [outer, matrix].concat();
                    let value = self.spread(node, index, &own, &all)?;
                    self.builder.reshape(&format!("{}.matrices{index}", node.name), value, extents)?
                }
            });
        }
        let [Some(a), Some(b)] = values else { return Err(self.error(node, "it has no operands")) };
        let element = self.element(node);
        let product = self.builder.product(&node.name, a, b, element)?;
        let result = self.result(node)?;
        Ok(self.builder.reshape(&format!("{}.reshape", node.name), product, result)?)
    }

    /// Side by side along any axis but the batch.
    pub(super) fn concat(&mut self, node: &Node, axis: usize) -> Result<format::ValueId, PackError> {
        let Some(axis) = axis.checked_sub(1) else {
            return Err(self.error(node, "it joins along the batch"));
        };
        let rank = self.graph.shape(node.output).len();
        let result = self.result(node)?;
        let count = rank - 1;
        // A tensor of three axes has one row, so its last axis is the columns; of more than four the first are one.
        let place = match (axis, count) {
            (1, 2) => Some(2),
            (axis, 0..=3) => Some(axis),
            (0, _) => Some(0),
            (axis, _) => (axis + 2 >= count).then(|| axis + 3 - count),
        };
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for index in 0..node.inputs.len() {
            inputs.push(match place {
                Some(_) => self.operand(node, index, rank)?,
                None => {
                    let lengths = self.operand_lengths(node, index, rank)?;
                    let extents = around(&lengths, axis);
                    self.operand_as(node, index, extents)?
                }
            });
        }
        let element = self.element(node);
        let joined = self.builder.concat(&node.name, &inputs, place.unwrap_or(1), element)?;
        Ok(self.builder.reshape(&format!("{}.reshape", node.name), joined, result)?)
    }

    /// The element type of a value that is there.
    pub(super) fn known_element(&self, id: &ValueId) -> Option<Element> {
        self.values.get(id).map(|&value| self.builder.element(value))
    }
}

/// An axis as the rows of an image, what is before it as channels and what is after it as columns.
pub(super) fn around(lengths: &[usize], axis: usize) -> [usize; 3] {
    let count = |lengths: &[usize]| lengths.iter().product();
    [count(&lengths[..axis]), lengths[axis], count(&lengths[axis + 1..])]
}
