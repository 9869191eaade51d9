//! Elementary functions in plain f32 arithmetic: the same bits on every target, which no platform's libm promises.
//!
//! Comparisons are written as the vector instructions do them (`if a > b { a } else { b }`), so that vector code gives
//! the same result for NaN and signed zeros too.

/// `a` if it is greater, else `b` (also if `a` is NaN): x86's `maxps`.
#[inline(always)]
pub(crate) fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// `a` if it is less, else `b` (also if `a` is NaN): x86's `minps`.
#[inline(always)]
pub(crate) fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Beyond this tanh is 1 in f32.
pub(crate) const TANH_LIMIT: f32 = 9.0;
/// Odd numerator and even denominator of the rational approximation of tanh that Eigen and ONNX Runtime use
/// (minimax on -9..9), the highest power first.
pub(crate) const TANH_NUMERATOR: [f32; 7] = [
    -2.760_768_4e-16,
    2.000_188e-13,
    -8.604_672e-11,
    5.122_297e-8,
    1.485_722_4e-5,
    6.372_619e-4,
    4.893_524_6e-3,
];
pub(crate) const TANH_DENOMINATOR: [f32; 4] = [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_6e-3, 4.893_525e-3];

/// tanh to about 4e-7; -1 for NaN.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let x = min(max(x, -TANH_LIMIT), TANH_LIMIT);
    let square = x * x;
    let horner =
        |coefficients: &[f32]| coefficients.iter().skip(1).fold(coefficients[0], |sum, c| sum * square + c);
    let ratio = x * horner(&TANH_NUMERATOR) / horner(&TANH_DENOMINATOR);
    min(max(ratio, -1.0), 1.0)
}

/// `1 / (1 + exp(-x))` to about 3e-7.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    tanh(x * 0.5) * 0.5 + 0.5
}

/// exp, to about 2 units in the last place; 0 far below, infinite far above. The method is that of Cephes' expf.
pub(crate) fn exp(x: f32) -> f32 {
    if x > 88.72 {
        return f32::INFINITY;
    }
    if x < -87.3 {
        return 0.0;
    }
    // 1.5 * 2^23: adding and subtracting it rounds to an integer, halves to even.
    const ROUND: f32 = 12_582_912.0;
    let n = x * core::f32::consts::LOG2_E + ROUND - ROUND;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let polynomial = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]
        .iter()
        .fold(0.0, |sum, c| sum * r + c);
    let mantissa = polynomial * (r * r) + r + 1.0;
    // In two steps, since 2^128 alone would be infinite.
    let power = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
    let n = n as i32;
    mantissa * power(n / 2) * power(n - n / 2)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn functions_follow_the_exact_ones() {
        for step in -20_000..=20_000 {
            let x = step as f32 * 1e-3;
            let exact = f64::from(x);
            assert!((f64::from(tanh(x)) - exact.tanh()).abs() < 4e-7, "tanh {x}");
            assert!((f64::from(sigmoid(x)) - 1.0 / (1.0 + (-exact).exp())).abs() < 3e-7, "sigmoid {x}");
            assert!((f64::from(exp(x)) / exact.exp() - 1.0).abs() < 3e-7, "exp {x}");
        }
        for (x, expected) in [(f32::INFINITY, 1.0), (f32::NEG_INFINITY, -1.0), (f32::NAN, -1.0), (0.0, 0.0)] {
            assert_eq!(tanh(x), expected);
        }
        assert_eq!((exp(1000.0), exp(-1000.0), exp(0.0)), (f32::INFINITY, 0.0, 1.0));
    }
}
