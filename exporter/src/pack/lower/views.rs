//! What only moves elements: Transpose, Slice, Expand, DepthToSpace, and Reshape between them.
//!
//! None of them is an operator by itself. A value that they make is known as elements of another value, so many steps
//! apart; they are moved, by one operator, when somebody reads them who computes.

use latent_runtime::format;
use latent_runtime::ops::{VIEW_AXES, View, ViewAxis};

use super::{Lowering, PackError, extents_of};
use crate::graph::{DepthOrder, DepthToSpace, Dim, Node, Op, Slice, ValueId, shape_text};

/// Elements of a value of the packed model, in their order, row-major over the axes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strided {
    base: format::ValueId,
    start: usize,
    axes: Vec<ViewAxis>,
    /// The node that made it.
    name: String,
}

/// The axes for each axis of a shape with so many elements; `None` where they do not divide them.
fn groups(axes: &[ViewAxis], lengths: &[usize]) -> Option<Vec<Vec<ViewAxis>>> {
    let mut left: Vec<ViewAxis> = axes.iter().copied().filter(|axis| axis.extent != 1).collect();
    let mut groups = Vec::with_capacity(lengths.len());
    for &length in lengths.iter().rev() {
        let (mut group, mut wanted) = (Vec::new(), length);
        while wanted > 1 {
            let ViewAxis { extent, stride } = left.pop()?;
            if wanted.is_multiple_of(extent) {
                wanted /= extent;
                group.insert(0, ViewAxis { extent, stride });
            } else if extent.is_multiple_of(wanted) {
                group.insert(0, ViewAxis { extent: wanted, stride });
                left.push(ViewAxis { extent: extent / wanted, stride: stride * wanted as isize });
                wanted = 1;
            } else {
                return None;
            }
        }
        groups.insert(0, merged(group));
    }
    left.is_empty().then_some(groups)
}

/// The same with as few axes as can be.
fn merged(axes: Vec<ViewAxis>) -> Vec<ViewAxis> {
    let mut merged: Vec<ViewAxis> = Vec::with_capacity(axes.len());
    for axis in axes.into_iter().filter(|axis| axis.extent != 1) {
        match merged.last_mut() {
            Some(outer) if outer.stride == axis.stride * axis.extent as isize => {
                *outer = ViewAxis { extent: outer.extent * axis.extent, stride: axis.stride };
            }
            _ => merged.push(axis),
        }
    }
    merged
}

/// How an operator moves elements, of which each axis of its input has a group of axes.
fn moved(
    op: &Op,
    lengths: &[usize],
    result: &[usize],
    start: &mut usize,
    axes: &[ViewAxis],
) -> Option<Vec<ViewAxis>> {
    Some(match op {
        Op::Transpose(permutation) => {
            let groups = groups(axes, lengths)?;
            let turned = permutation.iter().map(|&axis| groups.get(axis).cloned());
            turned.collect::<Option<Vec<_>>>()?.concat()
        }
        Op::Slice(slices) => {
            let mut groups = groups(axes, lengths)?;
            for slice in slices {
                take(slice, groups.get_mut(slice.axis)?, start)?;
            }
            groups.concat()
        }
        Op::Expand(_) => {
            let groups = groups(axes, lengths)?;
            let ahead = result.len().checked_sub(lengths.len())?;
            let spread = result.iter().enumerate().map(|(axis, &extent)| {
                let own = axis.checked_sub(ahead);
                match own.filter(|&own| lengths[own] == extent) {
                    Some(own) => groups[own].clone(),
                    None => vec![ViewAxis { extent, stride: 0 }],
                }
            });
            spread.collect::<Vec<_>>().concat()
        }
        Op::DepthToSpace(DepthToSpace { block, order }) => {
            let (&[_, _, height, width], &[_, channels, ..]) = (lengths, result) else { return None };
            let (apart, order) = match order {
                DepthOrder::BlockFirst => ([*block, *block, channels, height, width], [2, 3, 0, 4, 1]),
                DepthOrder::ChannelFirst => ([channels, *block, *block, height, width], [0, 3, 1, 4, 2]),
            };
            let groups = groups(axes, &apart)?;
            order.iter().map(|&axis: &usize| groups[axis].clone()).collect::<Vec<_>>().concat()
        }
        _ => axes.to_vec(),
    })
}

