//! The two float types that a graph can be evaluated in.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use ndarray::LinalgScalar;

/// `f32` or `f64`.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + LinalgScalar
{
    /// The nearest value.
    fn from_f64(value: f64) -> Self;
    /// The same value.
    fn to_f64(self) -> f64;
    /// e to the power of it.
    fn exp(self) -> Self;
    /// Its hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Its square root.
    fn sqrt(self) -> Self;
    /// Its absolute value.
    fn abs(self) -> Self;
    /// The next whole number at or below it.
    fn floor(self) -> Self;
    /// The next whole number at or above it.
    fn ceil(self) -> Self;
    /// The nearest whole number, of two the even one.
    fn round_ties_even(self) -> Self;

    /// The greater of two; `other` when `self` is NaN.
    fn greater(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// The smaller of two; `other` when `self` is NaN.
    fn smaller(self, other: Self) -> Self {
        if self < other { self } else { other }
    }
}

macro_rules! real {
    ($($type:ty)*) => {$(
        impl Real for $type {
            fn from_f64(value: f64) -> Self {
                value as $type
            }
            fn to_f64(self) -> f64 {
                self.into()
            }
            fn exp(self) -> Self {
                <$type>::exp(self)
            }
            fn tanh(self) -> Self {
                <$type>::tanh(self)
            }
            fn sqrt(self) -> Self {
                <$type>::sqrt(self)
            }
            fn abs(self) -> Self {
                <$type>::abs(self)
            }
            fn floor(self) -> Self {
                <$type>::floor(self)
            }
            fn ceil(self) -> Self {
                <$type>::ceil(self)
            }
            fn round_ties_even(self) -> Self {
                <$type>::round_ties_even(self)
            }
        }
    )*};
}

real!(f32 f64);
