//! Draws what is on the screen.

use super::brush::Brush;
use super::{Item, Kind};
use crate::app::{App, HELP, Map, Mode};
use crate::draw::theme::{ACCENT, BACKGROUND, CONTROL_HOVER, Color, DIM, FAINT, LINE, PANEL, TEXT};
use crate::draw::{Align, Canvas, Fonts, Rect, Weight};
use crate::picture::Picture;
use crate::text;

/// Draws everything.
pub fn paint(app: &App, items: &[Item], canvas: &mut Canvas, fonts: &mut Fonts, scale: f32) {
    canvas.clear(BACKGROUND);
    let mut painter = Painter { app, brush: Brush { canvas, fonts, s: scale }, s: scale };
    let over = app.pointer.at.and_then(|(x, y)| {
        items.iter().rposition(|item| item.is_interactive() && item.hit_area().contains(x, y))
    });
    for (index, item) in items.iter().enumerate() {
        painter.item(item, over == Some(index) && !app.help);
    }
    painter.brush.message(app.message.as_ref(), app.viewport);
    if let Some(item) = over.and_then(|index| items.get(index)).filter(|_| !app.help) {
        painter.brush.tooltip(item);
    }
    if app.help {
        painter.brush.help(HELP, [&[0, 1, 4], &[2, 3, 5]]);
    }
}

struct Painter<'a> {
    app: &'a App,
    brush: Brush<'a>,
    /// The enlargement of the interface.
    s: f32,
}

