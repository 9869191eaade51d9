//! A picture of what the augmentation does.

use latent_runtime::rng::Rng;

use super::augment::{AugmentError, AugmentSettings, Normalization, Renderer, ViewParameters, view_rng};
use crate::data::Dataset;
use crate::report::draw::{Anchor, Canvas, Color, Frame, Pen, Picture, Weight, palette};

/// Side of a view in points.
const SIDE: f32 = 48.0;
/// Distance between views.
const GAP: f32 = 5.0;
/// Room for the classes' names.
const NAMES: f32 = 96.0;
const MARGIN: f32 = 24.0;
/// Most images, and most views of each, in a picture.
const MOST: usize = 64;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShowError {
    /// There are no views.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    #[error("{images} images with {views} views each are no picture: show 1 to {MOST} of each")]
    Count {
        /// Images asked for.
        images: usize,
        views: usize,
    },
    #[error("cannot encode the picture: {0}")]
    Encoding(#[from] png::EncodingError),
}

/// Draws `images` images of a data set, in turn of each class, and beside each `views` of its views, as they are drawn for `seed`.
/// Gives a PNG. Colors are shown as they are before normalization.
pub fn augmentations_png(
    data: &Dataset,
    settings: &AugmentSettings,
    seed: u64,
    images: usize,
    views: usize,
) -> Result<Vec<u8>, ShowError> {
    if !(1..=MOST).contains(&images) || !(1..=MOST).contains(&views) {
        return Err(ShowError::Count { images, views });
    }
    let renderer = Renderer::new(data, *settings, Normalization::NONE)?;
    let chosen = choose(data, seed, images);
    let width = MARGIN + NAMES + SIDE + 4.0 * GAP + views as f32 * (SIDE + GAP) - GAP + MARGIN;
    let top = 84.0;
    let height = top + chosen.len() as f32 * (SIDE + GAP) - GAP + MARGIN;
    let mut canvas = Canvas::new(width, height, palette::PAPER);
    let mut write = |text: &str, x: f32, y: f32, size: f32, weight: Weight, anchor: Anchor, color: Color| {
        canvas.text(text, x, y, size, weight, anchor, color);
    };
    let first = MARGIN + NAMES + SIDE + 4.0 * GAP;
    write(
        "Views for contrastive learning",
        MARGIN,
        32.0,
        17.0,
        Weight::SemiBold,
        Anchor::Start,
        palette::INK,
    );
    write(&summary(settings), MARGIN, 51.0, 10.5, Weight::Regular, Anchor::Start, palette::SOFT);
    for (text, x) in [("image", MARGIN + NAMES), ("views", first)] {
        write(text, x, 75.0, 10.5, Weight::Regular, Anchor::Start, palette::SOFT);
    }
    let mut values = vec![0f32; views * renderer.view_len()];
    for (row, image) in chosen.iter().enumerate() {
        let y = top + row as f32 * (SIDE + GAP);
        let frame = |x: f32| Frame { left: x, top: y, right: x + SIDE, bottom: y + SIDE };
        let label = data.labels[*image as usize] as usize;
        let name = data.class_names.get(label).map_or("", String::as_str);
        canvas.text(name, MARGIN, y + SIDE / 2.0 + 4.0, 11.5, Weight::Regular, Anchor::Start, palette::INK);
        let Dataset { channels, height, width, .. } = *data;
        let pixels = data.image(*image as usize);
        canvas.picture(&Picture { pixels, channels, height, width }, frame(MARGIN + NAMES));
        canvas.outline_frame(frame(MARGIN + NAMES), Pen::solid(palette::INK, 1.0));

        let drawn: Vec<ViewParameters> = (0..views as u32)
            .map(|view| settings.draw(&mut view_rng(seed, 0, *image, view), height, width))
            .collect();
        renderer.render(&vec![*image; views], &drawn, &mut values)?;
        for (column, view) in values.chunks_exact(renderer.view_len()).enumerate() {
            let pixels: Vec<u8> = view.iter().map(|value| (255.0 * value).round() as u8).collect();
            let view = Picture { pixels: &pixels, channels: 3, height: settings.size, width: settings.size };
            canvas.picture(&view, frame(first + column as f32 * (SIDE + GAP)));
        }
    }
    Ok(canvas.png()?)
}

/// Images at random, one of each class and then again one of each.
fn choose(data: &Dataset, seed: u64, count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..data.len() as u32).collect();
    Rng::from_seed(seed).shuffle(&mut order);
    let mut seen = vec![0usize; data.class_names.len().max(1)];
    // How many of its class come before each image.
    let mut turns: Vec<(usize, u32, u32)> = order
        .into_iter()
        .map(|image| {
            let label = data.labels[image as usize];
            let before = seen.get_mut(label as usize).map_or(usize::MAX, |seen| {
                *seen += 1;
                *seen - 1
            });
            (before, label, image)
        })
        .collect();
    turns.sort_unstable_by_key(|(before, label, _)| (*before, *label));
    turns.into_iter().take(count).map(|turn| turn.2).collect()
}

