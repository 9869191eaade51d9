//! What is done to the whole model before it is written: reshapes absorbed, borders given, unused operators removed.

use alloc::vec::Vec;

use super::Builder;
use super::node::Node;
use crate::format::ops::OperatorKind;
use crate::format::value::Halo;
use crate::ops::Operation;

impl Builder {
    /// Does away with reshapes that a fully connected neighbor (whose weights can be permuted) or an output
    /// of the model can absorb; the rest stay.
    pub(super) fn absorb_reshapes(&mut self) {
        let mut at = 0;
        while at < self.nodes.len() {
            if !matches!(self.nodes[at].kind, OperatorKind::Unweighted(Operation::Reorder)) {
                at += 1;
                continue;
            }
            let (from, to) = (self.nodes[at].input, self.nodes[at].output);
            let uses = |value: usize, nodes: &[Node]| {
                nodes.iter().filter(|node| node.input == value || node.second == Some(value)).count()
            };
            let producer = self.nodes.iter().position(|node| {
                node.output == from
                    && matches!(node.kind, OperatorKind::FullyConnected(_))
                    && node.second.is_none()
            });
            if let Some(producer) = producer
                && uses(from, &self.nodes) == 1
                && !self.is_output(from)
            {
                // The layer writes the new shape's memory order at once.
                self.nodes[producer].output = to;
                self.nodes.remove(at);
                continue;
            }
            for node in &mut self.nodes {
                if node.input == to && matches!(node.kind, OperatorKind::FullyConnected(_)) {
                    node.input = from;
                }
            }
            if uses(to, &self.nodes) == 0 {
                // Elements go out in the same order from either.
                self.outputs.iter_mut().filter(|port| port.value == to).for_each(|port| port.value = from);
                self.nodes.remove(at);
                continue;
            }
            at += 1;
        }
    }

    pub(super) fn remove_unused(&mut self) {
        loop {
            let used = |value: usize| {
                // A constant's input is its output.
                let reads = |node: &Node| node.input == value && node.output != value;
                self.is_output(value)
                    || self.nodes.iter().any(|node| reads(node) || node.second == Some(value))
            };
            let keep: Vec<bool> = self.nodes.iter().map(|node| used(node.output)).collect();
            if keep.iter().all(|&keep| keep) {
                return;
            }
            let mut keep = keep.into_iter();
            self.nodes.retain(|_| keep.next() == Some(true));
        }
    }

    /// Gives every value the border that the windows over it reach, through a copy where its writer or another reader
    /// cannot have one.
    pub(super) fn give_halos(&mut self) {
        for value in 0..self.values.len() {
            let mut halo = Halo::default();
            for node in self.nodes.iter().filter(|node| node.input == value) {
                let reach = self.reach(node);
                halo.top = halo.top.max(reach.top);
                halo.left = halo.left.max(reach.left);
                halo.bottom = halo.bottom.max(reach.bottom);
                halo.right = halo.right.max(reach.right);
            }
            if halo.is_empty() {
                continue;
            }
            let flat = |node: &Node| matches!(node.kind, OperatorKind::FullyConnected(_));
            let stuck = self.nodes.iter().any(|node| {
                flat(node) && (node.input == value || node.second == Some(value) || node.output == value)
            });
            if !stuck {
                self.values[value].halo = halo;
                continue;
            }
            let mut padded = self.values[value].clone();
            padded.name.push_str(".padded");
            padded.halo = halo;
            self.values.push(padded);
            let copy = self.values.len() - 1;
            let first =
                self.nodes.iter().position(|node| node.input == value && !self.reach(node).is_empty());
            let Some(first) = first else { continue };
            for at in first..self.nodes.len() {
                if self.nodes[at].input == value && !self.reach(&self.nodes[at]).is_empty() {
                    self.nodes[at].input = copy;
                }
            }
            let name = self.values[copy].name.clone();
            let kind = OperatorKind::Unweighted(Operation::Copy { at: [0; 3] });
            self.nodes.insert(first, Node { name, kind, input: value, second: None, output: copy });
        }
    }

    /// How far a node's window reaches beyond its input.
    fn reach(&self, node: &Node) -> Halo {
        let [_, height, width] = self.values[node.input].extents;
        let [_, rows, columns] = self.values[node.output].extents;
        let (vertical, horizontal) = match &node.kind {
            OperatorKind::Convolution { window, .. } | OperatorKind::Depthwise { window, .. } => {
                (window[0].reach(height, rows), window[1].reach(width, columns))
            }
            OperatorKind::Transposed { window, .. } => {
                (window[0].transposed_reach(height, rows), window[1].transposed_reach(width, columns))
            }
            _ => return Halo::default(),
        };
        Halo { top: vertical.0, left: horizontal.0, bottom: vertical.1, right: horizontal.1 }
    }
}
