//! The screen of an encoder: where everything is, and drawing it.

use super::brush::Brush;
use super::layout::{BAR, Layout, MARGIN, SIDE, status_height, style};
use super::panel::ModelPanel;
use super::{Item, Kind, Sign};
use crate::app::{Action, EXPLORE_HELP};
use crate::draw::theme::{ACCENT, BACKGROUND, Color, DIM, FAINT, LINE, PANEL, TEXT, label_color};
use crate::draw::{Align, Canvas, Fonts, Rect, Weight};
use crate::embedding::Sample;
use crate::explore::{Explorer, NEAREST, State, View};
use crate::model::EncoderFile;
use crate::picture::Picture;
use crate::text;

/// The strip of neighbors at the bottom.
const STRIP: f32 = 118.0;
/// The sides of the images in it: the one asked about, its neighbors.
const SIDES: (f32, f32) = (84.0, 66.0);
/// The room for words beside the image asked about.
const WORDS: f32 = 190.0;
/// The side of a neighbor in the view of neighbors.
const TILE: f32 = 84.0;

/// Lays out a window of `width` by `height` pixels, everything but the images enlarged by `scale`. Sets the explorer's
/// viewport, and chooses the images of the map.
pub fn lay_out(explorer: &mut Explorer, fonts: &Fonts, width: usize, height: usize, scale: f32) -> Vec<Item> {
    let (w, h, s) = (width as f32, height as f32, scale);
    let mut layout = Layout { items: Vec::new(), fonts, scale };
    // What does not fit is left out, the images never.
    let bar = if explorer.panels && h >= 240.0 * s { BAR * s } else { 0.0 };
    let has_strip = explorer.panels && explorer.view == View::Map && h >= 420.0 * s && w >= 420.0 * s;
    let strip = if has_strip { STRIP * s } else { 0.0 };
    let side = if explorer.panels && w >= 760.0 * s && h >= 480.0 * s { SIDE * s } else { 0.0 };
    let status = status_height(explorer.panels, side, w, h, s);
    let view = Rect::new(0.0, bar, (w - side).max(1.0), (h - bar - strip - status).max(1.0));
    explorer.viewport = view;
    explorer.scale = s;
    layout.push(view, Kind::View);
    match explorer.view {
        View::Map => {
            let (_, width, height) = explorer.tile();
            explorer.map.arrange(view, width, height);
        }
        View::Neighbors => layout.neighbors(explorer, view),
    }
    if side > 0.0 {
        layout.images_panel(explorer, Rect::new(w - side, bar, side, h - bar - strip));
    }
    if status > 0.0 {
        model_panel(explorer, &explorer.file)
            .lay_out_line(&mut layout, Rect::new(0.0, view.y + view.h, w, status));
    }
    if strip > 0.0 {
        layout.strip(explorer, Rect::new(0.0, h - strip, w, strip));
    }
    if bar > 0.0 {
        let tabs =
            View::ALL.into_iter().map(|view| (view.name(), explorer.view == view, Action::SetView(view)));
        layout.tabs(w, tabs, explorer.help, &[(Sign::Camera, false, Action::SavePicture)]);
    }
    layout.items
}

fn model_panel<'a>(explorer: &'a Explorer, file: &'a EncoderFile) -> ModelPanel<'a> {
    let about: Vec<String> = [file.architecture.clone(), file.dataset.clone()]
        .into_iter()
        .flatten()
        .chain([format!("{} → {}", file.image.to_string().replace('x', "×"), file.features)])
        .collect();
    ModelPanel {
        catalog: &explorer.catalog,
        path: &file.path,
        name: &file.name,
        about: about.join("  ·  "),
        precision: file.precision,
        bytes: file.bytes,
        engines: &file.engines,
        engine: explorer.engine,
        threads: explorer.threads,
        described: &explorer.described,
        per: "per image, last second",
        latency: explorer.figures.latencies.first().copied().flatten(),
        figures: &explorer.figures,
        list: explorer.list,
        is_short: false,
    }
}

/// The largest side up to `side` for which the picture's pixels all have one size.
fn crisp(side: f32, picture: &Picture) -> f32 {
    let (side, longer) = (side.floor().max(1.0) as usize, picture.width.max(picture.height).max(1));
    if longer > side { side as f32 } else { (side / longer * longer) as f32 }
}

/// The similarity below a neighbor.
fn caption(similarity: f32) -> String {
    format!("{similarity:.3}").replace('-', "−")
}

