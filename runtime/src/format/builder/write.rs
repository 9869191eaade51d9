//! The bytes of the file: the memory plan, the sections, the header.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::error::BuildError;
use super::node::BuildValue;
use super::{BuildPort, Builder};
use crate::format::crc32;
use crate::format::error::FormatError;
use crate::format::layout::{
    self, HEADER, MAGIC, NONE, OPERATOR_RECORD, PORT_RECORD, VERSION, VERSION_1, align, header,
    operator as field, word,
};
use crate::format::model::Model;
use crate::format::ops::OperatorKind;
use crate::format::pack::PlainLayer;
use crate::format::plan::{Buffer, plan};
use crate::format::port::{PortRecord, Role};
use crate::format::record::{Ends, Writer};
use crate::format::value::Value;
use crate::kernels::checksum::checksum;
use crate::ops::Operation;

impl Builder {
    pub(super) fn write(mut self) -> Result<Vec<u8>, BuildError> {
        // Values in the order in which they are written; times as in the format.
        let end = self.nodes.len() + 1;
        let mut first = vec![usize::MAX; self.values.len()];
        let mut last = vec![0; self.values.len()];
        // An input that nothing reads is still written.
        self.inputs.iter().for_each(|port| (first[port.value], last[port.value]) = (0, 1));
        self.outputs.iter().for_each(|port| last[port.value] = end);
        for (index, node) in self.nodes.iter().enumerate() {
            let now = index + 1;
            first[node.output] = first[node.output].min(now);
            last[node.input] = last[node.input].max(now);
            if let Some(second) = node.second {
                last[second] = last[second].max(now);
            }
        }
        for (first, last) in first.iter().zip(&mut last) {
            if *first != usize::MAX {
                *last = (*last).max(*first + 1);
            }
        }
        // A buffer may hold several values one after the other: where an operator works in place.
        let mut buffer_of = vec![usize::MAX; self.values.len()];
        let mut buffers: Vec<Buffer> = Vec::new();
        let mut live: Vec<usize> =
            (0..self.values.len()).filter(|&value| first[value] != usize::MAX).collect();
        live.sort_by_key(|&value| first[value]);
        for &value in &live {
            let inherited = match first[value].checked_sub(1) {
                Some(index) => self.inherit(index, &last),
                None => None,
            };
            if let Some(from) = inherited {
                buffer_of[value] = buffer_of[from];
                buffers[buffer_of[from]].last = last[value];
            } else {
                buffer_of[value] = buffers.len();
                let bytes = self.values[value].value().bytes();
                buffers.push(Buffer { bytes, first: first[value], last: last[value] });
            }
        }
        let (offsets, arena) = plan(&buffers);

        let mut strings = Vec::new();
        let mut intern = |text: &str| {
            let at = (strings.len() as u32, text.len() as u32);
            strings.extend_from_slice(text.as_bytes());
            at
        };
        let mut index_of = vec![NONE; self.values.len()];
        let mut value_records = Vec::new();
        for (index, &id) in live.iter().enumerate() {
            index_of[id] = index as u32;
            let value = Value {
                offset: offsets[buffer_of[id]],
                first: first[id],
                last: last[id],
                ..self.values[id].value()
            };
            value_records.extend_from_slice(&value.encode(intern(&self.values[id].name)));
        }
        let mut port_records = Vec::new();
        for (role, ports) in [(Role::Input, &self.inputs), (Role::Output, &self.outputs)] {
            for BuildPort { value, name, kind, shape } in ports {
                let value = index_of[*value] as usize;
                let record = PortRecord { value, name, role, kind: *kind, shape: *shape };
                port_records.extend_from_slice(&record.encode(intern(name)));
            }
        }
        let mut data: Vec<u8> = Vec::new();
        let mut operator_records = Vec::new();
        for node in &self.nodes {
            let ends = Ends {
                input: self.values[node.input].value(),
                second: node.second.map(|second| self.values[second].value()),
                output: self.values[node.output].value(),
            };
            let mut writer = Writer::new(&mut data);
            node.kind.write(&mut writer, &ends);
            let mut words = writer.words;
            words[field::INPUT] = if node.kind.takes_input() { index_of[node.input] } else { NONE };
            words[field::SECOND] = node.second.map_or(NONE, |second| index_of[second]);
            words[field::OUTPUT] = index_of[node.output];
            (words[field::NAME], words[field::NAME + 1]) = intern(&node.name);
            for word in words {
                operator_records.extend_from_slice(&word.to_le_bytes());
            }
        }
        let mut metadata = Vec::new();
        for (key, text) in &self.info.metadata {
            metadata.extend_from_slice(&(key.len() as u32).to_le_bytes());
            metadata.extend_from_slice(&(text.len() as u32).to_le_bytes());
            metadata.extend_from_slice(key.as_bytes());
            metadata.extend_from_slice(text.as_bytes());
        }

        let scratch = self.nodes.iter().map(|node| {
            let [input, output] = [node.input, node.output].map(|value| self.values[value].value());
            let of_layer = |layer: &PlainLayer| layer.weights.weight_type();
            crate::format::ops::scratch(&node.kind, (&input, &output), of_layer)
        });
        let scratch = scratch.max().unwrap_or(0);

        let mut bytes = vec![0u8; HEADER];
        let mut sections = Vec::new();
        for (section, record) in [
            (&value_records, layout::VALUE_RECORD),
            (&operator_records, OPERATOR_RECORD),
            (&port_records, PORT_RECORD),
            (&strings, 1),
            (&metadata, 1),
            (&data, 1),
        ] {
            bytes.resize(align(bytes.len() as u64) as usize, 0);
            sections.push((bytes.len(), section.len() / record));
            bytes.extend_from_slice(section);
        }
        if bytes.len() > u32::MAX as usize || arena > 1 << 30 {
            return Err(BuildError::TooLarge { what: "the model".to_string() });
        }
        let (distribution, a, b) = self.info.distribution.map_or(("", 0.0, 0.0), |found| found.parts());
        let distribution = layout::DISTRIBUTIONS.iter().find(|(_, name)| *name == distribution);
        let (low, high) = self.info.range.map_or((0.0, 0.0), |range| (range.low(), range.high()));
        let mut put = |at: usize, word: u32| bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        put(header::VERSION, VERSION);
        put(header::KIND, self.info.kind as u32);
        put(header::PRECISION, self.info.precision as u32);
        put(header::ACTIVATIONS, arena as u32);
        put(header::SCRATCH, scratch as u32);
        put(header::LATENT, self.info.latent_size as u32);
        put(header::DISTRIBUTION, distribution.map_or(0, |(number, _)| *number));
        put(header::DISTRIBUTION_A, f32::to_bits(a));
        put(header::DISTRIBUTION_B, f32::to_bits(b));
        put(header::RANGE_LOW, f32::to_bits(low));
        put(header::RANGE_HIGH, f32::to_bits(high));
        for (at, (offset, count)) in [
            header::VALUES,
            header::OPERATORS,
            header::PORTS,
            header::STRINGS,
            header::METADATA,
            header::DATA,
        ]
        .into_iter()
        .zip(sections)
        {
            put(at, offset as u32);
            put(at + 4, count as u32);
        }
        bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        self.values.clear();
        seal(&mut bytes);
        check(&bytes)?;
        Ok(bytes)
    }

