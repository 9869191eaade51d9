//! Draws what is on the screen.

use super::{Item, Kind, Sign};
use crate::app::{App, HELP, Map, Mode};
use crate::draw::theme::{
    ACCENT, ALERT, BACKGROUND, CONTROL, CONTROL_HOVER, Colour, DIM, FAINT, LINE, ON_ACCENT, PANEL, TEXT,
};
use crate::draw::{Align, Canvas, Fonts, Rect, TextStyle, Weight};
use crate::picture::Picture;
use crate::text;

/// Draws everything.
pub fn paint(app: &App, items: &[Item], canvas: &mut Canvas, fonts: &mut Fonts, scale: f32) {
    canvas.clear(BACKGROUND);
    let mut painter = Painter { app, canvas, fonts, s: scale };
    let over = app.pointer.at.and_then(|(x, y)| {
        items.iter().rposition(|item| item.is_interactive() && item.hit_area().contains(x, y))
    });
    for (index, item) in items.iter().enumerate() {
        painter.item(item, over == Some(index) && !app.help);
    }
    painter.message();
    if app.help {
        painter.help();
    }
}

struct Painter<'a> {
    app: &'a App,
    canvas: &'a mut Canvas,
    fonts: &'a mut Fonts,
    /// The enlargement of the interface.
    s: f32,
}

