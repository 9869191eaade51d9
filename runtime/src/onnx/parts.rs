//! How many parts an ONNX file has, counted before memory is taken for them: an empty node is two bytes in the file and some
//! hundred in memory.

/// The most parts (nodes, attributes, tensors, names, sizes) of a file that is decoded.
pub(super) const MAX_PARTS: usize = 1 << 21;

/// What a message's fields can be.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
    /// Any other: each of its fields is taken for a message of this kind.
    Other,
    /// Text or numbers.
    Leaf,
}

impl Kind {
    fn of_field(self, field: u64) -> Self {
        match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Self::Tensor,
            // External data's entries; the others are numbers and texts.
            (Self::Tensor, 13 | 16) => Self::Other,
            (Self::Tensor, _) | (Self::Node, 1..=4 | 6..=8) | (Self::Attribute, 1..=4 | 7..=9 | 13) => {
                Self::Leaf
            }
            (Self::Graph, 2 | 10) | (Self::Model, 1..=6) | (Self::Leaf, _) => Self::Leaf,
            _ => Self::Other,
        }
    }
}

/// Whether the bytes of a model have more than [`MAX_PARTS`] parts. Bytes that are no message are not counted; decoding says
/// what is wrong with them.
pub(super) fn are_too_many(bytes: &[u8]) -> bool {
    let mut left = MAX_PARTS;
    count(bytes, Kind::Model, 0, &mut left).is_none()
}

/// Counts the parts of a message down from `left`; `None` if there are more.
fn count(mut bytes: &[u8], kind: Kind, depth: usize, left: &mut usize) -> Option<()> {
    // Deeper messages are refused when they are decoded.
    if depth > 100 || matches!(kind, Kind::Leaf) {
        return Some(());
    }
    while let Some(key) = varint(&mut bytes) {
        let length = match key & 7 {
            0 => match varint(&mut bytes) {
                Some(_) => continue,
                None => break,
            },
            1 => 8,
            5 => 4,
            2 => match varint(&mut bytes) {
                Some(length) => usize::try_from(length).unwrap_or(usize::MAX),
                None => break,
            },
            _ => break,
        };
        let Some((part, rest)) = bytes.split_at_checked(length) else { break };
        bytes = rest;
        if key & 7 == 2 {
            *left = left.checked_sub(1)?;
            count(part, kind.of_field(key >> 3), depth + 1, left)?;
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// A field of bytes.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::from([number << 3 | 2]);
        let mut length = content.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(content);
        bytes
    }

    #[test]
    fn parts_are_counted_wherever_they_are() {
        let many = |number: u8, count: usize| field(number, &[]).repeat(count);
        let graph = |content: &[u8]| field(7, content);
        let node = |content: &[u8]| graph(&field(1, content));
        let attribute = |content: &[u8]| node(&field(5, content));
        type Case<'a> = (&'a str, &'a dyn Fn(usize) -> Vec<u8>);
        let cases: [Case<'_>; 7] = [
            ("nodes", &|count| graph(&many(1, count))),
            ("inputs of a node", &|count| node(&many(1, count))),
            ("attributes", &|count| node(&many(5, count))),
            ("tensors of an attribute", &|count| attribute(&many(10, count))),
            ("texts of an attribute", &|count| attribute(&many(9, count))),
            ("external data", &|count| graph(&field(5, &many(13, count)))),
            ("sizes of an input", &|count| {
                graph(&field(11, &field(2, &field(1, &field(2, &many(1, count))))))
            }),
        ];
        for (name, model) in cases {
            assert!(!are_too_many(&model(MAX_PARTS - 10)), "{name}");
            assert!(are_too_many(&model(MAX_PARTS + 1)), "{name}");
        }
        // Weights are no parts, whatever their bytes are.
        let weights = graph(&field(5, &field(9, &many(1, MAX_PARTS + 1))));
        assert!(!are_too_many(&weights));
        for damaged in [&weights[..3], b"\xff\xff", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"] {
            assert!(!are_too_many(damaged));
        }
    }
}
