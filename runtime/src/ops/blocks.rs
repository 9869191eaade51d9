//! Operators over blocks of an image: what is made of each, or what its elements are divided by.

/// How the elements of a block become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceKind {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// The greatest.
    Maximum,
    /// The least.
    Minimum,
    /// The square root of the sum of their squares.
    Euclidean,
    /// The sum of their absolute values.
    Absolute,
}

/// Each block becomes one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// What is made of a block.
    pub kind: ReduceKind,
    /// Its channels, rows and columns, which divide the image's.
    pub block: [usize; 3],
}

/// How the elements of a block are brought to one scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormalizeKind {
    /// `exp(x)` over the sum of all of them.
    Softmax,
    /// Division by the Euclidean norm, which counts as at least epsilon.
    Euclidean,
    /// Division by the sum of absolute values, which counts as at least epsilon.
    Absolute,
    /// `(x - mean) / sqrt(variance + epsilon)`: what batch, layer, instance and group normalization do before they scale
    /// and shift (Wu and He, 2018).
    Standardize,
    /// `x / sqrt(mean of squares + epsilon)`: pixel norm (Karras et al., 2018) and RMSNorm.
    RootMeanSquare,
}

impl NormalizeKind {
    /// What it is called in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Euclidean => "L2 normalize",
            Self::Absolute => "L1 normalize",
            Self::Standardize => "standardize",
            Self::RootMeanSquare => "RMS normalize",
        }
    }
}

/// The elements of each block, brought to one scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalize {
    /// How.
    pub kind: NormalizeKind,
    /// A block's channels, rows and columns, which divide the image's.
    pub block: [usize; 3],
    /// The least divisor, or what is added below the root; Softmax has none.
    pub epsilon: f32,
}
