//! Between a model's image values (f32, planar CHW) and pixels (u8, interleaved HWC).

use core::fmt;
use core::str::FromStr;

/// The value range of a model's images: `low` is black (0), `high` is white (255). As text it is `LOW,HIGH`, such as
/// `-1,1`. Which one a model has, [`ImageEncoding`](crate::image_encoding::ImageEncoding) decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueRange {
    low: f32,
    high: f32,
}

impl ValueRange {
    /// [-1, 1], what the generators' tanh gives.
    pub const SIGNED: Self = Self { low: -1.0, high: 1.0 };
    /// [0, 1].
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };

    /// A range; `None` unless both ends and their distance are finite and `low < high`.
    pub const fn new(low: f32, high: f32) -> Option<Self> {
        if low < high && (high - low).is_finite() && low.is_finite() && high.is_finite() {
            Some(Self { low, high })
        } else {
            None
        }
    }

    /// The value of black.
    pub const fn low(&self) -> f32 {
        self.low
    }

    /// The value of white.
    pub const fn high(&self) -> f32 {
        self.high
    }

    /// The pixel for a value: scaled to 0..=255, rounded half to even, clamped. NaN is 0.
    pub fn to_u8(&self, value: f32) -> u8 {
        let scaled = (value - self.low) * (255.0 / (self.high - self.low));
        // `as` saturates and takes NaN to 0.
        libm::rintf(scaled) as u8
    }

    /// The value of a pixel: `low + (high - low) * (pixel / 255)`. [`ValueRange::to_u8`] takes it back to the same
    /// pixel, unless the range is so far from zero that f32 cannot tell 256 values apart in it.
    pub fn from_u8(&self, pixel: u8) -> f32 {
        self.low + (self.high - self.low) * (f32::from(pixel) / 255.0)
    }
}

impl fmt::Display for ValueRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.low, self.high)
    }
}

impl FromStr for ValueRange {
    type Err = ValueRangeError;

    fn from_str(text: &str) -> Result<Self, ValueRangeError> {
        let number = |text: &str| text.trim().parse().ok();
        text.split_once(',')
            .and_then(|(low, high)| Self::new(number(low)?, number(high)?))
            .ok_or(ValueRangeError)
    }
}

/// A text that is no value range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueRangeError;

impl fmt::Display for ValueRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected the values of black and white as LOW,HIGH, both finite and LOW below HIGH, such as 0,1 or -1,1",
        )
    }
}

impl core::error::Error for ValueRangeError {}

/// Why an image could not be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelError {
    /// The input cannot be divided into that many channels of equal length.
    Channels {
        /// The number of channels asked for.
        channels: usize,
        /// The number of values given.
        found: usize,
    },
    /// The output holds another number of values than the input.
    Length {
        /// The number of values in the input.
        expected: usize,
        /// The room in the output.
        found: usize,
    },
}

impl fmt::Display for PixelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Channels { channels, found } => {
                write!(f, "an image of {found} values cannot have {channels} channels of equal size")
            }
            Self::Length { expected, found } => {
                write!(f, "the image has {expected} values, but the output has room for {found}")
            }
        }
    }
}

impl core::error::Error for PixelError {}

fn check(channels: usize, input: usize, output: usize) -> Result<usize, PixelError> {
    if channels == 0 || !input.is_multiple_of(channels) {
        return Err(PixelError::Channels { channels, found: input });
    }
    if input != output {
        return Err(PixelError::Length { expected: input, found: output });
    }
    Ok(input / channels)
}

/// Planar values (C, H, W) to interleaved pixels (H, W, C), each by [`ValueRange::to_u8`].
///
/// # Errors
/// If `values` cannot be divided into `channels`, or `pixels` has another length.
pub fn chw_to_hwc(
    values: &[f32],
    channels: usize,
    range: ValueRange,
    pixels: &mut [u8],
) -> Result<(), PixelError> {
    let area = check(channels, values.len(), pixels.len())?;
    if area > 0 {
        for (channel, plane) in values.chunks_exact(area).enumerate() {
            for (value, pixel) in plane.iter().zip(pixels.chunks_exact_mut(channels)) {
                pixel[channel] = range.to_u8(*value);
            }
        }
    }
    Ok(())
}

