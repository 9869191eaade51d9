//! The types of elements.

/// The element type of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// 32-bit float.
    F32,
    /// Unsigned 8-bit integer `q`, standing for `scale * (q - zero_point)`.
    U8,
}

impl ValueType {
    /// The size of an element in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::U8 => 1,
        }
    }
}

/// The type of a layer's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightType {
    /// 32-bit float.
    F32,
    /// 16-bit float (IEEE binary16), multiplied in f32.
    F16,
    /// The upper 16 bits of a 32-bit float (bfloat16), multiplied in f32.
    Bf16,
    /// Signed 8-bit integer with a scale per output channel, multiplied in integers.
    I8,
    /// 4-bit index of a layer's 16 signed 8-bit integers, multiplied as [`WeightType::I8`].
    I4,
}

impl WeightType {
    /// As in file names: `f32`, `f16`, `bf16`, `int8`, `int4`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::I8 => "int8",
            Self::I4 => "int4",
        }
    }

    /// The size in bytes of a weight that is multiplied; those of 4 bits are expanded before.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::I8 | Self::I4 => 1,
        }
    }

    /// The type of activations that weights of this type are multiplied with.
    pub const fn input(self) -> ValueType {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => ValueType::F32,
            Self::I8 | Self::I4 => ValueType::U8,
        }
    }

    /// Whether it is multiplied in integers.
    pub const fn is_integer(self) -> bool {
        matches!(self, Self::I8 | Self::I4)
    }
}