fn summary(settings: &AugmentSettings) -> String {
    let AugmentSettings { scale, flip, jitter, brightness, contrast, saturation, hue, grayscale, .. } =
        settings;
    format!(
        "parts of {:.0}–{:.0} % of the area · flip {flip} · color {jitter}: brightness ±{brightness}, contrast ±{contrast}, \
         saturation ±{saturation}, hue ±{hue} · gray {grayscale}",
        100.0 * scale[0],
        100.0 * scale[1],
    )
    .replace(" %", "\u{a0}%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSpec, LoadOptions, Split};

    fn objects() -> Dataset {
        let spec: DataSpec = "synth-objects:60".parse().unwrap();
        spec.load(Split::Train, &LoadOptions::default()).unwrap()
    }

    fn decode(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width as usize, info.height as usize, pixels)
    }

    #[test]
    fn an_image_stands_before_its_views() {
        let data = objects();
        let settings = AugmentSettings::REFERENCE;
        let png = augmentations_png(&data, &settings, 3, 4, 5).unwrap();
        assert_eq!(png, augmentations_png(&data, &settings, 3, 4, 5).unwrap());
        assert_ne!(png, augmentations_png(&data, &settings, 4, 4, 5).unwrap());
        let (width, height, pixels) = decode(&png);
        let at = |x: f32, y: f32| {
            let start = 3 * ((2.0 * y) as usize * width + (2.0 * x) as usize);
            [pixels[start], pixels[start + 1], pixels[start + 2]]
        };
        assert!(width > 2 * 400 && height > 2 * 250);
        // Each pixel of an image is a square of three.
        let image = data.image(choose(&data, 3, 4)[2] as usize);
        for (x, y) in [(4, 9), (20, 13), (30, 30)] {
            let expected = [0, 1, 2].map(|c| image[(c * 32 + y) * 32 + x]);
            let (left, top) = (MARGIN + NAMES, 84.0 + 2.0 * (SIDE + GAP));
            let found = at(left + 1.5 * (x as f32 + 0.5), top + 1.5 * (y as f32 + 0.5));
            assert_eq!(found, expected, "{x} {y}");
        }
    }

    #[test]
    fn images_are_of_each_class_in_turn() {
        let data = objects();
        let chosen = choose(&data, 1, 20);
        let labels: Vec<u32> = chosen.iter().map(|i| data.labels[*i as usize]).collect();
        let mut present: Vec<u32> = data.labels.clone();
        present.sort_unstable();
        present.dedup();
        assert_eq!(labels[..present.len()], present);
        let mut once = chosen.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), 20);
        assert_eq!(choose(&data, 1, 1000).len(), 60);
    }

    #[test]
    fn what_cannot_be_shown_is_said() {
        let data = objects();
        for (images, views) in [(0, 1), (1, 0), (65, 1), (1, 65)] {
            let error = augmentations_png(&data, &AugmentSettings::MODERN, 0, images, views).unwrap_err();
            assert!(matches!(error, ShowError::Count { .. }), "{error}");
        }
        let gray = Dataset { channels: 1, ..data };
        let error = augmentations_png(&gray, &AugmentSettings::MODERN, 0, 1, 1).unwrap_err();
        assert!(error.to_string().contains("have 1 channels"), "{error}");
    }
}