impl Painter<'_> {
    fn item(&mut self, item: &Item, hover: bool) {
        let (rect, s) = (item.rect, self.s);
        if self.brush.plain(item, hover) {
            return;
        }
        match &item.kind {
            Kind::Slider { target, label, value, origin, .. } => {
                let (fraction, moved) = self.app.slider(*target);
                let held = self.app.pointer.holds(*target);
                let track = item.track();
                let baseline = rect.y + rect.h / 2.0 + 4.6 * s;
                let color = if moved || hover || held { TEXT } else { DIM };
                self.brush.text(label, (rect.x, baseline), 13.0, Weight::Regular, color, Align::Left);
                self.brush.text(
                    value,
                    (rect.x + rect.w, baseline),
                    13.0,
                    Weight::Regular,
                    color,
                    Align::Right,
                );
                self.brush.canvas.round(track, 2.0 * s, CONTROL_HOVER);
                let (from, to) =
                    (track.x + track.w * origin.min(fraction), track.x + track.w * origin.max(fraction));
                let fill = if moved || *origin == 0.0 { ACCENT } else { FAINT };
                self.brush.canvas.round(Rect::new(from, track.y, to - from, track.h), 2.0 * s, fill);
                let knob = if hover || held { 7.0 } else { 6.0 };
                let (x, y) = (track.x + track.w * fraction, track.y + track.h / 2.0);
                self.brush.canvas.disc(x, y, (knob + 2.0) * s, PANEL);
                self.brush.canvas.disc(x, y, knob * s, if held || moved { ACCENT } else { TEXT });
            }
            Kind::Sparkline => self.brush.sparkline(rect, self.app.latencies.get(self.app.own_lane())),
            Kind::Timeline => self.timeline(item, hover),
            Kind::View => self.view(rect),
            _ => {}
        }
    }

    fn timeline(&mut self, item: &Item, hover: bool) {
        let (app, s) = (self.app, self.s);
        let track = item.track();
        let middle = item.rect.y + item.rect.h / 2.0 - 4.0 * s;
        let segments = app.walk.segments();
        let at = |position: f64| track.x + track.w * (position / segments.max(1) as f64) as f32;
        self.brush.canvas.round(Rect::new(track.x, middle - 1.0 * s, track.w, 2.0 * s), 1.0 * s, LINE);
        let position = app.player.position();
        let played = at(position) - track.x;
        self.brush.canvas.round(
            Rect::new(track.x, middle - 1.0 * s, played, 2.0 * s),
            1.0 * s,
            ACCENT.with_alpha(120),
        );
        let keys = app.walk.len();
        let space = if keys > 1 { track.w / segments.max(1) as f32 } else { track.w };
        let side = (space - 6.0 * s).min(44.0 * s).floor();
        let nearest = app.walk.nearest_key(position);
        // A closed walk ends where it began.
        let ends = if app.walk.closed && keys > 1 { keys + 1 } else { keys };
        for place in 0..ends {
            let key = place % keys;
            let x = at(place as f64);
            let chosen = key == nearest;
            if side >= 14.0 * s {
                let frame = Rect::new((x - side / 2.0).round(), (middle - side / 2.0).round(), side, side);
                let line = if chosen { ACCENT } else { LINE };
                self.brush.canvas.round(frame.grown(2.0 * s), 4.0 * s, line);
                self.brush.canvas.fill(frame, BACKGROUND);
                if let Some(Some(picture)) = app.thumbnails.get(key) {
                    self.brush.filled(picture, frame);
                }
                if place == keys {
                    self.brush.canvas.fill(frame, BACKGROUND.with_alpha(150));
                }
                let label = if place == keys { "1".into() } else { format!("{}", key + 1) };
                let color = if chosen { ACCENT } else { FAINT };
                let y = item.rect.y + item.rect.h - 10.0 * s;
                self.brush.text(&label, (x, y), 11.0, Weight::SemiBold, color, Align::Center);
            } else {
                self.brush.canvas.disc(
                    x,
                    middle,
                    if chosen { 4.0 } else { 2.5 } * s,
                    if chosen { ACCENT } else { FAINT },
                );
            }
        }
        let x = at(position).round();
        let grown = if hover { 1.0 } else { 0.0 };
        let (top, height) = (item.rect.y + 10.0 * s, item.rect.h - 32.0 * s);
        self.brush.canvas.round(
            Rect::new(x - (2.0 + grown) * s, top, (4.0 + 2.0 * grown) * s, height),
            2.0 * s,
            BACKGROUND.with_alpha(160),
        );
        self.brush.canvas.round(
            Rect::new(x - (1.0 + grown / 2.0) * s, top, (2.0 + grown) * s, height),
            1.0 * s,
            TEXT,
        );
        self.brush.canvas.disc(x, top, (4.5 + grown) * s, TEXT);
    }

    fn view(&mut self, rect: Rect) {
        if let Some(error) = self.app.shown_error().map(str::to_owned) {
            return self.brush.error(rect, &error);
        }
        match self.app.mode {
            Mode::Image => {
                let picture = self.picture(0).cloned();
                if let Some(picture) = picture {
                    self.brush.framed(&picture, self.app.viewport);
                }
            }
            Mode::Grid => self.grid(),
            Mode::Strip => self.strip(),
            Mode::Map => self.map(rect),
            Mode::Compare => self.compare(),
        }
    }

    fn picture(&self, index: usize) -> Option<&Picture> {
        self.app.shown.as_ref()?.results.first()?.images.as_ref().ok()?.pictures.get(index)
    }

    fn grid(&mut self) {
        let (app, gap) = (self.app, App::GRID_GAP);
        let Some(shown) = &app.shown else { return };
        let Some(Ok(images)) = shown.results.first().map(|result| result.images.as_ref()) else { return };
        let (rows, columns) = app.grid_shape();
        let (view, image) = (app.viewport, app.lane.file.image);
        let cell = ((view.w - gap) / columns as f32 - gap).max(1.0) as usize;
        let scale = (cell / image.width).max(1);
        let (w, h) = ((image.width * scale) as f32 + gap, (image.height * scale) as f32 + gap);
        let left = (view.x + (view.w - w * columns as f32 + gap) / 2.0).floor();
        let top = (view.y + (view.h - h * rows as f32 + gap) / 2.0).floor();
        for (index, picture) in images.pictures.iter().take(rows * columns).enumerate() {
            let (x, y) = (left + w * (index % columns) as f32, top + h * (index / columns) as f32);
            self.brush.canvas.picture(picture, x as i32, y as i32, scale, view);
        }
    }

    fn strip(&mut self) {
        let (app, s) = (self.app, self.s);
        let view = app.viewport;
        let image = app.lane.file.image;
        // The image now above, the walk so far below in rows.
        let above = Rect::new(view.x, view.y, view.w, (view.h * 0.6).floor());
        if let Some(picture) = self.picture(0).cloned() {
            self.brush.framed(&picture, above);
        }
        let gap = 3.0;
        let area = Rect::new(view.x, above.y + above.h + 14.0 * s, view.w, view.h - above.h - 14.0 * s);
        let scale = (56.0 * s / image.width as f32).max(1.0) as usize;
        let (w, h) = ((image.width * scale) as f32 + gap, (image.height * scale) as f32 + gap);
        let columns = ((area.w + gap) / w).max(1.0) as usize;
        let rows = ((area.h + gap) / h).max(0.0) as usize;
        if rows == 0 {
            return;
        }
        let left = (area.x + (area.w - w * columns as f32 + gap) / 2.0).floor();
        // Whole rows leave at the top, so that pictures stay where they are until then.
        let full = app.strip.len().div_ceil(columns);
        let skipped = full.saturating_sub(rows) * columns;
        for (index, picture) in app.strip.iter().skip(skipped).enumerate() {
            let (x, y) = (left + w * (index % columns) as f32, area.y + h * (index / columns) as f32);
            if skipped + index + 1 == app.strip.len() {
                self.brush.canvas.fill(Rect::new(x, y, w - gap, h - gap).grown(2.0), ACCENT);
            }
            self.brush.canvas.picture(picture, x as i32, y as i32, scale, view.grown(2.0));
        }
    }

    fn map(&mut self, rect: Rect) {
        let (app, s) = (self.app, self.s);
        let image = app.lane.file.image;
        let scale = Map::scale(image);
        let (w, h) = ((image.width * scale) as f32, (image.height * scale) as f32);
        for (tile, x, y) in app.map.visible(rect, image) {
            let place = Rect::new(x as f32, y as f32, w, h);
            match app.map.picture(&tile) {
                Some(picture) => self.brush.canvas.picture(picture, x, y, scale, rect),
                None => self.brush.canvas.frame(place.grown(-1.0), Color(0xff16_1a21)),
            }
            // The seeds themselves.
            if tile.per_seed > 1
                && tile.column.rem_euclid(tile.per_seed.into()) == 0
                && tile.row.rem_euclid(tile.per_seed.into()) == 0
            {
                self.brush.canvas.frame(place, ACCENT.with_alpha(170));
            }
        }
        // The point shown large.
        let side = (rect.w.min(rect.h) * 0.36).min(300.0 * s);
        let enlargement = ((side / image.width as f32) as usize).max(1);
        let (pw, ph) = ((image.width * enlargement) as f32, (image.height * enlargement) as f32);
        let margin = 18.0 * s;
        let caption = 30.0 * s;
        let mut card = Rect::new(
            rect.x + margin,
            rect.y + rect.h - margin - ph - caption - 12.0 * s,
            pw + 12.0 * s,
            ph + caption + 12.0 * s,
        );
        // Out of the pointer's way.
        if app.pointer.at.is_some_and(|(x, y)| card.grown(24.0 * s).contains(x, y)) {
            card.x = rect.x + rect.w - margin - card.w;
        }
        self.brush.canvas.round(card.grown(1.0), 10.0 * s, LINE);
        self.brush.canvas.round(card, 9.0 * s, PANEL);
        if let Some(picture) = self.picture(0).cloned() {
            self.brush.canvas.picture(
                &picture,
                (card.x + 6.0 * s) as i32,
                (card.y + 6.0 * s) as i32,
                enlargement,
                card,
            );
        }
        let (x, y) = app.map.point();
        let label = format!("{x:.2},  {y:.2}").replace('-', "−");
        let baseline = card.y + card.h - 12.0 * s;
        self.brush.text(&label, (card.x + 10.0 * s, baseline), 13.0, Weight::SemiBold, TEXT, Align::Left);
        let zoom = format!("{} per seed", app.map.per_seed);
        if card.w > 190.0 * s {
            self.brush.text(
                &zoom,
                (card.x + card.w - 10.0 * s, baseline),
                12.0,
                Weight::Regular,
                FAINT,
                Align::Right,
            );
        }
        if app.map.hover.is_none() {
            let (cx, cy) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0);
            self.brush.canvas.line(&[(cx - 9.0 * s, cy), (cx + 9.0 * s, cy)], 1.5 * s, ACCENT);
            self.brush.canvas.line(&[(cx, cy - 9.0 * s), (cx, cy + 9.0 * s)], 1.5 * s, ACCENT);
        }
    }

    fn compare(&mut self) {
        let (app, s) = (self.app, self.s);
        let Some(shown) = &app.shown else { return };
        let view = app.viewport;
        let count = shown.results.len().max(1);
        let image = app.lane.file.image;
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
        for (index, (lane, result)) in shown.request.lanes.iter().zip(&shown.results).enumerate() {
            let x = (view.x + cell_w * ((index % columns) as f32 + 0.5) - w / 2.0).floor();
            let top = (view.y
                + cell_h * (index / columns) as f32
                + (cell_h - images as f32 * h - 92.0 * s).max(0.0) / 2.0)
                .floor();
            let middle = x + w / 2.0;
            let title = format!("{} · {}", lane.file.precision, lane.engine);
            self.brush.text(&title, (middle, top + 16.0 * s), 15.0, Weight::SemiBold, TEXT, Align::Center);
            let latency = app.figures.latencies.get(index).copied().flatten();
            let figures = match latency {
                Some((p50, _)) if cell_w < 150.0 * s => text::duration(p50),
                Some((p50, p99)) => format!("{}   p99 {}", text::duration(p50), text::duration(p99)),
                None => "idle".into(),
            };
            self.brush.text(&figures, (middle, top + 36.0 * s), 12.0, Weight::Regular, DIM, Align::Center);
            let y = top + 48.0 * s;
            let place = Rect::new(x, y, w, h);
            self.brush.canvas.frame(place.grown(1.0), LINE);
            match &result.images {
                Ok(images) => {
                    if let Some(picture) = images.pictures.first() {
                        self.brush.canvas.picture(picture, x as i32, y as i32, scale, view);
                    }
                    let below = place.y + h + 10.0 * s;
                    if index == 0 {
                        let label =
                            if count == 1 { "no other precision or back end" } else { "the reference" };
                        self.brush.text(
                            label,
                            (middle, below + 16.0 * s),
                            12.0,
                            Weight::Regular,
                            FAINT,
                            Align::Center,
                        );
                    } else if let Some(reference) = reference {
                        let range = f64::from(lane.file.range.high() - lane.file.range.low());
                        let (picture, psnr) = difference(
                            &reference.values,
                            &images.values,
                            image,
                            app.amplification / range as f32,
                            range,
                        );
                        self.brush.canvas.frame(Rect::new(x, below, w, h).grown(1.0), LINE);
                        self.brush.canvas.picture(&picture, x as i32, below as i32, scale, view);
                        let psnr =
                            if psnr.is_finite() { format!("{psnr:.1} dB") } else { "no difference".into() };
                        let what = if cell_w < 170.0 * s { "" } else { "difference " };
                        let label = format!("{what}×{}   {psnr}", app.amplification);
                        self.brush.text(
                            &label,
                            (middle, below + h + 18.0 * s),
                            12.0,
                            Weight::Regular,
                            FAINT,
                            Align::Center,
                        );
                    }
                }
                Err(error) => self.brush.error(place, error),
            }
        }
    }
}

/// The absolute difference of two images in gray (the mean of the channels), times `amplification`, 1 being white; and
/// the peak signal-to-noise ratio in decibels for values that span `range`.
fn difference(
    a: &[f32],
    b: &[f32],
    image: latent_runtime::onnx::ImageShape,
    amplification: f32,
    range: f64,
) -> (Picture, f64) {
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
    use latent_runtime::onnx::ImageShape;

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
