//! Images at another resolution.

use super::convolution::four;
use super::{Array, Real};
use crate::graph::{Coordinates, Interpolation, Resize};

pub(super) fn resize<T: Real>(resize: &Resize, x: &Array<T>) -> Array<T> {
    let [batch, channels, height, width] = four(&x.shape);
    let [rows, columns] = resize.output;
    let row_taps: Vec<_> = (0..rows).map(|row| taps::<T>(resize, 0, row, height)).collect();
    let column_taps: Vec<_> = (0..columns).map(|column| taps::<T>(resize, 1, column, width)).collect();
    let mut result = Array::zeros(vec![batch, channels, rows, columns]);
    for plane in 0..batch * channels {
        let image = &x.data[plane * height * width..][..height * width];
        for (row, rows_from) in row_taps.iter().enumerate() {
            for (column, columns_from) in column_taps.iter().enumerate() {
                let mut sum = T::default();
                for &(i, row_weight) in rows_from {
                    for &(j, column_weight) in columns_from {
                        sum += row_weight * column_weight * image[i * width + j];
                    }
                }
                result.data[(plane * rows + row) * columns + column] = sum;
            }
        }
    }
    result
}

/// The input pixels along one axis that an output pixel is made of, with their weights.
fn taps<T: Real>(resize: &Resize, axis: usize, at: usize, length: usize) -> Vec<(usize, T)> {
    let (output, scale) = (resize.output[axis], f64::from(resize.scale[axis]));
    let half_pixel = (at as f64 + 0.5) / scale - 0.5;
    let place = match resize.coordinates {
        Coordinates::HalfPixel => half_pixel,
        Coordinates::PytorchHalfPixel => {
            if output > 1 {
                half_pixel
            } else {
                0.0
            }
        }
        Coordinates::Asymmetric => at as f64 / scale,
        Coordinates::AlignCorners if output > 1 => at as f64 * (length as f64 - 1.0) / (output as f64 - 1.0),
        Coordinates::AlignCorners => 0.0,
    };
    let last = length as f64 - 1.0;
    if let Interpolation::Cubic { a } = resize.interpolation {
        let below = place.floor();
        let weights = cubic(place - below, a.into());
        // Beyond the border the outermost pixel is repeated.
        let tap = |(at, weight): (usize, f64)| {
            ((below + at as f64 - 1.0).clamp(0.0, last) as usize, T::from_f64(weight))
        };
        return weights.into_iter().enumerate().map(tap).collect();
    }
    let nearest = match resize.interpolation {
        Interpolation::RoundPreferFloor => (place - 0.5).ceil(),
        Interpolation::RoundPreferCeil => (place + 0.5).floor(),
        Interpolation::Floor => place.floor(),
        Interpolation::Ceil => place.ceil(),
        // Above.
        Interpolation::Cubic { .. } => place,
        Interpolation::Linear => {
            // Beyond the border the outermost pixel counts.
            let place = place.clamp(0.0, last);
            let below = place.floor();
            let above = T::from_f64(place - below);
            let second = (below + 1.0).min(last) as usize;
            return vec![(below as usize, T::from_f64(1.0) - above), (second, above)];
        }
    };
    vec![(nearest.clamp(0.0, last) as usize, T::from_f64(1.0))]
}

/// The weights of the two pixels before and the two after a place that lies `t` behind the second (Keys, 1981).
fn cubic(t: f64, a: f64) -> [f64; 4] {
    let near = |d: f64| ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
    let far = |d: f64| ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a;
    [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
}
