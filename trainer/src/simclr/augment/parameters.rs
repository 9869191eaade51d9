//! What one view looks like, and how that is drawn.

use latent_runtime::rng::Rng;

use super::AugmentSettings;

/// A part of an image, in pixels. It lies inside the image and is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropBox {
    /// Rows above it.
    pub top: usize,
    /// Columns left of it.
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

/// A change of colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JitterStep {
    /// Multiply.
    Brightness,
    /// Blend with the mean of the gray image.
    Contrast,
    /// Blend with the gray image.
    Saturation,
    /// Shift H in HSV.
    Hue,
}

/// How colors are changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// Factor of brightness; 1 changes nothing.
    pub brightness: f32,
    /// Factor of contrast; 1 changes nothing.
    pub contrast: f32,
    /// Factor of saturation; 1 changes nothing.
    pub saturation: f32,
    /// Shift of the hue as a part of the circle, -1/2 to 1/2.
    pub hue: f32,
    /// Which comes first.
    pub order: [JitterStep; 4],
}

/// Everything that makes a view of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewParameters {
    /// The part that is shown.
    pub crop: CropBox,
    /// Whether left and right change places.
    pub flip: bool,
    /// The change of colors, if there is one.
    pub jitter: Option<Jitter>,
    /// Whether the view is gray.
    pub grayscale: bool,
}

impl ViewParameters {
    /// The whole image as it is.
    pub fn whole(height: usize, width: usize) -> Self {
        Self { crop: CropBox { top: 0, left: 0, height, width }, flip: false, jitter: None, grayscale: false }
    }
}

/// The generator for one view: `view` 0 or 1 of the data set's image `image` in the batch `batch` (counted over all epochs).
///
/// It depends on nothing else, so that views are the same in whatever order, and on however many threads, they are made.
pub fn view_rng(seed: u64, batch: u64, image: u32, view: u32) -> Rng {
    let key = Rng::from_seed(seed).next_u64() ^ batch;
    let key = Rng::from_seed(key).next_u64() ^ (u64::from(image) << 32 | u64::from(view));
    Rng::from_seed(key)
}

impl AugmentSettings {
    /// Draws a view of an image of this many rows and columns.
    pub fn draw(&self, rng: &mut Rng, height: usize, width: usize) -> ViewParameters {
        let crop = self.draw_crop(rng, height, width);
        let flip = chance(rng, self.flip);
        let jitter = chance(rng, self.jitter).then(|| {
            use JitterStep::{Brightness, Contrast, Hue, Saturation};
            let mut order = [Brightness, Contrast, Saturation, Hue];
            rng.shuffle(&mut order);
            let mut factor = |strength: f64| uniform(rng, (1.0 - strength).max(0.0), 1.0 + strength) as f32;
            let (brightness, contrast, saturation) =
                (factor(self.brightness), factor(self.contrast), factor(self.saturation));
            let hue = uniform(rng, -self.hue, self.hue) as f32;
            Jitter { brightness, contrast, saturation, hue, order }
        });
        ViewParameters { crop, flip, jitter, grayscale: chance(rng, self.grayscale) }
    }

    /// torchvision's `RandomResizedCrop.get_params`: ten tries of an area and a proportion, then the largest part in the middle
    /// whose proportion is allowed.
    fn draw_crop(&self, rng: &mut Rng, height: usize, width: usize) -> CropBox {
        let area = (height * width) as f64;
        let [narrow, wide] = self.ratio;
        for _ in 0..10 {
            let target = area * uniform(rng, self.scale[0], self.scale[1]);
            let ratio = libm::exp(uniform(rng, libm::log(narrow), libm::log(wide)));
            let w = rounded((target * ratio).sqrt());
            let h = rounded((target / ratio).sqrt());
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = rng.below((height - h + 1) as u32) as usize;
                let left = rng.below((width - w + 1) as u32) as usize;
                return CropBox { top, left, height: h, width: w };
            }
        }
        let whole = width as f64 / height as f64;
        let (h, w) = if whole < narrow {
            (rounded(width as f64 / narrow), width)
        } else if whole > wide {
            (height, rounded(height as f64 * wide))
        } else {
            (height, width)
        };
        let (h, w) = (h.clamp(1, height), w.clamp(1, width));
        CropBox { top: (height - h) / 2, left: (width - w) / 2, height: h, width: w }
    }
}

/// Python's `round`. Negative values, which do not occur, would be 0.
fn rounded(value: f64) -> usize {
    value.round_ties_even() as usize
}

fn uniform(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * f64::from(rng.next_f32())
}

