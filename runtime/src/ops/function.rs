//! Functions of one element that are operators of their own: no layer computes them behind its sum.

/// A function applied to every element. What a layer's epilogue can do, an [`Activation`](super::Activation) is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `x` where positive, else `alpha * (exp(x) - 1)`.
    Elu {
        /// The limit far below zero, negated.
        alpha: f32,
    },
    /// `x * (1 + erf(x / sqrt(2))) / 2`
    Gelu,
    /// `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2`
    GeluTanh,
    /// `ln(1 + exp(x))`
    Softplus,
    /// `x * tanh(ln(1 + exp(x)))`
    Mish,
    /// The error function.
    Erf,
    /// `e^x`
    Exp,
    /// The natural logarithm; NaN below zero.
    Log,
    /// The square root; NaN below zero.
    Sqrt,
    /// `1 / x`
    Reciprocal,
    /// `x^exponent`; NaN where that is no real number.
    Power {
        /// The exponent.
        exponent: f32,
    },
    /// `|x|`
    Absolute,
    /// The integer at or below.
    Floor,
    /// The integer at or above.
    Ceil,
    /// The nearest integer; of two the even one.
    Round,
    /// 1, 0 or -1.
    Sign,
    /// The sine of radians.
    Sin,
    /// The cosine of radians.
    Cos,
    /// The tangent of radians.
    Tan,
    /// The angle whose sine it is; NaN beyond 1.
    Asin,
    /// The angle whose cosine it is; NaN beyond 1.
    Acos,
    /// The angle whose tangent it is.
    Atan,
    /// The hyperbolic sine.
    Sinh,
    /// The hyperbolic cosine.
    Cosh,
    /// The inverse of the hyperbolic sine.
    Asinh,
    /// The inverse of the hyperbolic cosine; NaN below 1.
    Acosh,
    /// The inverse of the hyperbolic tangent; NaN beyond 1.
    Atanh,
}

impl Function {
    /// ONNX's name for it (`GeluTanh` is `Gelu` with `approximate` "tanh").
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Elu { .. } => "Elu",
            Self::Gelu | Self::GeluTanh => "Gelu",
            Self::Softplus => "Softplus",
            Self::Mish => "Mish",
            Self::Erf => "Erf",
            Self::Exp => "Exp",
            Self::Log => "Log",
            Self::Sqrt => "Sqrt",
            Self::Reciprocal => "Reciprocal",
            Self::Power { .. } => "Pow",
            Self::Absolute => "Abs",
            Self::Floor => "Floor",
            Self::Ceil => "Ceil",
            Self::Round => "Round",
            Self::Sign => "Sign",
            Self::Sin => "Sin",
            Self::Cos => "Cos",
            Self::Tan => "Tan",
            Self::Asin => "Asin",
            Self::Acos => "Acos",
            Self::Atan => "Atan",
            Self::Sinh => "Sinh",
            Self::Cosh => "Cosh",
            Self::Asinh => "Asinh",
            Self::Acosh => "Acosh",
            Self::Atanh => "Atanh",
        }
    }
}