impl Layout<'_> {
    fn sample(&mut self, index: usize, x: f32, y: f32, side: f32, caption: String) {
        self.push(
            Rect::new(x.floor(), y.floor(), side, side + 20.0 * self.scale),
            Kind::Sample { index, caption },
        );
    }

    /// The image asked about, what it is, and its nearest neighbors in a row.
    fn strip(&mut self, explorer: &Explorer, rect: Rect) {
        let s = self.scale;
        self.push(rect, Kind::Fill(PANEL));
        self.push(Rect::new(rect.x, rect.y, rect.w, 1.0), Kind::Fill(LINE));
        let Some((query, sample)) = asked(explorer) else { return };
        let (mut x, right) = (MARGIN * s, rect.w - MARGIN * s);
        let (large, small) = (crisp(SIDES.0 * s, &sample.picture), crisp(SIDES.1 * s, &sample.picture));
        self.sample(query, x, rect.y + 17.0 * s, large, String::new());
        x += large + 16.0 * s;
        let words = explorer.words(sample);
        let mut y = rect.y + 36.0 * s;
        let name = self.cut(&words.name, 14.0, Weight::SemiBold, WORDS * s);
        self.text(name, x, y, style(14.0, Weight::SemiBold, TEXT));
        for line in words.lines {
            y += 20.0 * s;
            let line = self.cut(&line, 13.0, Weight::Regular, WORDS * s);
            self.text(line, x, y, style(13.0, Weight::Regular, DIM));
        }
        x += (WORDS + 20.0) * s;
        let step = small + 10.0 * s;
        for &(index, similarity) in &explorer.neighbors {
            if x + small > right {
                break;
            }
            self.sample(index, x, rect.y + 17.0 * s, small, caption(similarity));
            x += step;
        }
    }

    /// The image asked about large, its neighbors in rows.
    fn neighbors(&mut self, explorer: &Explorer, view: Rect) {
        let s = self.scale;
        let Some((query, sample)) = asked(explorer) else { return };
        let margin = MARGIN * s;
        let large = (view.w * 0.36).min(view.h - 130.0 * s).max(40.0 * s);
        let large = crisp(large, &sample.picture);
        let (x, top) = (view.x + margin, view.y + margin);
        self.sample(query, x, top, large, String::new());
        let words = explorer.words(sample);
        let mut y = top + large + 30.0 * s;
        let name = self.cut(&words.name, 16.0, Weight::SemiBold, large);
        self.text(name, x, y, style(16.0, Weight::SemiBold, TEXT));
        for line in words.lines {
            y += 21.0 * s;
            let line = self.cut(&line, 13.0, Weight::Regular, large);
            self.text(line, x, y, style(13.0, Weight::Regular, DIM));
        }
        let left = x + large + 24.0 * s;
        let (tile, gap) = (crisp(TILE * s, &sample.picture), 8.0 * s);
        let columns = ((view.x + view.w - margin - left + gap) / (tile + gap)).max(0.0) as usize;
        let height = tile + 26.0 * s;
        let rows = ((view.h - 2.0 * margin + 6.0 * s) / height).max(0.0) as usize;
        for (place, &(index, similarity)) in explorer.neighbors.iter().take(rows * columns).enumerate() {
            let x = left + (tile + gap) * (place % columns) as f32;
            self.sample(index, x, top + height * (place / columns) as f32, tile, caption(similarity));
        }
    }

    fn images_panel(&mut self, explorer: &Explorer, rect: Rect) {
        let s = self.scale;
        let Some(mut y) = model_panel(explorer, &explorer.file).lay_out(self, rect) else { return };
        let (x, right) = (rect.x + MARGIN * s, rect.x + rect.w - MARGIN * s);
        let bottom = rect.y + rect.h;
        if y + 60.0 * s > bottom {
            return;
        }
        self.heading("IMAGES", x, y);
        if explorer.share > 0.0 {
            let share = format!("the map shows {:.0} %", explorer.share * 100.0);
            self.right(share, right, y, style(12.0, Weight::Regular, FAINT));
        }
        y += 22.0 * s;
        if let Some(images) = &explorer.images {
            let folder = images.folder.display().to_string();
            let folder = self.cut(&folder, 13.0, Weight::Regular, right - x);
            self.text(folder, x, y, style(13.0, Weight::Regular, TEXT));
            y += 20.0 * s;
        }
        let count = explorer.samples.len();
        let beyond = match explorer.left_out {
            0 => String::new(),
            more => format!(" of {}", count + more),
        };
        let (line, done) = match &explorer.state {
            State::NoImages => ("none".into(), None),
            State::Opening => ("opening …".into(), Some(0.0)),
            State::Embedding(total) => {
                (format!("{count} of {total}"), Some(count as f32 / (*total).max(1) as f32))
            }
            State::Finished(seconds) => {
                (format!("{count}{beyond} images in {}", text::duration(*seconds)), None)
            }
            State::Failed(_) => ("stopped".into(), None),
        };
        self.text(line, x, y, style(13.0, Weight::Regular, DIM));
        if let Some(done) = done {
            y += 12.0 * s;
            self.push(Rect::new(x, y, right - x, 4.0 * s), Kind::Progress(done));
        }
        y += 36.0 * s;
        // The folders in two columns, if all of them fit.
        let rows = explorer.labels.len().div_ceil(2);
        if explorer.labels.len() < 2 || y + 20.0 * s * (rows as f32 + 0.5) > bottom {
            return;
        }
        self.heading("FOLDERS", x, y);
        let width = (right - x) / 2.0;
        let own = asked(explorer).and_then(|(_, sample)| sample.label);
        for (label, name) in explorer.labels.iter().enumerate() {
            let left = x + width * (label / rows) as f32;
            let baseline = y + 22.0 * s + 20.0 * s * (label % rows) as f32;
            let swatch = Rect::new(left, baseline - 9.0 * s, 9.0 * s, 9.0 * s);
            self.push(swatch, Kind::Fill(label_color(label)));
            let color = if own == Some(label) { TEXT } else { DIM };
            let name = self.cut(name, 13.0, Weight::Regular, width - 26.0 * s);
            self.text(name, left + 17.0 * s, baseline, style(13.0, Weight::Regular, color));
        }
    }
}

