//! bfloat16 (the upper half of a binary32) in plain integer arithmetic, for targets without such a type; as [`crate::half`].

/// The value of a bfloat16's bits; exact.
#[inline(always)]
pub(crate) fn to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bits of the nearest bfloat16, halves to even; what is too large becomes infinite.
#[cfg(any(feature = "alloc", test))]
pub(crate) fn from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        // Quiet, so that no bit of the upper half has to be left for it to stay NaN.
        return (bits >> 16) as u16 | 0x40;
    }
    let odd = bits >> 16 & 1;
    ((bits + 0x7FFF + odd) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bfloat_survives_and_halfway_points_go_to_even() {
        for bits in 0..=u16::MAX {
            let value = to_f32(bits);
            if value.is_nan() {
                assert!(to_f32(from_f32(value)).is_nan());
                continue;
            }
            assert_eq!(from_f32(value), bits, "{value}");
            if bits & 0x7FFF < 0x7F80 {
                let middle = u32::from(bits) << 16 | 0x8000;
                let even = if bits & 1 == 0 { bits } else { bits + 1 };
                let found = [middle - 1, middle, middle + 1].map(|bits| from_f32(f32::from_bits(bits)));
                assert_eq!(found, [bits, even, bits + 1], "after {value}");
            }
        }
        let cases =
            [(1.0, 0x3F80), (f32::MAX, 0x7F80), (-1e-45, 0x8000), (f32::from_bits(0x7F80_0001), 0x7FC0)];
        for (value, bits) in cases {
            assert_eq!(from_f32(value), bits, "{value}");
        }
    }
}