fn chance(rng: &mut Rng, probability: f64) -> bool {
    f64::from(rng.next_f32()) < probability
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u32 = 40_000;

    fn draws(settings: &AugmentSettings, height: usize, width: usize) -> Vec<ViewParameters> {
        (0..COUNT).map(|i| settings.draw(&mut view_rng(7, 3, i, 1), height, width)).collect()
    }

    /// Shares over 40 000 draws have a standard error of at most 0.0025.
    fn assert_share(name: &str, found: usize, expected: f64) {
        let share = found as f64 / f64::from(COUNT);
        assert!((share - expected).abs() < 0.0125, "{name}: {share}, expected {expected}");
    }

    #[test]
    fn crops_lie_inside_and_have_the_areas_and_proportions_asked_for() {
        let cases = [
            (AugmentSettings::REFERENCE, 32, 32),
            (AugmentSettings::MODERN, 32, 32),
            (AugmentSettings::REFERENCE, 48, 96),
            (AugmentSettings { scale: [0.001, 0.002], ..AugmentSettings::REFERENCE }, 3, 5),
        ];
        for (settings, height, width) in cases {
            let draws = draws(&settings, height, width);
            for ViewParameters { crop, .. } in &draws {
                assert!(crop.height > 0 && crop.top + crop.height <= height, "{crop:?}");
                assert!(crop.width > 0 && crop.left + crop.width <= width, "{crop:?}");
            }
        }
        // Where no try fails, areas are uniform: their mean is the middle of the range.
        let settings = AugmentSettings { scale: [0.08, 0.5], ..AugmentSettings::REFERENCE };
        let draws = draws(&settings, 128, 128);
        let mean = |f: fn(&CropBox) -> f64| draws.iter().map(|d| f(&d.crop)).sum::<f64>() / f64::from(COUNT);
        let area = mean(|c| (c.height * c.width) as f64 / (128.0 * 128.0));
        assert!((area - 0.29).abs() < 0.004, "{area}");
        let log_ratio = mean(|c| (c.width as f64 / c.height as f64).ln());
        assert!(log_ratio.abs() < 0.01, "{log_ratio}");
        let wide = draws.iter().filter(|d| d.crop.width as f64 > 1.155 * d.crop.height as f64).count();
        assert_share("wider than the square root of 4/3", wide, 0.25);
    }

    #[test]
    fn a_crop_that_never_fits_is_the_middle() {
        let settings = AugmentSettings { scale: [1.0, 1.0], ratio: [1.0, 1.0], ..AugmentSettings::REFERENCE };
        let cases = [((10, 40), (0, 15, 10, 10)), ((40, 10), (15, 0, 10, 10)), ((9, 9), (0, 0, 9, 9))];
        for ((height, width), (top, left, h, w)) in cases {
            let crop = settings.draw(&mut Rng::from_seed(1), height, width).crop;
            assert_eq!(crop, CropBox { top, left, height: h, width: w });
        }
    }

    #[test]
    fn the_rest_has_its_probabilities_and_ranges() {
        let settings = AugmentSettings::REFERENCE;
        let draws = draws(&settings, 32, 32);
        assert_share("flips", draws.iter().filter(|d| d.flip).count(), 0.5);
        assert_share("gray", draws.iter().filter(|d| d.grayscale).count(), 0.2);
        let jitters: Vec<Jitter> = draws.iter().filter_map(|d| d.jitter).collect();
        assert_share("jitter", jitters.len(), 0.8);
        let mut orders = std::collections::HashMap::new();
        for jitter in &jitters {
            for factor in [jitter.brightness, jitter.contrast, jitter.saturation] {
                assert!((0.6..=1.4).contains(&factor), "{jitter:?}");
            }
            assert!((-0.1..=0.1).contains(&jitter.hue), "{jitter:?}");
            *orders.entry(format!("{:?}", jitter.order)).or_insert(0usize) += 1;
        }
        assert_eq!(orders.len(), 24);
        for (order, count) in orders {
            assert_share(&order, count, 0.8 / 24.0);
        }
        let mean = |f: fn(&Jitter) -> f32| jitters.iter().map(f).sum::<f32>() / jitters.len() as f32;
        for (name, found, expected) in [
            ("brightness", mean(|j| j.brightness), 1.0),
            ("contrast", mean(|j| j.contrast), 1.0),
            ("saturation", mean(|j| j.saturation), 1.0),
            ("hue", mean(|j| j.hue), 0.0),
        ] {
            assert!((found - expected).abs() < 0.008, "{name}: {found}");
        }
    }

    #[test]
    fn each_part_of_the_key_matters() {
        let first = |seed, batch, image, view| view_rng(seed, batch, image, view).next_u64();
        let mut seen = std::collections::HashSet::new();
        for seed in 0..4 {
            for batch in 0..16 {
                for image in 0..64 {
                    for view in 0..2 {
                        assert!(seen.insert(first(seed, batch, image, view)));
                    }
                }
            }
        }
        assert_eq!(first(1, 2, 3, 1), first(1, 2, 3, 1));
    }
}
