//! Draws a walk.

use super::WalkScene;
use super::tile_map::TileMap;
use crate::action::Mode;
use crate::draw::theme::{ACCENT, BACKGROUND, CONTROL_HOVER, Color, DIM, FAINT, LINE, PANEL, TEXT};
use crate::draw::{Align, Rect, Weight};
use crate::picture::Picture;
use crate::shell::Shell;
use crate::ui::{Item, ItemKind, Painter};

pub(super) struct WalkPainter<'a, 'b> {
    pub(super) scene: &'a WalkScene,
    pub(super) shell: &'a Shell,
    pub(super) painter: &'a mut Painter<'b>,
}

impl WalkPainter<'_, '_> {
    pub(super) fn item(&mut self, item: &Item, hover: bool) {
        let (rect, s) = (item.rect, self.painter.scale);
        match &item.kind {
            ItemKind::Slider { target, label, value, origin, .. } => {
                let (fraction, moved) = self.scene.slider(*target);
                let held = self.scene.holds(*target);
                let track = item.track();
                let baseline = rect.y + rect.h / 2.0 + 4.6 * s;
                let color = if moved || hover || held { TEXT } else { DIM };
                self.painter.text(label, (rect.x, baseline), 13.0, Weight::Regular, color, Align::Left);
                self.painter.text(
                    value,
                    (rect.x + rect.w, baseline),
                    13.0,
                    Weight::Regular,
                    color,
                    Align::Right,
                );
                self.painter.canvas.round(track, 2.0 * s, CONTROL_HOVER);
                let (from, to) =
                    (track.x + track.w * origin.min(fraction), track.x + track.w * origin.max(fraction));
                let fill = if moved || *origin == 0.0 { ACCENT } else { FAINT };
                self.painter.canvas.round(Rect::new(from, track.y, to - from, track.h), 2.0 * s, fill);
                let knob = if hover || held { 7.0 } else { 6.0 };
                let (x, y) = (track.x + track.w * fraction, track.y + track.h / 2.0);
                self.painter.canvas.disc(x, y, (knob + 2.0) * s, PANEL);
                self.painter.canvas.disc(x, y, knob * s, if held || moved { ACCENT } else { TEXT });
            }
            ItemKind::Timeline => self.timeline(item, hover),
            ItemKind::View => self.view(rect),
            _ => {}
        }
    }

