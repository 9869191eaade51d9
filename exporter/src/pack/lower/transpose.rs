//! Transposes that are left at the ends of a model: an image whose channels are last.
//!
//! The format has no operator for them. But an image whose channels are last is, element for element, an image of one
//! channel whose every pixel is as many columns wide as there are channels. A convolution that steps from pixel to pixel,
//! with one output for each of those columns, makes their values channels again, and a transposed convolution does the
//! opposite. Their weights are an identity matrix: the values stay what they are to the last bit, 8-bit integers too.

use latent_runtime::format::{self, Element, LayerSpec, PlainBias, PlainWeights};

use super::{Lowering, PackError, per_example};
use crate::graph::{Graph, Node, Op, ValueId, Window, shape_text};

/// The most columns between the pixels of a transposed convolution's result.
const MAX_STRIDE: usize = 64;

/// The largest identity matrix: beyond it the sums of zeros would take longer than any layer.
const MAX_CHANNELS: usize = 512;

/// Two blocks of axes that a permutation exchanges: the lengths of those that come to lie last, and first.
struct Exchange {
    /// The first block: what comes last then.
    first: Vec<usize>,
    /// The second block: what comes first then.
    second: Vec<usize>,
}

impl Exchange {
    /// What a permutation does beside the batch, which stays where it is.
    fn of(shape: &[usize], permutation: &[usize]) -> Option<Exchange> {
        let (&0, rest) = permutation.split_first()? else { return None };
        let begin = rest.first()? - 1;
        let turned = rest.iter().enumerate().all(|(at, &axis)| axis - 1 == (begin + at) % shape.len());
        let (first, second) = shape.split_at_checked(begin)?;
        turned.then(|| Exchange { first: first.to_vec(), second: second.to_vec() })
    }

    /// Rows and columns of the block that is not the channels.
    fn pixels(block: &[usize]) -> [usize; 2] {
        match *block {
            [rows, columns] => [rows, columns],
            _ => [1, block.iter().product()],
        }
    }

    /// Whether the first block are the channels, and the transposed convolution is to be taken: where it can be, and
    /// where it is smaller.
    fn spreads(&self) -> Option<bool> {
        let [first, second] = [&self.first, &self.second].map(|block| block.iter().product::<usize>());
        let spreads = first <= MAX_STRIDE && first <= second;
        (spreads || second <= MAX_CHANNELS).then_some(spreads)
    }
}

/// Channels, rows and columns as which the input of a model is taken, when all that is done to it is that its channels
/// are put first.
pub(super) fn input_extents(graph: &Graph, input: ValueId) -> Option<[usize; 3]> {
    let shape = per_example(&graph.shape(input)).ok()?;
    let mut readers =
        graph.nodes.iter().filter(|node| node.inputs.contains(&input)).map(|node| match &node.op {
            Op::Transpose(permutation) => Exchange::of(&shape, permutation),
            _ => None,
        });
    let exchange = readers.next()??;
    if graph.uses().get(&input) != Some(&1) || exchange.spreads()? {
        return None;
    }
    let [rows, columns] = Exchange::pixels(&exchange.first);
    Some([1, rows, columns * exchange.second.iter().product::<usize>()])
}

impl Lowering<'_> {
    pub(super) fn transpose(
        &mut self,
        node: &Node,
        permutation: &[usize],
    ) -> Result<format::ValueId, PackError> {
        let shape = self.graph.shape(node.inputs[0]);
        let found = per_example(&shape).ok().and_then(|shape| Exchange::of(&shape, permutation));
        let Some((exchange, spreads)) =
            found.and_then(|exchange| exchange.spreads().map(|way| (exchange, way)))
        else {
            let what = format!(
                "perm {permutation:?} of {} cannot be taken into the layers around it; a packed model can only put up to {MAX_STRIDE} channels last, or up to {MAX_CHANNELS} channels first",
                shape_text(&shape)
            );
            return Err(self.error(node, what));
        };
        let (channels, pixels) = match spreads {
            true => (&exchange.first, &exchange.second),
            false => (&exchange.second, &exchange.first),
        };
        let channels: usize = channels.iter().product();
        let [rows, columns] = Exchange::pixels(pixels);
        let (apart, together) = ([channels, rows, columns], [1, rows, columns * channels]);
        let input = self.input(node, 0)?;
        let from = if spreads { apart } else { together };
        let input = self.builder.reshape(&format!("{}.pixels", node.name), input, from)?;
        // What is to become integers is converted where it is wanted: this only moves it.
        let element = self.builder.element(input);
        let identity = |at: usize| at / channels == at % channels;
        let (floats, integers): (Vec<f32>, Vec<i8>);
        let (weights, bias) = match element {
            Element::F32 => {
                floats = (0..channels * channels).map(|at| f32::from(u8::from(identity(at)))).collect();
                (PlainWeights::F32(&floats), PlainBias::None)
            }
            Element::U8 { .. } => {
                integers = (0..channels * channels).map(|at| i8::from(identity(at))).collect();
                (PlainWeights::I8 { values: &integers, scales: &[1.0] }, PlainBias::None)
            }
        };
        let spec = LayerSpec { output: element, ..LayerSpec::new(weights, bias) };
        let kernel = [1, channels];
        let window = Window { kernel, stride: kernel, dilation: [1, 1], pads: [0; 4] };
        let moved = match spreads {
            true => {
                self.builder.transposed(&node.name, input, window, [rows, columns * channels], 1, spec)?
            }
            false => self.builder.convolution(&node.name, input, window, 1, spec)?,
        };
        // The output of the model may be of any shape: its elements are in order.
        if self.only_output(node.output) {
            return Ok(moved);
        }
        let extents = self.result(node)?;
        Ok(self.builder.reshape(&format!("{}.reshape", node.name), moved, extents)?)
    }

    /// Whether a value is the model's output, and nothing else reads it.
    fn only_output(&self, id: ValueId) -> bool {
        let read = self
            .graph
            .nodes
            .iter()
            .any(|node| node.inputs.contains(&id) || node.epilogue.residual == Some(id));
        !read && self.graph.outputs.iter().any(|output| output.value == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_exchanged() {
        type Case<'a> = (&'a [usize], &'a [usize], Option<(&'a [usize], &'a [usize], Option<bool>)>);
        let cases: &[Case<'_>] = &[
            (&[3, 4, 5], &[0, 2, 3, 1], Some((&[3], &[4, 5], Some(true)))),
            (&[4, 5, 3], &[0, 3, 1, 2], Some((&[4, 5], &[3], Some(false)))),
            (&[2, 2, 128], &[0, 3, 1, 2], Some((&[2, 2], &[128], Some(true)))),
            (&[128, 2, 2], &[0, 2, 3, 1], Some((&[128], &[2, 2], Some(false)))),
            (&[1024, 32, 32], &[0, 2, 3, 1], Some((&[1024], &[32, 32], None))),
            (&[7, 9], &[0, 2, 1], Some((&[7], &[9], Some(true)))),
            (&[3, 4, 5], &[0, 1, 3, 2], None),
            (&[3, 4, 5], &[0, 3, 2, 1], None),
        ];
        for (shape, permutation, expected) in cases {
            let found = Exchange::of(shape, permutation);
            let found = found.as_ref().map(|it| (&*it.first, &*it.second, it.spreads()));
            assert_eq!(found, *expected, "{shape:?} {permutation:?}");
        }
    }
}
