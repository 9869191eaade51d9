//! Figures about a data set: what `trainer data info` prints.

use sha2::{Digest, Sha256};

use super::Dataset;

/// Counts and moments of one split.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Stats {
    pub images: usize,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Each class's name and number of images, in order of label.
    pub classes: Vec<ClassCount>,
    /// Mean of each channel, of values scaled to 0..=1.
    pub mean: Vec<f64>,
    /// Standard deviation of each channel, of values scaled to 0..=1, over all pixels (not corrected for sample size).
    pub std: Vec<f64>,
    /// SHA-256 of all pixel bytes in order (N x C x H x W), in hexadecimal.
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ClassCount {
    pub name: String,
    pub images: usize,
}

/// Works out the figures. Sums are integers, so the result does not depend on any order.
pub fn stats(data: &Dataset) -> Stats {
    let plane = data.height * data.width;
    let mut sums = vec![(0u64, 0u64); data.channels];
    if plane > 0 && data.channels > 0 {
        for (i, values) in data.pixels.chunks_exact(plane).enumerate() {
            // 255^2 * 4096^2 fits 41 bits: no overflow within one plane, and sums of up to 2^23 of them.
            let (mut sum, mut squares) = (0u64, 0u64);
            for &v in values {
                sum += u64::from(v);
                squares += u64::from(v) * u64::from(v);
            }
            let (s, q) = &mut sums[i % data.channels];
            *s += sum;
            *q += squares;
        }
    }
    let count = (data.len() * plane).max(1) as f64;
    let moments = |&(sum, squares): &(u64, u64)| {
        let mean = sum as f64 / count;
        let variance = (squares as f64 / count - mean * mean).max(0.0);
        (mean / 255.0, variance.sqrt() / 255.0)
    };
    let mut per_class = vec![0; data.class_names.len()];
    for &label in &data.labels {
        if let Some(n) = per_class.get_mut(label as usize) {
            *n += 1;
        }
    }
    Stats {
        images: data.len(),
        shape: [data.channels, data.height, data.width],
        classes: data
            .class_names
            .iter()
            .zip(per_class)
            .map(|(name, images)| ClassCount { name: name.clone(), images })
            .collect(),
        mean: sums.iter().map(|s| moments(s).0).collect(),
        std: sums.iter().map(|s| moments(s).1).collect(),
        sha256: hex(&Sha256::digest(&data.pixels)),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_counts_by_hand() {
        let data = Dataset {
            name: "test".to_owned(),
            source: "test".to_owned(),
            channels: 2,
            height: 1,
            width: 2,
            // Channel 0: 0, 255, 255, 0. Channel 1: 51 throughout.
            pixels: vec![0, 255, 51, 51, 255, 0, 51, 51],
            labels: vec![1, 1],
            class_names: vec!["a".to_owned(), "b".to_owned()],
        };
        let figures = stats(&data);
        assert_eq!((figures.images, figures.shape), (2, [2, 1, 2]));
        assert_eq!(figures.mean, [0.5, 0.2]);
        assert_eq!(figures.std, [0.5, 0.0]);
        assert_eq!(figures.classes.iter().map(|c| c.images).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(hex(&[0x0f, 0xa0]), "0fa0");
        assert_eq!(figures.sha256.len(), 64);
    }
}