/// A part of one axis.
fn take(slice: &Slice, group: &mut Vec<ViewAxis>, start: &mut usize) -> Option<()> {
    let axis = match **group {
        [] => ViewAxis::ONE,
        [axis] => axis,
        _ => return None,
    };
    *start = start.checked_add_signed(axis.stride * slice.first() as isize)?;
    *group = vec![ViewAxis { extent: slice.count(), stride: axis.stride * slice.step }];
    Some(())
}

impl Lowering<'_> {
    /// Notes how a node moves elements.
    pub(super) fn mover(&mut self, node: &Node) -> Result<(), PackError> {
        let is_constant = self.graph.constant(node.inputs[0]).is_some();
        let (from, to) = (self.graph.shape(node.inputs[0]), self.graph.shape(node.output));
        let [lengths, result] = [&from, &to].map(|shape| {
            shape.iter().map(|dim| if let Dim::Size(n) = dim { *n } else { 1 }).collect::<Vec<_>>()
        });
        // The batch may lie anywhere, as long as the elements of an example keep their order when it is put first.
        let ahead = |shape: &[Dim], lengths: &[usize]| {
            let batch = shape.iter().position(|dim| *dim == Dim::Batch)?;
            Some(lengths[..batch].iter().product::<usize>())
        };
        let several = to.iter().filter(|dim| **dim == Dim::Batch).count() > 1;
        let mixes = matches!(node.op, Op::Reshape(_)) && ahead(&from, &lengths) != ahead(&to, &result);
        if several || mixes {
            let (from, to) = (shape_text(&from), shape_text(&to));
            return Err(self.error(node, format!("from {from} to {to} it mixes the examples of the batch")));
        }
        let known = self.strided.get(&node.inputs[0]).cloned();
        let known = known.filter(|_| !self.values.contains_key(&node.inputs[0]));
        if let Some(strided) = known
            && let Some(strided) = Self::after(node, strided, &lengths, &result)
        {
            self.strided.insert(node.output, strided);
            return Ok(());
        }
        let base = match is_constant {
            true => self.operand_as(node, 0, extents_of(&lengths))?,
            false => self.input(node, 0)?,
        };
        let axes = vec![ViewAxis { extent: lengths.iter().product(), stride: 1 }];
        let whole = Strided { base, start: 0, axes, name: node.name.clone() };
        let Some(strided) = Self::after(node, whole, &lengths, &result) else {
            let shape = shape_text(&self.graph.shape(node.inputs[0]));
            return Err(
                self.error(node, format!("it moves elements of {shape} along more than {VIEW_AXES} axes"))
            );
        };
        self.strided.insert(node.output, strided);
        Ok(())
    }

    fn after(node: &Node, mut strided: Strided, lengths: &[usize], result: &[usize]) -> Option<Strided> {
        let axes = merged(moved(&node.op, lengths, result, &mut strided.start, &strided.axes)?);
        (axes.len() <= VIEW_AXES).then(|| Strided { axes, name: node.name.clone(), ..strided })
    }

    /// The value that `id` is in the packed model; `None` when it is none.
    pub(super) fn value(&mut self, id: ValueId) -> Result<Option<format::ValueId>, PackError> {
        if let Some(&value) = self.values.get(&id) {
            return Ok(Some(value));
        }
        let Some(strided) = self.strided.get(&id).cloned() else { return Ok(None) };
        let shape = self.graph.shape(id);
        let extents = super::per_example(&shape).map(|lengths| extents_of(&lengths));
        let Ok(extents) = extents else { return Ok(None) };
        let value = self.placed(&strided, extents)?;
        self.values.insert(id, value);
        Ok(Some(value))
    }

    fn placed(&mut self, strided: &Strided, extents: [usize; 3]) -> Result<format::ValueId, PackError> {
        let Strided { base, start, axes, name } = strided;
        let count = self.builder.extents(*base).iter().product();
        let whole = ViewAxis { extent: count, stride: 1 };
        let in_order = *start == 0 && (**axes == [whole] || (axes.is_empty() && count == 1));
        match View::new(*start, axes) {
            Some(view) if !in_order => Ok(self.builder.view(name, *base, view, extents)?),
            _ => Ok(self.builder.reshape(name, *base, extents)?),
        }
    }

    /// `value`, of these lengths, with its axes in another order, as channels, rows and columns of such extents.
    pub(super) fn permuted(
        &mut self,
        name: &str,
        value: format::ValueId,
        lengths: &[usize],
        permutation: &[usize],
        extents: [usize; 3],
    ) -> Result<Option<format::ValueId>, PackError> {
        let whole = [ViewAxis { extent: lengths.iter().product(), stride: 1 }];
        let Some(groups) = groups(&whole, lengths) else { return Ok(None) };
        let turned = permutation.iter().filter_map(|&axis| groups.get(axis).cloned()).collect::<Vec<_>>();
        let axes = merged(turned.concat());
        if axes.len() > VIEW_AXES {
            return Ok(None);
        }
        let strided = Strided { base: value, start: 0, axes, name: name.into() };
        self.placed(&strided, extents).map(Some)
    }
}