    fn timeline(&mut self, item: &Item, hover: bool) {
        let (scene, s) = (self.scene, self.painter.scale);
        let track = item.track();
        let middle = item.rect.y + item.rect.h / 2.0 - 4.0 * s;
        let segments = scene.walk.segments();
        let at = |position: f64| track.x + track.w * (position / segments.max(1) as f64) as f32;
        self.painter.canvas.round(Rect::new(track.x, middle - 1.0 * s, track.w, 2.0 * s), 1.0 * s, LINE);
        let position = scene.player.position();
        let played = at(position) - track.x;
        self.painter.canvas.round(
            Rect::new(track.x, middle - 1.0 * s, played, 2.0 * s),
            1.0 * s,
            ACCENT.with_alpha(120),
        );
        let keys = scene.walk.len();
        let space = if keys > 1 { track.w / segments.max(1) as f32 } else { track.w };
        let side = (space - 6.0 * s).min(44.0 * s).floor();
        let nearest = scene.walk.nearest_key(position);
        // A closed walk ends where it began.
        let ends = if scene.walk.closed && keys > 1 { keys + 1 } else { keys };
        for place in 0..ends {
            let key = place % keys;
            let x = at(place as f64);
            let chosen = key == nearest;
            if side >= 14.0 * s {
                let frame = Rect::new((x - side / 2.0).round(), (middle - side / 2.0).round(), side, side);
                let line = if chosen { ACCENT } else { LINE };
                self.painter.canvas.round(frame.grown(2.0 * s), 4.0 * s, line);
                self.painter.canvas.fill(frame, BACKGROUND);
                if let Some(Some(picture)) = scene.thumbnails.get(key) {
                    self.painter.filled(picture, frame);
                }
                if place == keys {
                    self.painter.canvas.fill(frame, BACKGROUND.with_alpha(150));
                }
                let label = if place == keys { "1".into() } else { format!("{}", key + 1) };
                let color = if chosen { ACCENT } else { FAINT };
                let y = item.rect.y + item.rect.h - 10.0 * s;
                self.painter.text(&label, (x, y), 11.0, Weight::SemiBold, color, Align::Center);
            } else {
                self.painter.canvas.disc(
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
        self.painter.canvas.round(
            Rect::new(x - (2.0 + grown) * s, top, (4.0 + 2.0 * grown) * s, height),
            2.0 * s,
            BACKGROUND.with_alpha(160),
        );
        self.painter.canvas.round(
            Rect::new(x - (1.0 + grown / 2.0) * s, top, (2.0 + grown) * s, height),
            1.0 * s,
            TEXT,
        );
        self.painter.canvas.disc(x, top, (4.5 + grown) * s, TEXT);
    }

    fn view(&mut self, rect: Rect) {
        if let Some(error) = self.scene.shown_error() {
            return self.painter.error(rect, &error.to_string());
        }
        match self.scene.mode {
            Mode::Image => {
                let picture = self.picture(0).cloned();
                if let Some(picture) = picture {
                    self.painter.framed(&picture, self.shell.viewport);
                }
            }
            Mode::Grid => self.grid(),
            Mode::Strip => self.strip(),
            Mode::Map => self.map(rect),
            Mode::Compare => self.compare(),
        }
    }

    fn picture(&self, index: usize) -> Option<&Picture> {
        self.scene.shown.as_ref()?.results.first()?.images.as_ref().ok()?.pictures.get(index)
    }

    fn grid(&mut self) {
        let (scene, gap) = (self.scene, WalkScene::GRID_GAP);
        let Some(shown) = &scene.shown else { return };
        let Some(Ok(images)) = shown.results.first().map(|result| result.images.as_ref()) else { return };
        let (rows, columns) = scene.grid_shape(self.shell);
        let (view, image) = (self.shell.viewport, scene.config.file.image);
        let cell = ((view.w - gap) / columns as f32 - gap).max(1.0) as usize;
        let scale = (cell / image.width).max(1);
        let (w, h) = ((image.width * scale) as f32 + gap, (image.height * scale) as f32 + gap);
        let left = (view.x + (view.w - w * columns as f32 + gap) / 2.0).floor();
        let top = (view.y + (view.h - h * rows as f32 + gap) / 2.0).floor();
        for (index, picture) in images.pictures.iter().take(rows * columns).enumerate() {
            let (x, y) = (left + w * (index % columns) as f32, top + h * (index / columns) as f32);
            self.painter.canvas.picture(picture, x as i32, y as i32, scale, view);
        }
    }

    fn strip(&mut self) {
        let (scene, s) = (self.scene, self.painter.scale);
        let view = self.shell.viewport;
        let image = scene.config.file.image;
        // The image now above, the walk so far below in rows.
        let above = Rect::new(view.x, view.y, view.w, (view.h * 0.6).floor());
        if let Some(picture) = self.picture(0).cloned() {
            self.painter.framed(&picture, above);
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
        let full = scene.strip.len().div_ceil(columns);
        let skipped = full.saturating_sub(rows) * columns;
        for (index, picture) in scene.strip.iter().skip(skipped).enumerate() {
            let (x, y) = (left + w * (index % columns) as f32, area.y + h * (index / columns) as f32);
            if skipped + index + 1 == scene.strip.len() {
                self.painter.canvas.fill(Rect::new(x, y, w - gap, h - gap).grown(2.0), ACCENT);
            }
            self.painter.canvas.picture(picture, x as i32, y as i32, scale, view.grown(2.0));
        }
    }

    fn map(&mut self, rect: Rect) {
        let (scene, s) = (self.scene, self.painter.scale);
        let image = scene.config.file.image;
        let scale = TileMap::scale(image);
        let (w, h) = ((image.width * scale) as f32, (image.height * scale) as f32);
        for (tile, x, y) in scene.map.visible(rect, image) {
            let place = Rect::new(x as f32, y as f32, w, h);
            match scene.map.picture(&tile) {
                Some(picture) => self.painter.canvas.picture(picture, x, y, scale, rect),
                None => self.painter.canvas.frame(place.grown(-1.0), Color(0xff16_1a21)),
            }
            // The seeds themselves.
            if tile.per_seed > 1
                && tile.column.rem_euclid(tile.per_seed.into()) == 0
                && tile.row.rem_euclid(tile.per_seed.into()) == 0
            {
                self.painter.canvas.frame(place, ACCENT.with_alpha(170));
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
        if self.shell.pointer.at.is_some_and(|(x, y)| card.grown(24.0 * s).contains(x, y)) {
            card.x = rect.x + rect.w - margin - card.w;
        }
        self.painter.canvas.round(card.grown(1.0), 10.0 * s, LINE);
        self.painter.canvas.round(card, 9.0 * s, PANEL);
        if let Some(picture) = self.picture(0).cloned() {
            self.painter.canvas.picture(
                &picture,
                (card.x + 6.0 * s) as i32,
                (card.y + 6.0 * s) as i32,
                enlargement,
                card,
            );
        }
        let (x, y) = scene.map.point();
        let label = format!("{x:.2},  {y:.2}").replace('-', "−");
        let baseline = card.y + card.h - 12.0 * s;
        self.painter.text(&label, (card.x + 10.0 * s, baseline), 13.0, Weight::SemiBold, TEXT, Align::Left);
        let zoom = format!("{} per seed", scene.map.per_seed);
        if card.w > 190.0 * s {
            self.painter.text(
                &zoom,
                (card.x + card.w - 10.0 * s, baseline),
                12.0,
                Weight::Regular,
                FAINT,
                Align::Right,
            );
        }
        if scene.map.hover.is_none() {
            let (cx, cy) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0);
            self.painter.canvas.line(&[(cx - 9.0 * s, cy), (cx + 9.0 * s, cy)], 1.5 * s, ACCENT);
            self.painter.canvas.line(&[(cx, cy - 9.0 * s), (cx, cy + 9.0 * s)], 1.5 * s, ACCENT);
        }
    }
}
