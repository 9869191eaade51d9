//! Operators over some axes of a value: what is made of their elements, and what they are divided by.

use latent_runtime::format;
use latent_runtime::ops::{self, NormalizeKind};

use super::{Lowering, PackError, extents_of};
use crate::graph::{Node, PoolKind, Reduce, ReduceKind, Window, shape_text};

/// How a value is taken so that some of its axes, together, are blocks of channels, rows and columns.
#[derive(Debug, PartialEq)]
struct Blocks {
    /// The order in which its axes are to lie first, if they do not already.
    permutation: Option<Vec<usize>>,
    extents: [usize; 3],
    block: [usize; 3],
}

impl Blocks {
    /// Of a value of these lengths, over these axes, ascending.
    fn of(lengths: &[usize], axes: &[usize]) -> Blocks {
        let is_over = |axis: usize| axes.contains(&axis);
        if lengths.len() <= 3 {
            let extents = extents_of(lengths);
            let place = |axis: usize| if (axis, lengths.len()) == (1, 2) { 2 } else { axis };
            let mut block = [1; 3];
            axes.iter().for_each(|&axis| block[place(axis)] = extents[place(axis)]);
            return Blocks { permutation: None, extents, block };
        }
        // Neighbors of one kind are one axis.
        let mut runs: Vec<(bool, usize)> = Vec::new();
        for (axis, &length) in lengths.iter().enumerate().filter(|(_, length)| **length != 1) {
            match runs.last_mut() {
                Some((over, run)) if *over == is_over(axis) => *run *= length,
                _ => runs.push((is_over(axis), length)),
            }
        }
        if runs.len() <= 3 {
            runs.resize(3, (false, 1));
            let extents = [0, 1, 2].map(|run| runs[run].1);
            let block = [0, 1, 2].map(|run| if runs[run].0 { runs[run].1 } else { 1 });
            return Blocks { permutation: None, extents, block };
        }
        let (over, others): (Vec<usize>, Vec<usize>) = (0..lengths.len()).partition(|&axis| is_over(axis));
        let count = |axes: &[usize]| axes.iter().map(|&axis| lengths[axis]).product();
        let (inner, outer) = (count(&over), count(&others));
        let permutation = Some([others, over].concat());
        Blocks { permutation, extents: [1, outer, inner], block: [1, 1, inner] }
    }
}

