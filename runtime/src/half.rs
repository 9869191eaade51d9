//! IEEE binary16 (half precision) in plain integer arithmetic, for targets without such a type.
//!
//! The crate `half`, which the exporter uses, would bring every device itself and what it depends on for these two
//! functions; so it is these throughout this crate.

/// The value of a binary16's bits; exact.
pub(crate) fn to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, mantissa) = (u32::from(bits >> 10) & 0x1F, u32::from(bits) & 0x3FF);
    let magnitude = match exponent {
        // Subnormal: a multiple of 2^-24, which f32 holds as a normal number.
        0 => (mantissa as f32 * (1.0 / 16_777_216.0)).to_bits(),
        31 => 0x7F80_0000 | mantissa << 13,
        _ => (exponent + 112) << 23 | mantissa << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// The bits of the nearest binary16, halves to even; what is too large becomes infinite.
#[cfg(any(feature = "alloc", test))]
pub(crate) fn from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        return sign | 0x7E00;
    }
    if magnitude >= 0x477F_F000 {
        // From half-way between the largest finite number and the next power of two.
        return sign | 0x7C00;
    }
    if magnitude < 0x3880_0000 {
        // Subnormal: adding 1/2 puts the unit of the sum at 2^-24, and the addition rounds.
        let sum = f32::from_bits(magnitude) + 0.5;
        return sign | (sum.to_bits() - 0.5f32.to_bits()) as u16;
    }
    let odd = magnitude >> 13 & 1;
    let rounded = magnitude + 0xFFF + odd;
    sign | ((rounded >> 13) - (112 << 10)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_and_halfway_points_go_to_even() {
        for bits in 0..=u16::MAX {
            let value = to_f32(bits);
            if value.is_nan() {
                assert!(to_f32(from_f32(value)).is_nan());
                continue;
            }
            assert_eq!(from_f32(value), bits, "{value}");
            let magnitude = bits & 0x7FFF;
            if magnitude < 0x7BFF {
                let next = to_f32(bits + 1);
                let middle = (f64::from(value) + f64::from(next)) / 2.0;
                let even = if bits & 1 == 0 { bits } else { bits + 1 };
                assert_eq!(from_f32(middle as f32), even, "between {value} and {next}");
            }
        }
        let cases = [(65504.0, 0x7BFF), (65519.0, 0x7BFF), (65520.0, 0x7C00), (1e9, 0x7C00), (-1e-9, 0x8000)];
        for (value, bits) in cases {
            assert_eq!(from_f32(value), bits, "{value}");
        }
    }
}