impl Lowering<'_> {
    /// `value`, of these lengths, repeated along axes of length 1.
    pub(super) fn expanded(
        &mut self,
        name: &str,
        value: format::ValueId,
        lengths: &[usize],
        whole: &[usize],
        extents: [usize; 3],
    ) -> Result<Option<format::ValueId>, PackError> {
        let axes = [ViewAxis { extent: lengths.iter().product(), stride: 1 }];
        let axes = moved(&Op::Expand(Vec::new()), lengths, whole, &mut 0, &axes).map(merged);
        match axes.filter(|axes| axes.len() <= VIEW_AXES) {
            Some(axes) => {
                let strided = Strided { base: value, start: 0, axes, name: name.into() };
                self.placed(&strided, extents).map(Some)
            }
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(axes: &[(usize, isize)]) -> Vec<ViewAxis> {
        axes.iter().map(|&(extent, stride)| ViewAxis { extent, stride }).collect()
    }

    #[test]
    fn moves_are_composed() {
        type Case<'a> =
            (Op, &'a [usize], &'a [usize], &'a [(usize, isize)], Option<(usize, &'a [(usize, isize)])>);
        let whole: &[(usize, isize)] = &[(60, 1)];
        let last = |step| Op::Slice(vec![Slice { axis: 3, start: 1, end: 5, step }]);
        let first = Op::Slice(vec![Slice::new(1, 0, 7)]);
        let cases: &[Case<'_>] = &[
            (
                Op::Transpose(vec![0, 2, 3, 1]),
                &[1, 3, 4, 5],
                &[1, 4, 5, 3],
                whole,
                Some((0, &[(20, 1), (3, 20)])),
            ),
            (
                Op::Transpose(vec![0, 3, 2, 1]),
                &[1, 3, 4, 5],
                &[1, 5, 4, 3],
                whole,
                Some((0, &[(5, 1), (4, 5), (3, 20)])),
            ),
            // And back.
            (
                Op::Transpose(vec![0, 3, 1, 2]),
                &[1, 4, 5, 3],
                &[1, 3, 4, 5],
                &[(20, 1), (3, 20)],
                Some((0, whole)),
            ),
            (last(-2), &[1, 3, 4, 5], &[1, 3, 4, 2], whole, Some((4, &[(12, 5), (2, -2)]))),
            (Op::Expand(vec![]), &[1, 3, 1, 1], &[1, 3, 4, 5], &[(3, 1)], Some((0, &[(3, 1), (20, 0)]))),
            (Op::Expand(vec![]), &[1, 1, 1], &[1, 4, 5], &[(1, 1)], Some((0, &[(20, 0)]))),
            // Rows that were transposed cannot be cut as if they were not.
            (first, &[1, 12, 5], &[1, 7, 5], &[(4, 5), (3, 20), (5, 1)], None),
            // And 7 is no part of 9.
            (Op::Transpose(vec![0, 2, 1]), &[1, 7, 9], &[1, 9, 7], &[(9, 1), (7, 9)], None),
        ];
        for (op, lengths, result, before, expected) in cases {
            let mut start = 0;
            let found = moved(op, lengths, result, &mut start, &axes(before)).map(merged);
            let expected = expected.map(|(at, after)| (at, axes(after)));
            assert_eq!(found.map(|axes| (start, axes)), expected, "{op:?} of {lengths:?} as {before:?}");
        }
    }
}
