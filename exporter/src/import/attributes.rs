//! The attributes of a node, read with their types checked; what was not read is an error.

use latent_runtime::onnx::proto::attribute_proto::AttributeType;
use latent_runtime::onnx::proto::{AttributeProto, NodeProto, TensorProto};

use super::ImportError;

/// The attributes of one node.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    node: String,
    operator: &'a str,
    left: Vec<&'a AttributeProto>,
}

impl<'a> Attributes<'a> {
    /// The attributes of `proto`, which messages call `node`.
    pub(super) fn new(node: String, proto: &'a NodeProto) -> Attributes<'a> {
        Attributes { node, operator: &proto.op_type, left: proto.attribute.iter().collect() }
    }

    fn take(&mut self, name: &str, kind: AttributeType) -> Result<Option<&'a AttributeProto>, ImportError> {
        let Some(at) = self.left.iter().position(|attribute| attribute.name == name) else { return Ok(None) };
        let attribute = self.left.swap_remove(at);
        // Files older than IR version 3 may leave the type out.
        if attribute.r#type != kind as i32 && attribute.r#type != AttributeType::Undefined as i32 {
            let found =
                AttributeType::try_from(attribute.r#type).map_or("unknown", |kind| kind.as_str_name());
            return Err(self.error(name, format!("is of type {found}, expected {}", kind.as_str_name())));
        }
        if !attribute.ref_attr_name.is_empty() {
            return Err(self.error(name, "refers to a function's attribute, which is not supported".into()));
        }
        Ok(Some(attribute))
    }

    pub(super) fn int(&mut self, name: &str) -> Result<Option<i64>, ImportError> {
        Ok(self.take(name, AttributeType::Int)?.map(|attribute| attribute.i))
    }

    /// A flag: 0 or 1.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, ImportError> {
        match self.int(name)? {
            None | Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => Err(self.error(name, format!("is {other}, expected 0 or 1"))),
        }
    }

    pub(super) fn float(&mut self, name: &str) -> Result<Option<f32>, ImportError> {
        Ok(self.take(name, AttributeType::Float)?.map(|attribute| attribute.f))
    }

    pub(super) fn ints(&mut self, name: &str) -> Result<Option<&'a [i64]>, ImportError> {
        Ok(self.take(name, AttributeType::Ints)?.map(|attribute| attribute.ints.as_slice()))
    }

    pub(super) fn floats(&mut self, name: &str) -> Result<Option<&'a [f32]>, ImportError> {
        Ok(self.take(name, AttributeType::Floats)?.map(|attribute| attribute.floats.as_slice()))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<&'a str>, ImportError> {
        match self.take(name, AttributeType::String)? {
            None => Ok(None),
            Some(attribute) => match str::from_utf8(&attribute.s) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(self.error(name, "is not UTF-8".into())),
            },
        }
    }

    /// A text that stays to be read.
    pub(super) fn peek_text(&self, name: &str) -> Option<&'a str> {
        let attribute = self.left.iter().find(|attribute| attribute.name == name)?;
        str::from_utf8(&attribute.s).ok()
    }

    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<&'a TensorProto>, ImportError> {
        Ok(self.take(name, AttributeType::Tensor)?.and_then(|attribute| attribute.t.as_ref()))
    }

    /// An attribute that must be absent or have the one value that is supported.
    pub(super) fn only_int(&mut self, name: &str, supported: i64) -> Result<(), ImportError> {
        match self.int(name)? {
            Some(value) if value != supported => {
                Err(self.error(name, format!("is {value}; only {supported} is supported")))
            }
            _ => Ok(()),
        }
    }

    /// Drops an attribute that has no effect on inference.
    pub(super) fn ignore(&mut self, name: &str) {
        self.left.retain(|attribute| attribute.name != name);
    }

    /// Checks that there is no attribute but those of these names.
    pub(super) fn only(&self, names: &[&str]) -> Result<(), ImportError> {
        match self.left.iter().find(|attribute| !names.contains(&attribute.name.as_str())) {
            Some(attribute) => Err(self.error(&attribute.name, "is not supported".into())),
            None => Ok(()),
        }
    }

    /// Checks that every attribute was read.
    pub(super) fn finish(&self) -> Result<(), ImportError> {
        self.only(&[])
    }

    pub(super) fn error(&self, attribute: &str, what: String) -> ImportError {
        ImportError::Attribute {
            node: self.node.clone(),
            operator: self.operator.into(),
            attribute: attribute.into(),
            what,
        }
    }
}