/// The image whose neighbors are shown.
fn asked(explorer: &Explorer) -> Option<(usize, &Sample)> {
    let query = explorer.query?;
    Some((query, explorer.samples.get(query)?))
}

/// What is said of an image.
struct Words {
    name: String,
    lines: Vec<String>,
}

impl Explorer {
    fn words(&self, sample: &Sample) -> Words {
        let mut lines = Vec::new();
        if let (Some(label), Some((same, of))) =
            (sample.label.and_then(|l| self.labels.get(l)), self.agreement())
        {
            lines.push(format!("{same} of {of} nearest in {label}"));
        }
        lines.push(if self.pinned { "stays; Space lets go".into() } else { "click to stay with it".into() });
        Words { name: sample.name.clone(), lines }
    }
}

/// Draws everything.
pub fn paint(explorer: &Explorer, items: &[Item], canvas: &mut Canvas, fonts: &mut Fonts, scale: f32) {
    canvas.clear(BACKGROUND);
    let mut painter = Painter { explorer, brush: Brush { canvas, fonts, s: scale }, s: scale };
    let over = explorer.pointer.and_then(|(x, y)| {
        items.iter().rposition(|item| item.is_interactive() && item.hit_area().contains(x, y))
    });
    for (index, item) in items.iter().enumerate() {
        painter.item(item, over == Some(index) && !explorer.help);
    }
    painter.brush.message(explorer.message.as_ref(), explorer.viewport);
    if let Some(item) = over.and_then(|index| items.get(index)).filter(|_| !explorer.help) {
        painter.brush.tooltip(item);
    }
    if explorer.help {
        painter.brush.help(EXPLORE_HELP, [&[0, 1, 2], &[3, 4]]);
    }
}

struct Painter<'a> {
    explorer: &'a Explorer,
    brush: Brush<'a>,
    /// The enlargement of the interface.
    s: f32,
}

