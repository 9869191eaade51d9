//! Functions of one element.

use core::fmt;

/// A function applied to every element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `x`
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, else `slope * x`.
    LeakyRelu {
        /// The slope below zero.
        slope: f32,
    },
    /// `min(max(x, low), high)`
    Clip {
        /// The least value; may be minus infinity.
        low: f32,
        /// The greatest value; may be infinity.
        high: f32,
    },
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `tanh(x)`
    Tanh,
    /// `x * clip(x / 6 + 1/2, 0, 1)`
    HardSwish,
}

impl Activation {
    /// ONNX's name for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Identity => "Identity",
            Self::Relu => "Relu",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::Clip { .. } => "Clip",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::HardSwish => "HardSwish",
        }
    }

    /// The function with arguments and results in units of `step`; `None` where there is none.
    pub fn in_steps(self, step: f64) -> Option<Self> {
        match self {
            Self::Identity | Self::Relu | Self::LeakyRelu { .. } => Some(self),
            Self::Clip { low, high } => {
                let scaled = |limit: f32| (f64::from(limit) / step) as f32;
                Some(Self::Clip { low: scaled(low), high: scaled(high) })
            }
            Self::Sigmoid | Self::Tanh | Self::HardSwish => None,
        }
    }
}

/// As in reports: `leaky relu 0.2`.
impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Relu => f.write_str("relu"),
            Self::LeakyRelu { slope } => write!(f, "leaky relu {slope}"),
            Self::Clip { low, high } => write!(f, "clip {low}..{high}"),
            Self::Sigmoid => f.write_str("sigmoid"),
            Self::Tanh => f.write_str("tanh"),
            Self::HardSwish => f.write_str("hard swish"),
        }
    }
}
