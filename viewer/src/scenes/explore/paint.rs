//! Draws an encoder's images.

use super::{EmbeddingState, ExploreScene, NEAREST};
use crate::action::View;
use crate::draw::theme::{ACCENT, BACKGROUND, Color, DIM, FAINT, LINE, TEXT, label_color};
use crate::draw::{Align, Rect, Weight};
use crate::embedding::Sample;
use crate::picture::Picture;
use crate::ui::{Item, ItemKind, Painter};

pub(super) struct ExplorePainter<'a, 'b> {
    pub(super) scene: &'a ExploreScene,
    pub(super) painter: &'a mut Painter<'b>,
}

impl ExplorePainter<'_, '_> {
    pub(super) fn item(&mut self, item: &Item, hover: bool) {
        match &item.kind {
            ItemKind::Sample { index, caption } => self.sample(item.rect, *index, caption, hover),
            ItemKind::View => self.view(item.rect),
            _ => {}
        }
    }

    fn sample(&mut self, rect: Rect, index: usize, caption: &str, hover: bool) {
        let (scene, s) = (self.scene, self.painter.scale);
        let Some(sample) = scene.samples.get(index) else { return };
        let square = Rect::new(rect.x, rect.y, rect.w, rect.w);
        self.painter.canvas.round(square.grown(3.0 * s), 5.0 * s, if hover { TEXT } else { LINE });
        self.painter.canvas.fill(square, BACKGROUND);
        self.painter.canvas.fitted(&sample.picture, square);
        if let Some(label) = sample.label {
            let line = Rect::new(square.x, square.y + square.h - 3.0 * s, square.w, 3.0 * s);
            self.painter.canvas.fill(line, label_color(label));
        }
        let (middle, baseline) = (rect.x + rect.w / 2.0, rect.y + rect.h - 2.0 * s);
        let color = if hover { TEXT } else { FAINT };
        self.painter.text(caption, (middle, baseline), 11.0, Weight::SemiBold, color, Align::Center);
    }

    fn view(&mut self, rect: Rect) {
        let scene = self.scene;
        match &scene.state {
            EmbeddingState::Failed(error) => self.painter.error(rect, error),
            EmbeddingState::NoImages => self.invitation(rect),
            _ if scene.view == View::Map && scene.plot.is_empty() => {
                let (x, y) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0);
                let text = match scene.samples.len() {
                    0 => "looking at the images …".into(),
                    count => format!("{count} images; the map comes with more of them …"),
                };
                self.painter.text(&text, (x, y), 14.0, Weight::Regular, DIM, Align::Center);
            }
            _ if scene.view == View::Map => self.map(rect),
            _ => {}
        }
    }

    fn invitation(&mut self, rect: Rect) {
        let (x, y, s) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0, self.painter.scale);
        let text = "This is an encoder: it finds images that are alike.";
        self.painter.text(text, (x, y - 14.0 * s), 16.0, Weight::SemiBold, TEXT, Align::Center);
        let text = "Give it a folder of images: viewer ENCODER --images FOLDER";
        self.painter.text(text, (x, y + 14.0 * s), 14.0, Weight::Regular, DIM, Align::Center);
    }

    fn map(&mut self, rect: Rect) {
        let (scene, s) = (self.scene, self.painter.scale);
        let (enlargement, width, height) = scene.tile();
        let corner =
            |x: f32, y: f32, w: f32, h: f32| ((x - w / 2.0).round() as i32, (y - h / 2.0).round() as i32);
        let color = |sample: &Sample| sample.label.map_or(FAINT, label_color);
        let dot = (3.0 * s).round();
        let reach = rect.grown(width.max(height));
        for (index, sample) in scene.samples.iter().enumerate() {
            if let Some((x, y)) = scene.plot.on_screen(rect, index).filter(|&(x, y)| rect.contains(x, y)) {
                let place = Rect::new((x - dot / 2.0).round(), (y - dot / 2.0).round(), dot, dot);
                self.clipped(place, rect, color(sample).with_alpha(150));
            }
        }
        for &index in scene.plot.shown() {
            let (Some(sample), Some((x, y))) = (scene.samples.get(index), scene.plot.on_screen(rect, index))
            else {
                continue;
            };
            if !reach.contains(x, y) {
                continue;
            }
            let (left, top) = corner(x, y, width, height);
            if sample.label.is_some() {
                let frame = Rect::new(left as f32, top as f32, width, height).grown(1.0);
                self.clipped(frame, rect, color(sample));
            }
            self.painter.canvas.picture(&sample.picture, left, top, enlargement, rect);
        }
        let Some((query, sample)) = scene.asked() else { return };
        if scene.pinned {
            self.painter.canvas.fill(rect, BACKGROUND.with_alpha(140));
        }
        let Some(from) = scene.plot.on_screen(rect, query) else { return };
        let near = &scene.neighbors[..scene.neighbors.len().min(NEAREST)];
        let places: Vec<(&Sample, (f32, f32))> = near
            .iter()
            .filter_map(|&(index, _)| Some((scene.samples.get(index)?, scene.plot.on_screen(rect, index)?)))
            .collect();
        for &(_, to) in &places {
            self.painter.canvas.line(&[from, to], 1.5 * s, ACCENT.with_alpha(150));
        }
        // The nearest on top.
        for (sample, (x, y)) in places.into_iter().rev() {
            self.framed(&sample.picture, (x, y), enlargement, 2.0 * s, color_or(sample, TEXT), rect);
        }
        self.framed(&sample.picture, from, enlargement * 2, 3.0 * s, ACCENT, rect);
    }

    /// A picture in the middle of a place with a colored frame.
    fn framed(
        &mut self,
        picture: &Picture,
        (x, y): (f32, f32),
        scale: usize,
        line: f32,
        color: Color,
        clip: Rect,
    ) {
        let (w, h) = ((picture.width * scale) as f32, (picture.height * scale) as f32);
        let place = Rect::new((x - w / 2.0).round(), (y - h / 2.0).round(), w, h);
        self.clipped(place.grown(line + 1.0), clip, BACKGROUND);
        self.clipped(place.grown(line), clip, color);
        self.painter.canvas.picture(picture, place.x as i32, place.y as i32, scale, clip);
    }

    /// The part of a rectangle that is inside another.
    fn clipped(&mut self, rect: Rect, clip: Rect, color: Color) {
        let (x, y) = (rect.x.max(clip.x), rect.y.max(clip.y));
        let (right, bottom) =
            ((rect.x + rect.w).min(clip.x + clip.w), (rect.y + rect.h).min(clip.y + clip.h));
        if right > x && bottom > y {
            self.painter.canvas.fill(Rect::new(x, y, right - x, bottom - y), color);
        }
    }
}

/// The color of an image's folder.
fn color_or(sample: &Sample, none: Color) -> Color {
    sample.label.map_or(none, label_color)
}