impl Lowering<'_> {
    /// The node's input as blocks.
    fn in_blocks(
        &mut self,
        node: &Node,
        blocks: &Blocks,
        lengths: &[usize],
    ) -> Result<format::ValueId, PackError> {
        let input = self.input(node, 0)?;
        let name = format!("{}.blocks", node.name);
        let Some(permutation) = &blocks.permutation else {
            return Ok(self.builder.reshape(&name, input, blocks.extents)?);
        };
        let turned = self.permuted(&name, input, lengths, permutation, blocks.extents)?;
        turned.ok_or_else(|| {
            let shape = shape_text(&self.graph.shape(node.inputs[0]));
            self.error(node, format!("its axes lie too far apart in {shape}"))
        })
    }

    /// Over axes of the graph, of which the first is the batch.
    pub(super) fn normalize(
        &mut self,
        node: &Node,
        kind: NormalizeKind,
        axes: &[usize],
        epsilon: f32,
    ) -> Result<format::ValueId, PackError> {
        let lengths = self.lengths(node, node.inputs[0])?;
        let blocks = Blocks::of(&lengths, &self.inside(node, axes)?);
        let value = self.in_blocks(node, &blocks, &lengths)?;
        let element = self.element(node);
        let normalize = ops::Normalize { kind, block: blocks.block, epsilon };
        let value = self.builder.normalize(&node.name, value, normalize, element)?;
        let result = self.result(node)?;
        let name = format!("{}.reshape", node.name);
        let Some(permutation) = blocks.permutation else {
            return Ok(self.builder.reshape(&name, value, result)?);
        };
        let (mut back, mut turned) = (vec![0; permutation.len()], Vec::new());
        for (to, &from) in permutation.iter().enumerate() {
            back[from] = to;
            turned.push(lengths[from]);
        }
        let value = self.permuted(&name, value, &turned, &back, result)?;
        value.ok_or_else(|| self.error(node, "its axes lie too far apart"))
    }

    /// The axes without the batch, which is none of them.
    fn inside(&self, node: &Node, axes: &[usize]) -> Result<Vec<usize>, PackError> {
        let inside = axes.iter().map(|axis| axis.checked_sub(1)).collect::<Option<Vec<_>>>();
        inside.ok_or_else(|| self.error(node, "it mixes the examples of the batch"))
    }

    /// Over rows, columns or both of an image means and maxima are pools.
    pub(super) fn reduce(&mut self, node: &Node, reduce: &Reduce) -> Result<format::ValueId, PackError> {
        let rank = self.graph.shape(node.inputs[0]).len();
        let spatial = rank == 4 && reduce.axes.iter().all(|axis| matches!(axis, 2 | 3));
        let result = self.result(node)?;
        let name = format!("{}.reshape", node.name);
        let pool = match reduce.kind {
            ReduceKind::Mean => Some(PoolKind::Average),
            ReduceKind::Maximum => Some(PoolKind::Max),
            _ => None,
        };
        let Some(kind) = pool.filter(|_| spatial) else {
            let lengths = self.lengths(node, node.inputs[0])?;
            let blocks = Blocks::of(&lengths, &self.inside(node, &reduce.axes)?);
            let value = self.in_blocks(node, &blocks, &lengths)?;
            let element = self.element(node);
            let reduce = ops::Reduce { kind: reduce.kind, block: blocks.block };
            let value = self.builder.reduce(&node.name, value, reduce, element)?;
            return Ok(self.builder.reshape(&name, value, result)?);
        };
        let input = self.input(node, 0)?;
        let [_, height, width] = self.builder.extents(input);
        let over = |axis: usize, length: usize| if reduce.axes.contains(&axis) { length } else { 1 };
        let (rows, columns) = (over(2, height), over(3, width));
        let window =
            Window { kernel: [rows, columns], stride: [rows, columns], dilation: [1, 1], pads: [0; 4] };
        let size = [height / rows, width / columns];
        let element = match (kind, self.builder.element(input)) {
            (PoolKind::Max, element) | (_, element @ format::Element::F32) => element,
            _ => self.element(node),
        };
        let pooled = self.builder.pool(&node.name, input, kind, window, size, element)?;
        Ok(self.builder.reshape(&name, pooled, result)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_blocks_of_images() {
        type Case<'a> = (&'a [usize], &'a [usize], Option<&'a [usize]>, [usize; 3], [usize; 3]);
        let cases: &[Case<'_>] = &[
            (&[6], &[0], None, [6, 1, 1], [6, 1, 1]),
            (&[6, 5], &[1], None, [6, 1, 5], [1, 1, 5]),
            (&[6, 4, 5], &[1, 2], None, [6, 4, 5], [1, 4, 5]),
            (&[6, 4, 5], &[0], None, [6, 4, 5], [6, 1, 1]),
            (&[2, 3, 4, 5], &[1, 2, 3], None, [2, 60, 1], [1, 60, 1]),
            (&[2, 3, 1, 4, 5], &[1], None, [2, 3, 20], [1, 3, 1]),
            (&[2, 3, 4, 5], &[1, 3], Some(&[0, 2, 1, 3]), [1, 8, 15], [1, 1, 15]),
        ];
        for &(lengths, axes, permutation, extents, block) in cases {
            let expected = Blocks { permutation: permutation.map(<[usize]>::to_vec), extents, block };
            assert_eq!(Blocks::of(lengths, axes), expected, "{axes:?} of {lengths:?}");
        }
    }
}