impl Painter<'_> {
    fn text(
        &mut self,
        text: &str,
        (x, y): (f32, f32),
        size: f32,
        weight: Weight,
        colour: Colour,
        align: Align,
    ) {
        let style = TextStyle { size: size * self.s, weight, colour, align };
        self.canvas.text(self.fonts, text, x, y, style);
    }

    fn item(&mut self, item: &Item, hover: bool) {
        let (rect, s) = (item.rect, self.s);
        match &item.kind {
            Kind::Fill(colour) => self.canvas.fill(rect, *colour),
            Kind::Text { text, style } => self.canvas.text(self.fonts, text, rect.x, rect.y, *style),
            Kind::Button { label, on, .. } | Kind::Row { label, on, .. } => {
                let (back, front, weight) = match (on, hover) {
                    (true, _) => (ACCENT, ON_ACCENT, Weight::SemiBold),
                    (false, true) => (CONTROL_HOVER, TEXT, Weight::Regular),
                    (false, false) => (CONTROL, DIM, Weight::Regular),
                };
                self.canvas.round(rect, 7.0 * s, back);
                let baseline = rect.y + rect.h / 2.0 + 4.6 * s;
                self.text(label, (rect.x + rect.w / 2.0, baseline), 13.0, weight, front, Align::Centre);
            }
            Kind::Icon { sign, on, .. } => self.icon(rect, *sign, *on, hover),
            Kind::Slider { target, label, value, origin, .. } => {
                let (fraction, moved) = self.app.slider(*target);
                let held = self.app.pointer.holds(*target);
                let track = item.track();
                let baseline = rect.y + rect.h / 2.0 + 4.6 * s;
                let colour = if moved || hover || held { TEXT } else { DIM };
                self.text(label, (rect.x, baseline), 13.0, Weight::Regular, colour, Align::Left);
                self.text(value, (rect.x + rect.w, baseline), 13.0, Weight::Regular, colour, Align::Right);
                self.canvas.round(track, 2.0 * s, CONTROL_HOVER);
                let (from, to) =
                    (track.x + track.w * origin.min(fraction), track.x + track.w * origin.max(fraction));
                let fill = if moved || *origin == 0.0 { ACCENT } else { FAINT };
                self.canvas.round(Rect::new(from, track.y, to - from, track.h), 2.0 * s, fill);
                let knob = if hover || held { 7.0 } else { 6.0 };
                let (x, y) = (track.x + track.w * fraction, track.y + track.h / 2.0);
                self.canvas.disc(x, y, (knob + 2.0) * s, PANEL);
                self.canvas.disc(x, y, knob * s, if held || moved { ACCENT } else { TEXT });
            }
            Kind::Sparkline => self.sparkline(rect),
            Kind::Timeline => self.timeline(item, hover),
            Kind::View => self.view(rect),
        }
    }

    fn icon(&mut self, rect: Rect, sign: Sign, on: bool, hover: bool) {
        let s = self.s;
        let (cx, cy) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0);
        let is_record = matches!(sign, Sign::Record | Sign::Stop);
        let (back, front) = match (on, hover) {
            (true, _) if is_record => (ALERT.with_alpha(60), ALERT),
            (true, false) => (ACCENT, ON_ACCENT),
            (true, true) => (Colour(0xff8a_c6ff), ON_ACCENT),
            (false, true) => (CONTROL_HOVER, if is_record { ALERT } else { TEXT }),
            (false, false) => (CONTROL, if is_record { ALERT } else { DIM }),
        };
        let radius = if rect.w > 30.0 * s { rect.w / 2.0 } else { 7.0 * s };
        self.canvas.round(rect, radius, back);
        // A unit suits a button of 26 pixels.
        let u = rect.w.min(34.0 * s) / 26.0;
        let bar = |x: f32, y: f32, w: f32, h: f32| Rect::new(cx + x * u, cy + y * u, w * u, h * u);
        let triangle = |x: f32, way: f32| {
            [
                (cx + (x - 3.5 * way) * u, cy - 5.0 * u),
                (cx + (x + 4.5 * way) * u, cy),
                (cx + (x - 3.5 * way) * u, cy + 5.0 * u),
            ]
        };
        match sign {
            Sign::Play => self.canvas.polygon(&triangle(0.5, 1.0), front),
            Sign::Pause => {
                self.canvas.round(bar(-4.5, -5.0, 3.2, 10.0), 1.0 * u, front);
                self.canvas.round(bar(1.3, -5.0, 3.2, 10.0), 1.0 * u, front);
            }
            Sign::Next => {
                self.canvas.polygon(&triangle(-1.0, 0.9), front);
                self.canvas.round(bar(3.4, -5.0, 1.8, 10.0), 0.6 * u, front);
            }
            Sign::Previous => {
                self.canvas.polygon(&triangle(1.0, -0.9), front);
                self.canvas.round(bar(-5.2, -5.0, 1.8, 10.0), 0.6 * u, front);
            }
            Sign::Direction { forward } => {
                let way = if forward { 1.0 } else { -1.0 };
                for x in [-3.2, 3.2] {
                    let points = [
                        (cx + (x - 2.2 * way) * u, cy - 4.2 * u),
                        (cx + (x + 2.2 * way) * u, cy),
                        (cx + (x - 2.2 * way) * u, cy + 4.2 * u),
                    ];
                    self.canvas.line(&points, 1.8 * u, front);
                }
            }
            Sign::Plus | Sign::Minus => {
                self.canvas.round(bar(-5.0, -0.9, 10.0, 1.8), 0.9 * u, front);
                if sign == Sign::Plus {
                    self.canvas.round(bar(-0.9, -5.0, 1.8, 10.0), 0.9 * u, front);
                }
            }
            Sign::Cross => {
                let d = 3.8 * u;
                self.canvas.line(&[(cx - d, cy - d), (cx + d, cy + d)], 1.8 * u, front);
                self.canvas.line(&[(cx - d, cy + d), (cx + d, cy - d)], 1.8 * u, front);
            }
            Sign::Record => self.canvas.disc(cx, cy, 5.0 * u, front),
            Sign::Stop => self.canvas.round(bar(-4.0, -4.0, 8.0, 8.0), 1.5 * u, front),
        }
    }

    fn sparkline(&mut self, rect: Rect) {
        let s = self.s;
        self.canvas.round(rect, 6.0 * s, BACKGROUND);
        let Some(latency) = self.app.latencies.get(self.app.own_lane()) else { return };
        let samples: Vec<f64> = latency.curve().collect();
        if samples.len() < 2 {
            return;
        }
        // One slow run must not press all others to the floor: the scale is that of the 95th percentile.
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let top = 1.35 * sorted[(sorted.len() * 95 / 100).min(sorted.len() - 1)].max(1e-9);
        let inner = rect.grown(-5.0 * s);
        let step = inner.w / (crate::stats::CURVE - 1) as f32;
        let first = inner.x + inner.w - step * (samples.len() - 1) as f32;
        let points: Vec<(f32, f32)> = samples
            .iter()
            .enumerate()
            .map(|(index, &value)| {
                let height = (value / top).min(1.0) as f32;
                (first + step * index as f32, inner.y + inner.h * (1.0 - height))
            })
            .collect();
        let mut area = points.clone();
        area.extend([(inner.x + inner.w, inner.y + inner.h), (first, inner.y + inner.h)]);
        self.canvas.polygon(&area, ACCENT.with_alpha(36));
        self.canvas.line(&points, 1.5 * s, ACCENT);
        let (x, y) = points[points.len() - 1];
        self.canvas.disc(x, y, 2.5 * s, TEXT);
    }

    fn timeline(&mut self, item: &Item, hover: bool) {
        let (app, s) = (self.app, self.s);
        let track = item.track();
        let middle = item.rect.y + item.rect.h / 2.0 - 4.0 * s;
        let segments = app.walk.segments();
        let at = |position: f64| track.x + track.w * (position / segments.max(1) as f64) as f32;
        self.canvas.round(Rect::new(track.x, middle - 1.0 * s, track.w, 2.0 * s), 1.0 * s, LINE);
        let position = app.player.position();
        let played = at(position) - track.x;
        self.canvas.round(
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
                self.canvas.round(frame.grown(2.0 * s), 4.0 * s, line);
                self.canvas.fill(frame, BACKGROUND);
                if let Some(Some(picture)) = app.thumbnails.get(key) {
                    self.filled(picture, frame);
                }
                if place == keys {
                    self.canvas.fill(frame, BACKGROUND.with_alpha(150));
                }
                let label = if place == keys { "1".into() } else { format!("{}", key + 1) };
                let colour = if chosen { ACCENT } else { FAINT };
                let y = item.rect.y + item.rect.h - 10.0 * s;
                self.text(&label, (x, y), 11.0, Weight::SemiBold, colour, Align::Centre);
            } else {
                self.canvas.disc(
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
        self.canvas.round(
            Rect::new(x - (2.0 + grown) * s, top, (4.0 + 2.0 * grown) * s, height),
            2.0 * s,
            BACKGROUND.with_alpha(160),
        );
        self.canvas.round(
            Rect::new(x - (1.0 + grown / 2.0) * s, top, (2.0 + grown) * s, height),
            1.0 * s,
            TEXT,
        );
        self.canvas.disc(x, top, (4.5 + grown) * s, TEXT);
    }

    /// A picture that fills a square, by the nearest pixels; small pictures need no more.
    fn filled(&mut self, picture: &Picture, rect: Rect) {
        let (w, h) = (rect.w as usize, rect.h as usize);
        let mut out = Picture::black(w, h, picture.channels);
        for y in 0..h {
            for x in 0..w {
                let source = ((y * picture.height / h.max(1)) * picture.width + x * picture.width / w.max(1))
                    * picture.channels;
                let target = (y * w + x) * picture.channels;
                let pixels = picture.pixels.get(source..source + picture.channels);
                if let (Some(pixels), Some(to)) =
                    (pixels, out.pixels.get_mut(target..target + picture.channels))
                {
                    to.copy_from_slice(pixels);
                }
            }
        }
        self.canvas.picture(&out, rect.x as i32, rect.y as i32, 1, rect);
    }

    fn view(&mut self, rect: Rect) {
        if let Some(error) = self.app.shown_error().map(str::to_owned) {
            return self.error(rect, &error);
        }
        match self.app.mode {
            Mode::Image => {
                let picture = self.picture(0).cloned();
                if let Some(picture) = picture {
                    self.framed(&picture, self.app.viewport);
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

    /// A picture as large as it gets by a whole number, with a line around it.
    fn framed(&mut self, picture: &Picture, area: Rect) -> Rect {
        let (w, h) = (picture.width.max(1), picture.height.max(1));
        let scale = (area.w as usize / w).min(area.h as usize / h);
        let size = |n: usize| if scale >= 1 { (n * scale) as f32 } else { 0.0 };
        let (pw, ph) = (size(w), size(h));
        let place =
            Rect::new((area.x + (area.w - pw) / 2.0).floor(), (area.y + (area.h - ph) / 2.0).floor(), pw, ph);
        if scale >= 1 {
            self.canvas.frame(place.grown(1.0), LINE);
            self.canvas.picture(picture, place.x as i32, place.y as i32, scale, area.grown(1.0));
            place
        } else {
            self.canvas.fitted(picture, area);
            area
        }
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
            self.canvas.picture(picture, x as i32, y as i32, scale, view);
        }
    }

    fn strip(&mut self) {
        let (app, s) = (self.app, self.s);
        let view = app.viewport;
        let image = app.lane.file.image;
        // The image now above, the walk so far below in rows.
        let above = Rect::new(view.x, view.y, view.w, (view.h * 0.6).floor());
        if let Some(picture) = self.picture(0).cloned() {
            self.framed(&picture, above);
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
                self.canvas.fill(Rect::new(x, y, w - gap, h - gap).grown(2.0), ACCENT);
            }
            self.canvas.picture(picture, x as i32, y as i32, scale, view.grown(2.0));
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
                Some(picture) => self.canvas.picture(picture, x, y, scale, rect),
                None => self.canvas.frame(place.grown(-1.0), Colour(0xff16_1a21)),
            }
            // The seeds themselves.
            if tile.per_seed > 1
                && tile.column.rem_euclid(tile.per_seed.into()) == 0
                && tile.row.rem_euclid(tile.per_seed.into()) == 0
            {
                self.canvas.frame(place, ACCENT.with_alpha(170));
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
        self.canvas.round(card.grown(1.0), 10.0 * s, LINE);
        self.canvas.round(card, 9.0 * s, PANEL);
        if let Some(picture) = self.picture(0).cloned() {
            self.canvas.picture(
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
        self.text(&label, (card.x + 10.0 * s, baseline), 13.0, Weight::SemiBold, TEXT, Align::Left);
        let zoom = format!("{} per seed", app.map.per_seed);
        if card.w > 190.0 * s {
            self.text(
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
            self.canvas.line(&[(cx - 9.0 * s, cy), (cx + 9.0 * s, cy)], 1.5 * s, ACCENT);
            self.canvas.line(&[(cx, cy - 9.0 * s), (cx, cy + 9.0 * s)], 1.5 * s, ACCENT);
        }
    }

    fn compare(&mut self) {
        let (app, s) = (self.app, self.s);
        let Some(shown) = &app.shown else { return };
        let view = app.viewport;
        let count = shown.results.len().max(1);
        let image = app.lane.file.image;
        let reference = shown.results.first().and_then(|result| result.images.as_ref().ok());
        // Columns beside each other; rows of columns if that makes the images larger.
        let fit = |rows: usize| {
            let columns = count.div_ceil(rows);
            let (w, h) = (view.w / columns as f32 - 24.0 * s, view.h / rows as f32 - 108.0 * s);
            ((w / image.width as f32).min(h / (2.0 * image.height as f32)).max(1.0) as usize, columns, rows)
        };
        let (scale, columns, rows) = (1..=count.min(3))
            .map(fit)
            .max_by_key(|&(scale, _, rows)| (scale, std::cmp::Reverse(rows)))
            .unwrap_or((1, 1, 1));
        let (w, h) = ((image.width * scale) as f32, (image.height * scale) as f32);
        let (cell_w, cell_h) = (view.w / columns as f32, view.h / rows as f32);
        for (index, (lane, result)) in shown.request.lanes.iter().zip(&shown.results).enumerate() {
            let x = (view.x + cell_w * ((index % columns) as f32 + 0.5) - w / 2.0).floor();
            let top =
                (view.y + cell_h * (index / columns) as f32 + (cell_h - 2.0 * h - 92.0 * s).max(0.0) / 2.0)
                    .floor();
            let middle = x + w / 2.0;
            let title = format!("{} · {}", lane.file.precision, lane.engine);
            self.text(&title, (middle, top + 16.0 * s), 15.0, Weight::SemiBold, TEXT, Align::Centre);
            let latency = app.figures.latencies.get(index).copied().flatten();
            let figures = match latency {
                Some((p50, p99)) => format!("{}   p99 {}", text::duration(p50), text::duration(p99)),
                None => "idle".into(),
            };
            self.text(&figures, (middle, top + 36.0 * s), 12.0, Weight::Regular, DIM, Align::Centre);
            let y = top + 48.0 * s;
            let place = Rect::new(x, y, w, h);
            self.canvas.frame(place.grown(1.0), LINE);
            match &result.images {
                Ok(images) => {
                    if let Some(picture) = images.pictures.first() {
                        self.canvas.picture(picture, x as i32, y as i32, scale, view);
                    }
                    let below = place.y + h + 10.0 * s;
                    if index == 0 {
                        let label =
                            if count == 1 { "no other precision or back end" } else { "the reference" };
                        self.text(
                            label,
                            (middle, below + 16.0 * s),
                            12.0,
                            Weight::Regular,
                            FAINT,
                            Align::Centre,
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
                        self.canvas.frame(Rect::new(x, below, w, h).grown(1.0), LINE);
                        self.canvas.picture(&picture, x as i32, below as i32, scale, view);
                        let psnr =
                            if psnr.is_finite() { format!("{psnr:.1} dB") } else { "no difference".into() };
                        let label = format!("difference ×{}   {psnr}", app.amplification);
                        self.text(
                            &label,
                            (middle, below + h + 18.0 * s),
                            12.0,
                            Weight::Regular,
                            FAINT,
                            Align::Centre,
                        );
                    }
                }
                Err(error) => self.error(place, error),
            }
        }
    }

    fn error(&mut self, area: Rect, error: &str) {
        let s = self.s;
        let width = (area.w - 24.0 * s).clamp(80.0 * s, 640.0 * s);
        let lines = self.wrapped(error, 14.0, width);
        let mut y = area.y + area.h / 2.0 - 10.0 * s * lines.len() as f32;
        for line in lines {
            self.text(&line, (area.x + area.w / 2.0, y), 14.0, Weight::Regular, ALERT, Align::Centre);
            y += 21.0 * s;
        }
    }

    fn wrapped(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let joined = lines.last().map(|line| format!("{line} {word}"));
            match (joined, lines.last_mut()) {
                (Some(joined), Some(last))
                    if self.fonts.width(&joined, size * self.s, Weight::Regular) <= width =>
                {
                    *last = joined;
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines.truncate(12);
        lines
    }

    fn message(&mut self) {
        let (app, s) = (self.app, self.s);
        let Some(message) = &app.message else { return };
        let view = app.viewport;
        let lines = self.wrapped(&message.text, 14.0, (view.w - 80.0 * s).max(120.0 * s));
        let widest =
            lines.iter().map(|line| self.fonts.width(line, 14.0 * s, Weight::Regular)).fold(0.0, f32::max);
        let (w, h) = (widest + 36.0 * s, 20.0 * s * lines.len() as f32 + 18.0 * s);
        let rect = Rect::new(view.x + (view.w - w) / 2.0, view.y + view.h - h - 16.0 * s, w, h);
        self.canvas.round(rect.grown(1.0), h.min(40.0 * s) / 2.0, LINE);
        self.canvas.round(rect, h.min(40.0 * s) / 2.0, PANEL);
        let colour = if message.is_error { ALERT } else { TEXT };
        for (index, line) in lines.iter().enumerate() {
            let y = rect.y + 23.5 * s + 20.0 * s * index as f32;
            self.text(line, (rect.x + w / 2.0, y), 14.0, Weight::Regular, colour, Align::Centre);
        }
    }

    fn help(&mut self) {
        let (w, h) = (self.canvas.width() as f32, self.canvas.height() as f32);
        self.canvas.fill(Rect::new(0.0, 0.0, w, h), Colour(0xd00a_0c10));
        // Smaller if the window is.
        let shrink = (w / 900.0).min(h / 560.0).min(self.s);
        let before = std::mem::replace(&mut self.s, shrink);
        let s = self.s;
        let card =
            Rect::new(((w - 860.0 * s) / 2.0).floor(), ((h - 520.0 * s) / 2.0).floor(), 860.0 * s, 520.0 * s);
        self.canvas.round(card.grown(1.0), 15.0 * s, LINE);
        self.canvas.round(card, 14.0 * s, PANEL);
        let (left, top) = (card.x + 36.0 * s, card.y + 46.0 * s);
        self.text("Keys and mouse", (left, top), 20.0, Weight::SemiBold, TEXT, Align::Left);
        let columns: [&[usize]; 2] = [&[0, 1, 4], &[2, 3, 5]];
        for (column, sections) in columns.iter().enumerate() {
            let x = left + 410.0 * s * column as f32;
            let mut y = top + 38.0 * s;
            for &(title, lines) in sections.iter().filter_map(|&index| HELP.get(index)) {
                self.text(title, (x, y), 12.0, Weight::SemiBold, ACCENT, Align::Left);
                y += 21.0 * s;
                for &(keys, what) in lines {
                    self.text(keys, (x, y), 13.0, Weight::SemiBold, TEXT, Align::Left);
                    self.text(what, (x + 104.0 * s, y), 13.0, Weight::Regular, DIM, Align::Left);
                    y += 19.5 * s;
                }
                y += 13.0 * s;
            }
        }
        self.s = before;
    }
}

/// The absolute difference of two images in grey (the mean of the channels), times `amplification`, 1 being white; and
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
