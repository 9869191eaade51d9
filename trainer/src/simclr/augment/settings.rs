//! How strongly views differ from their image.

use latent_files::run;
use serde::{Deserialize, Serialize};

use super::AugmentError;

/// Ranges and probabilities of the steps. See [`AugmentSettings::REFERENCE`] and [`AugmentSettings::MODERN`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentSettings {
    /// Height and width of a view in pixels.
    pub size: usize,
    /// Least and greatest area of the part that a view shows, as a share of the image's.
    pub scale: [f64; 2],
    /// Least and greatest proportion width / height of the part; its logarithm is uniform.
    pub ratio: [f64; 2],
    /// Probability of a horizontal flip.
    pub flip: f64,
    /// Probability that colors are changed at all (brightness, contrast, saturation, hue).
    pub jitter: f64,
    /// Brightness is multiplied by a factor from `1 - brightness` to `1 + brightness`.
    pub brightness: f64,
    /// Contrast, likewise.
    pub contrast: f64,
    /// Saturation, likewise.
    pub saturation: f64,
    /// Hue is shifted by up to this part of the circle either way; at most 1/2.
    pub hue: f64,
    /// Probability of a gray view.
    pub grayscale: f64,
}

impl AugmentSettings {
    /// The notebook's: crops from 0.08 of the area, jitter 0.8 of 0.4/0.4/0.4/0.1, gray 0.2.
    pub const REFERENCE: Self = Self {
        size: 32,
        scale: [0.08, 1.0],
        ratio: [3.0 / 4.0, 4.0 / 3.0],
        flip: 0.5,
        jitter: 0.8,
        brightness: 0.4,
        contrast: 0.4,
        saturation: 0.4,
        hue: 0.1,
        grayscale: 0.2,
    };

    /// What later recipes for CIFAR-10 use: the same with crops from 0.2 of the area and gray 0.1.
    pub const MODERN: Self = Self { scale: [0.2, 1.0], grayscale: 0.1, ..Self::REFERENCE };

    /// Checks that every setting is in its range.
    ///
    /// # Errors
    /// [`AugmentError::Setting`] for the first that is not.
    pub fn validate(&self) -> Result<(), AugmentError> {
        fn require(
            good: bool,
            setting: &'static str,
            found: impl std::fmt::Debug,
            expected: &'static str,
        ) -> Result<(), AugmentError> {
            let found = format!("{found:?}");
            if good { Ok(()) } else { Err(AugmentError::Setting { setting, found, expected }) }
        }
        let [low, high] = self.scale;
        require((1..=1024).contains(&self.size), "size", self.size, "1 to 1024 pixels")?;
        require(
            0.0 < low && low <= high && high <= 1.0,
            "crop scale",
            self.scale,
            "two areas with 0 < least <= greatest <= 1",
        )?;
        let [low, high] = self.ratio;
        require(
            0.0 < low && low <= high && high.is_finite(),
            "aspect ratio",
            self.ratio,
            "two with 0 < least <= greatest",
        )?;
        for (setting, value) in [
            ("probability of a flip", self.flip),
            ("probability of color jitter", self.jitter),
            ("probability of gray", self.grayscale),
        ] {
            require((0.0..=1.0).contains(&value), setting, value, "0 to 1")?;
        }
        for (setting, value) in
            [("brightness", self.brightness), ("contrast", self.contrast), ("saturation", self.saturation)]
        {
            require((0.0..=10.0).contains(&value), setting, value, "0 (no change) to 10")?;
        }
        require((0.0..=0.5).contains(&self.hue), "hue", self.hue, "0 (no change) to 0.5")
    }
}

/// What is subtracted from each channel (red, green, blue; values 0 to 1) and what it is then divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    pub mean: [f32; 3],
    /// Standard deviations.
    pub std: [f32; 3],
}

impl From<Normalization> for run::Normalization {
    fn from(by: Normalization) -> Self {
        Self { mean: by.mean.into(), std: by.std.into() }
    }
}

impl Normalization {
    /// CIFAR-10's, as the notebook has them.
    pub const CIFAR10: Self = Self { mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.2010] };

    /// Leaves values as they are.
    pub const NONE: Self = Self { mean: [0.0; 3], std: [1.0; 3] };

    /// That of a run.
    ///
    /// # Errors
    /// [`AugmentError::Setting`] if it is not for images in color.
    pub fn of(run: &run::Normalization) -> Result<Self, AugmentError> {
        match (run.mean[..].try_into(), run.std[..].try_into()) {
            (Ok(mean), Ok(std)) => Ok(Self { mean, std }),
            _ => Err(AugmentError::Setting {
                setting: "normalization",
                found: format!("mean {:?}, std {:?}", run.mean, run.std),
                expected: "one of each for red, green and blue",
            }),
        }
    }

    /// Checks that normalized values are finite.
    pub fn validate(&self) -> Result<(), AugmentError> {
        let good =
            self.mean.iter().all(|m| m.is_finite()) && self.std.iter().all(|s| *s > 1e-6 && s.is_finite());
        if good {
            return Ok(());
        }
        Err(AugmentError::Setting {
            setting: "normalization",
            found: format!("mean {:?}, std {:?}", self.mean, self.std),
            expected: "finite means and positive deviations",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_named() {
        let good = AugmentSettings::REFERENCE;
        for settings in [good, AugmentSettings::MODERN] {
            settings.validate().unwrap();
        }
        let cases = [
            (AugmentSettings { size: 0, ..good }, "size is 0, expected 1 to 1024 pixels"),
            (AugmentSettings { scale: [0.0, 1.0], ..good }, "crop scale is [0.0, 1.0]"),
            (AugmentSettings { scale: [0.5, 0.4], ..good }, "crop scale is [0.5, 0.4]"),
            (AugmentSettings { scale: [0.5, f64::NAN], ..good }, "crop scale is [0.5, NaN]"),
            (AugmentSettings { ratio: [0.75, f64::INFINITY], ..good }, "aspect ratio is [0.75, inf]"),
            (AugmentSettings { flip: 1.5, ..good }, "probability of a flip is 1.5, expected 0 to 1"),
            (AugmentSettings { jitter: -0.1, ..good }, "probability of color jitter is -0.1"),
            (AugmentSettings { grayscale: f64::NAN, ..good }, "probability of gray is NaN"),
            (AugmentSettings { contrast: -1.0, ..good }, "contrast is -1.0"),
            (AugmentSettings { hue: 0.6, ..good }, "hue is 0.6, expected 0 (no change) to 0.5"),
        ];
        for (settings, expected) in cases {
            let message = settings.validate().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        Normalization::CIFAR10.validate().unwrap();
        for std in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Normalization { std: [std, 1.0, 1.0], ..Normalization::NONE }.validate().is_err());
        }
    }
}
