//! Draws several precisions and back ends of one model beside each other.

use latent_runtime::onnx::ImageShape;

use super::paint::WalkPainter;
use crate::draw::theme::{DIM, FAINT, LINE, TEXT};
use crate::draw::{Align, Rect, Weight};
use crate::model::Images;
use crate::picture::Picture;
use crate::text;

impl WalkPainter<'_, '_> {
    pub(super) fn compare(&mut self) {
        let (scene, s) = (self.scene, self.painter.scale);
        let Some(shown) = &scene.shown else { return };
        let view = self.shell.viewport;
        let count = shown.results.len().max(1);
        let image = scene.config.file.image;
        let reference = shown.results.first().and_then(|result| result.images.as_ref().ok());
        // An image and its difference, if there is something to compare with.
        let images = if count == 1 { 1 } else { 2 };
        // Columns beside each other; rows of columns if that makes the images larger.
        let fit = |rows: usize| {
            let columns = count.div_ceil(rows);
            let (w, h) = (view.w / columns as f32 - 24.0 * s, view.h / rows as f32 - 108.0 * s);
            let high = (images * image.height) as f32;
            ((w / image.width as f32).min(h / high).max(1.0) as usize, columns, rows)
        };
        let (scale, columns, rows) = (1..=count.min(3))
            .map(fit)
            .max_by_key(|&(scale, _, rows)| (scale, std::cmp::Reverse(rows)))
            .unwrap_or((1, 1, 1));
        let (w, h) = ((image.width * scale) as f32, (image.height * scale) as f32);
        let (cell_w, cell_h) = (view.w / columns as f32, view.h / rows as f32);
        for (index, (config, result)) in shown.request.configs.iter().zip(&shown.results).enumerate() {
            let x = (view.x + cell_w * ((index % columns) as f32 + 0.5) - w / 2.0).floor();
            let top = (view.y
                + cell_h * (index / columns) as f32
                + (cell_h - images as f32 * h - 92.0 * s).max(0.0) / 2.0)
                .floor();
            let middle = x + w / 2.0;
            let title = format!("{} · {}", config.file.precision, config.engine);
            let fits = self.painter.fonts.width(&title, 15.0 * s, Weight::SemiBold) <= cell_w - 8.0 * s;
            let (title, below) =
                if fits { (title.as_str(), "") } else { (config.file.precision, config.engine.name()) };
            let baseline = top + if fits { 16.0 } else { 6.0 } * s;
            self.painter.text(title, (middle, baseline), 15.0, Weight::SemiBold, TEXT, Align::Center);
            self.painter.text(below, (middle, top + 21.0 * s), 12.0, Weight::Regular, TEXT, Align::Center);
            let latency = self.shell.figures.latencies.get(index).copied().flatten();
            let figures = match latency {
                Some((p50, _)) if cell_w < 150.0 * s => text::duration(p50),
                Some((p50, p99)) => format!("{}   p99 {}", text::duration(p50), text::duration(p99)),
                None => "idle".into(),
            };
            self.painter.text(&figures, (middle, top + 36.0 * s), 12.0, Weight::Regular, DIM, Align::Center);
            let y = top + 48.0 * s;
            let place = Rect::new(x, y, w, h);
            self.painter.canvas.frame(place.grown(1.0), LINE);
            match &result.images {
                Ok(images) => {
                    if let Some(picture) = images.pictures.first() {
                        self.painter.canvas.picture(picture, x as i32, y as i32, scale, view);
                    }
                    let below = place.y + h + 10.0 * s;
                    if index == 0 {
                        let label =
                            if count == 1 { "no other precision or back end" } else { "the reference" };
                        self.painter.text(
                            label,
                            (middle, below + 16.0 * s),
                            12.0,
                            Weight::Regular,
                            FAINT,
                            Align::Center,
                        );
                    } else if let Some(reference) = reference {
                        let range = config.file.encoding.range;
                        let range = f64::from(range.high() - range.low());
                        let (picture, psnr) = difference(
                            &reference.values,
                            &images.values,
                            image,
                            scene.amplification / range as f32,
                            range,
                        );
                        self.painter.canvas.frame(Rect::new(x, below, w, h).grown(1.0), LINE);
                        self.painter.canvas.picture(&picture, x as i32, below as i32, scale, view);
                        let seen =
                            |images: &Images| images.pictures.first().map(|picture| picture.pixels.clone());
                        let what = if cell_w < 170.0 * s { "" } else { "difference " };
                        let label = match psnr.is_finite() {
                            true if seen(images) == seen(reference) => "the same to 8 bits".into(),
                            true => format!("{what}×{}   {psnr:.1} dB", scene.amplification),
                            false => "no difference".into(),
                        };
                        self.painter.text(
                            &label,
                            (middle, below + h + 18.0 * s),
                            12.0,
                            Weight::Regular,
                            FAINT,
                            Align::Center,
                        );
                    }
                }
                Err(error) => self.painter.error(place, &error.to_string()),
            }
        }
    }
}

/// The absolute difference of two images in gray (the mean of the channels), times `amplification`, 1 being white; and
/// the peak signal-to-noise ratio in decibels for values that span `range`.
fn difference(a: &[f32], b: &[f32], image: ImageShape, amplification: f32, range: f64) -> (Picture, f64) {
    let area = image.height * image.width;
    let mut picture = Picture::black(image.width, image.height, 1);
    for (index, pixel) in picture.pixels.iter_mut().enumerate() {
        let sum: f32 = (0..image.channels)
            .filter_map(|channel| {
                Some((a.get(channel * area + index)? - b.get(channel * area + index)?).abs())
            })
            .sum();
        *pixel = (sum / image.channels as f32 * amplification * 255.0).min(255.0) as u8;
    }
    let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let mean = squares / a.len().min(b.len()).max(1) as f64;
    (picture, 10.0 * (range * range / mean).log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_amplified_and_measured() {
        let image = ImageShape { channels: 1, height: 1, width: 3 };
        let (picture, psnr) = difference(&[0.0, 0.5, -1.0], &[0.0, 0.3, 1.0], image, 0.5, 2.0);
        assert_eq!(picture.pixels, [0, 25, 255]);
        let mean: f64 = (0.04 + 4.0) / 3.0;
        assert!((psnr - 10.0 * (4.0 / mean).log10()).abs() < 1e-5);
        assert_eq!(difference(&[1.0; 3], &[1.0; 3], image, 1.0, 2.0).1, f64::INFINITY);
    }
}
