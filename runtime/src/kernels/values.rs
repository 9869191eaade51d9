//! Elements of activations, of either type.

/// Elements of either type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    F32(&'a [f32]),
    U8(&'a [u8]),
}

impl Values<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    #[cfg(feature = "extended-operators")]
    pub(crate) fn is_u8(&self) -> bool {
        matches!(self, Self::U8(_))
    }
}

/// Elements of either type, to be written.
#[derive(Debug)]
pub(crate) enum ValuesMut<'a> {
    F32(&'a mut [f32]),
    U8(&'a mut [u8]),
}

impl ValuesMut<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    pub(crate) fn is_u8(&self) -> bool {
        matches!(self, Self::U8(_))
    }
}