impl Painter<'_> {
    fn item(&mut self, item: &Item, hover: bool) {
        if self.brush.plain(item, hover) {
            return;
        }
        match &item.kind {
            Kind::Sparkline => self.brush.sparkline(item.rect, Some(&self.explorer.latency)),
            Kind::Sample { index, caption } => self.sample(item.rect, *index, caption, hover),
            Kind::View => self.view(item.rect),
            _ => {}
        }
    }

    fn sample(&mut self, rect: Rect, index: usize, caption: &str, hover: bool) {
        let (explorer, s) = (self.explorer, self.s);
        let Some(sample) = explorer.samples.get(index) else { return };
        let square = Rect::new(rect.x, rect.y, rect.w, rect.w);
        self.brush.canvas.round(square.grown(3.0 * s), 5.0 * s, if hover { TEXT } else { LINE });
        self.brush.canvas.fill(square, BACKGROUND);
        self.brush.canvas.fitted(&sample.picture, square);
        if let Some(label) = sample.label {
            let line = Rect::new(square.x, square.y + square.h - 3.0 * s, square.w, 3.0 * s);
            self.brush.canvas.fill(line, label_color(label));
        }
        let (middle, baseline) = (rect.x + rect.w / 2.0, rect.y + rect.h - 2.0 * s);
        let color = if hover { TEXT } else { FAINT };
        self.brush.text(caption, (middle, baseline), 11.0, Weight::SemiBold, color, Align::Center);
    }

    fn view(&mut self, rect: Rect) {
        let explorer = self.explorer;
        match &explorer.state {
            State::Failed(error) => self.brush.error(rect, error),
            State::NoImages => self.invitation(rect),
            _ if explorer.view == View::Map && explorer.map.is_empty() => {
                let (x, y) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0);
                let text = match explorer.samples.len() {
                    0 => "looking at the images …".into(),
                    count => format!("{count} images; the map comes with more of them …"),
                };
                self.brush.text(&text, (x, y), 14.0, Weight::Regular, DIM, Align::Center);
            }
            _ if explorer.view == View::Map => self.map(rect),
            _ => {}
        }
    }

    fn invitation(&mut self, rect: Rect) {
        let (x, y, s) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0, self.s);
        let text = "This is an encoder: it finds images that are alike.";
        self.brush.text(text, (x, y - 14.0 * s), 16.0, Weight::SemiBold, TEXT, Align::Center);
        let text = "Give it a folder of images: viewer ENCODER --images FOLDER";
        self.brush.text(text, (x, y + 14.0 * s), 14.0, Weight::Regular, DIM, Align::Center);
    }

    fn map(&mut self, rect: Rect) {
        let (explorer, s) = (self.explorer, self.s);
        let (enlargement, width, height) = explorer.tile();
        let corner =
            |x: f32, y: f32, w: f32, h: f32| ((x - w / 2.0).round() as i32, (y - h / 2.0).round() as i32);
        let color = |sample: &Sample| sample.label.map_or(FAINT, label_color);
        let dot = (3.0 * s).round();
        let reach = rect.grown(width.max(height));
        for (index, sample) in explorer.samples.iter().enumerate() {
            if let Some((x, y)) = explorer.map.on_screen(rect, index).filter(|&(x, y)| rect.contains(x, y)) {
                let place = Rect::new((x - dot / 2.0).round(), (y - dot / 2.0).round(), dot, dot);
                self.clipped(place, rect, color(sample).with_alpha(150));
            }
        }
        for &index in explorer.map.shown() {
            let (Some(sample), Some((x, y))) =
                (explorer.samples.get(index), explorer.map.on_screen(rect, index))
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
            self.brush.canvas.picture(&sample.picture, left, top, enlargement, rect);
        }
        let Some((query, sample)) = asked(explorer) else { return };
        if explorer.pinned {
            self.brush.canvas.fill(rect, BACKGROUND.with_alpha(140));
        }
        let Some(from) = explorer.map.on_screen(rect, query) else { return };
        let near = &explorer.neighbors[..explorer.neighbors.len().min(NEAREST)];
        let places: Vec<(&Sample, (f32, f32))> = near
            .iter()
            .filter_map(|&(index, _)| {
                Some((explorer.samples.get(index)?, explorer.map.on_screen(rect, index)?))
            })
            .collect();
        for &(_, to) in &places {
            self.brush.canvas.line(&[from, to], 1.5 * s, ACCENT.with_alpha(150));
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
        self.brush.canvas.picture(picture, place.x as i32, place.y as i32, scale, clip);
    }

    /// The part of a rectangle that is inside another.
    fn clipped(&mut self, rect: Rect, clip: Rect, color: Color) {
        let (x, y) = (rect.x.max(clip.x), rect.y.max(clip.y));
        let (right, bottom) =
            ((rect.x + rect.w).min(clip.x + clip.w), (rect.y + rect.h).min(clip.y + clip.h));
        if right > x && bottom > y {
            self.brush.canvas.fill(Rect::new(x, y, right - x, bottom - y), color);
        }
    }
}

/// The color of an image's folder.
fn color_or(sample: &Sample, none: Color) -> Color {
    sample.label.map_or(none, label_color)
}