/// Interleaved pixels (H, W, C) to planar values (C, H, W), each by [`ValueRange::from_u8`].
///
/// # Errors
/// If `pixels` cannot be divided into `channels`, or `values` has another length.
pub fn hwc_to_chw(
    pixels: &[u8],
    channels: usize,
    range: ValueRange,
    values: &mut [f32],
) -> Result<(), PixelError> {
    let area = check(channels, pixels.len(), values.len())?;
    if area > 0 {
        for (channel, plane) in values.chunks_exact_mut(area).enumerate() {
            for (value, pixel) in plane.iter_mut().zip(pixels.chunks_exact(channels)) {
                *value = range.from_u8(pixel[channel]);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_half_to_even_and_clamp() {
        let exact = ValueRange::new(0.0, 255.0).unwrap();
        let cases = [
            ("low", ValueRange::SIGNED, -1.0, 0),
            ("high", ValueRange::SIGNED, 1.0, 255),
            ("127.5 to even", ValueRange::SIGNED, 0.0, 128),
            ("below", ValueRange::SIGNED, -1.5, 0),
            ("above", ValueRange::SIGNED, 7.0, 255),
            ("-inf", ValueRange::SIGNED, f32::NEG_INFINITY, 0),
            ("inf", ValueRange::SIGNED, f32::INFINITY, 255),
            ("NaN", ValueRange::SIGNED, f32::NAN, 0),
            ("0.5 down to 0", exact, 0.5, 0),
            ("1.5 up to 2", exact, 1.5, 2),
            ("2.5 down to 2", exact, 2.5, 2),
            ("254.5 down to 254", exact, 254.5, 254),
            ("just over a half", exact, 2.500_001, 3),
            ("unit", ValueRange::UNIT, 0.2, 51),
        ];
        for (name, range, value, expected) in cases {
            assert_eq!(range.to_u8(value), expected, "{name}");
        }
    }

    #[test]
    fn every_pixel_survives_the_round_trip() {
        let ranges = [ValueRange::SIGNED, ValueRange::UNIT, ValueRange::new(-2.1179, 2.64).unwrap()];
        for range in ranges {
            assert_eq!(range.from_u8(0), range.low());
            for pixel in 0..=255 {
                assert_eq!(range.to_u8(range.from_u8(pixel)), pixel, "{range:?}");
            }
        }
        assert_eq!(ValueRange::SIGNED.from_u8(255), 1.0);
    }

    #[test]
    fn impossible_ranges_are_refused() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        for (low, high) in
            [(1.0, 1.0), (1.0, -1.0), (nan, 1.0), (0.0, nan), (-inf, 0.0), (0.0, inf), (f32::MIN, f32::MAX)]
        {
            assert_eq!(ValueRange::new(low, high), None, "{low} {high}");
        }
    }

    #[test]
    fn ranges_are_read_as_they_are_written() {
        for (text, low, high) in [("0,1", 0.0, 1.0), ("-1,1", -1.0, 1.0), (" 0 , 255 ", 0.0, 255.0)] {
            let range: ValueRange = text.parse().unwrap();
            assert_eq!(Some(range), ValueRange::new(low, high), "{text}");
            assert_eq!(std::format!("{range}").parse(), Ok(range), "{text}");
        }
        for text in ["", "1", "1,0", "0,0", "a,b", "0,1,2", "nan,1", "0,inf", "0;1"] {
            assert_eq!(text.parse::<ValueRange>(), Err(ValueRangeError), "{text}");
        }
    }

    #[test]
    fn planes_are_interleaved_and_back() {
        // Two channels of 1 x 3.
        let values = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0];
        let range = ValueRange::new(0.0, 255.0).unwrap();
        let mut pixels = [0; 6];
        chw_to_hwc(&values, 2, range, &mut pixels).unwrap();
        assert_eq!(pixels, [0, 10, 1, 11, 2, 12]);
        let mut back = [0.0; 6];
        hwc_to_chw(&pixels, 2, range, &mut back).unwrap();
        assert!(back.iter().zip(values).all(|(a, b)| (a - b).abs() < 1e-4), "{back:?}");
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut out = [0; 4];
        let convert =
            |n: usize, channels, out: &mut [u8]| chw_to_hwc(&[0.0; 8][..n], channels, ValueRange::UNIT, out);
        assert_eq!(convert(4, 0, &mut out), Err(PixelError::Channels { channels: 0, found: 4 }));
        assert_eq!(convert(4, 3, &mut out), Err(PixelError::Channels { channels: 3, found: 4 }));
        assert_eq!(convert(6, 3, &mut out), Err(PixelError::Length { expected: 6, found: 4 }));
        assert_eq!(convert(0, 3, &mut []), Ok(()));
        assert_eq!(
            hwc_to_chw(&[0; 4], 1, ValueRange::UNIT, &mut [0.0; 3]),
            Err(PixelError::Length { expected: 4, found: 3 })
        );
    }
}