    /// The value whose buffer the output of operator `index` takes over, if it can work in place.
    fn inherit(&mut self, index: usize, last: &[usize]) -> Option<usize> {
        let now = index + 1;
        let fits = |from: usize, to: usize, values: &[BuildValue]| {
            last[from] == now
                && values[from].element.kind() == values[to].element.kind()
                && values[from].halo == values[to].halo
                && values[from].extents == values[to].extents
        };
        let node = &mut self.nodes[index];
        match (&node.kind, node.second) {
            (OperatorKind::Unweighted(Operation::Elementwise { .. } | Operation::Function(_)), _) => {
                fits(node.input, node.output, &self.values).then_some(node.input)
            }
            (OperatorKind::Unweighted(Operation::Binary { binary, .. }), Some(second))
                if second != node.input =>
            {
                if fits(node.input, node.output, &self.values) {
                    return Some(node.input);
                }
                if binary.commutes() && fits(second, node.output, &self.values) {
                    // The same result with the operands exchanged.
                    node.second = Some(node.input);
                    node.input = second;
                    return Some(second);
                }
                None
            }
            _ => None,
        }
    }
}

/// Writes length and checksum into the header of a model whose bytes were edited, of either version. Says nothing of
/// whether they are valid otherwise; bytes shorter than a header stay as they are.
pub fn seal(bytes: &mut [u8]) {
    if bytes.len() < HEADER {
        return;
    }
    let length = bytes.len() as u32;
    bytes[header::LENGTH..header::LENGTH + 4].copy_from_slice(&length.to_le_bytes());
    let checked = &bytes[header::CHECKED..];
    let checksum = if word(bytes, header::VERSION) == VERSION_1 { crc32(checked) } else { checksum(checked) };
    bytes[header::CHECKSUM..header::CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads the bytes back from aligned memory.
fn check(bytes: &[u8]) -> Result<(), FormatError> {
    let mut words = vec![0u64; bytes.len().div_ceil(8)];
    let aligned: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
    aligned[..bytes.len()].copy_from_slice(bytes);
    Model::from_bytes(&aligned[..bytes.len()]).map(|_| ())
}
