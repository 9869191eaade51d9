//! Where everything of an encoder's images is.

use super::{EmbeddingState, ExploreScene};
use crate::draw::theme::{DIM, FAINT, LINE, PANEL, TEXT, label_color};
use crate::draw::{Rect, Weight};
use crate::embedding::Sample;
use crate::picture::Picture;
use crate::shell::{MARGIN, Shell};
use crate::text;
use crate::ui::{ItemKind, Layout, style};

/// The strip of neighbors at the bottom.
pub(super) const STRIP: f32 = 118.0;
/// The sides of the images in it: the one asked about, its neighbors.
const SIDES: (f32, f32) = (84.0, 66.0);
/// The room for words beside the image asked about.
const WORDS: f32 = 190.0;
/// The side of a neighbor in the view of neighbors.
const TILE: f32 = 84.0;

/// The largest side up to `side` for which the picture's pixels all have one size.
fn crisp(side: f32, picture: &Picture) -> f32 {
    let (side, longer) = (side.floor().max(1.0) as usize, picture.width.max(picture.height).max(1));
    if longer > side { side as f32 } else { (side / longer * longer) as f32 }
}

/// The similarity below a neighbor.
fn caption(similarity: f32) -> String {
    format!("{similarity:.3}").replace('-', "−")
}

fn push_sample(layout: &mut Layout<'_>, index: usize, x: f32, y: f32, side: f32, caption: String) {
    layout.push(
        Rect::new(x.floor(), y.floor(), side, side + 20.0 * layout.scale),
        ItemKind::Sample { index, caption },
    );
}

impl ExploreScene {
    /// The image asked about, what it is, and its nearest neighbors in a row.
    pub(super) fn lay_out_strip(&self, layout: &mut Layout<'_>, rect: Rect) {
        let s = layout.scale;
        layout.push(rect, ItemKind::Fill(PANEL));
        layout.push(Rect::new(rect.x, rect.y, rect.w, 1.0), ItemKind::Fill(LINE));
        let Some((query, sample)) = self.asked() else { return };
        let (mut x, right) = (MARGIN * s, rect.w - MARGIN * s);
        let (large, small) = (crisp(SIDES.0 * s, &sample.picture), crisp(SIDES.1 * s, &sample.picture));
        push_sample(layout, query, x, rect.y + 17.0 * s, large, String::new());
        x += large + 16.0 * s;
        let words = self.words(sample);
        let mut y = rect.y + 36.0 * s;
        let name = layout.cut(&words.name, 14.0, Weight::SemiBold, WORDS * s);
        layout.text(name, x, y, style(14.0, Weight::SemiBold, TEXT));
        for line in words.lines {
            y += 20.0 * s;
            let line = layout.cut(&line, 13.0, Weight::Regular, WORDS * s);
            layout.text(line, x, y, style(13.0, Weight::Regular, DIM));
        }
        x += (WORDS + 20.0) * s;
        let step = small + 10.0 * s;
        for &(index, similarity) in &self.neighbors {
            if x + small > right {
                break;
            }
            push_sample(layout, index, x, rect.y + 17.0 * s, small, caption(similarity));
            x += step;
        }
    }

    /// The image asked about large, its neighbors in rows.
    pub(super) fn lay_out_neighbors(&self, layout: &mut Layout<'_>, view: Rect) {
        let s = layout.scale;
        let Some((query, sample)) = self.asked() else { return };
        let margin = MARGIN * s;
        let large = (view.w * 0.36).min(view.h - 130.0 * s).max(40.0 * s);
        let large = crisp(large, &sample.picture);
        let (x, top) = (view.x + margin, view.y + margin);
        push_sample(layout, query, x, top, large, String::new());
        let words = self.words(sample);
        let mut y = top + large + 30.0 * s;
        let name = layout.cut(&words.name, 16.0, Weight::SemiBold, large);
        layout.text(name, x, y, style(16.0, Weight::SemiBold, TEXT));
        for line in words.lines {
            y += 21.0 * s;
            let line = layout.cut(&line, 13.0, Weight::Regular, large);
            layout.text(line, x, y, style(13.0, Weight::Regular, DIM));
        }
        let left = x + large + 24.0 * s;
        let (tile, gap) = (crisp(TILE * s, &sample.picture), 8.0 * s);
        let columns = ((view.x + view.w - margin - left + gap) / (tile + gap)).max(0.0) as usize;
        let height = tile + 26.0 * s;
        let rows = ((view.h - 2.0 * margin + 6.0 * s) / height).max(0.0) as usize;
        for (place, &(index, similarity)) in self.neighbors.iter().take(rows * columns).enumerate() {
            let x = left + (tile + gap) * (place % columns) as f32;
            push_sample(layout, index, x, top + height * (place / columns) as f32, tile, caption(similarity));
        }
    }

    /// The images and their folders, from `top` on; returns where they end.
    pub(super) fn lay_out_images(&self, shell: &Shell, layout: &mut Layout<'_>, rect: Rect, top: f32) -> f32 {
        let s = layout.scale;
        let mut y = top;
        let (x, right) = (rect.x + MARGIN * s, rect.x + rect.w - MARGIN * s);
        layout.heading("IMAGES", x, y);
        if self.share > 0.0 {
            let share = format!("the map shows {:.0} %", self.share * 100.0);
            layout.right(share, right, y, style(12.0, Weight::Regular, FAINT));
        }
        y += 22.0 * s;
        if let Some(images) = &shell.images {
            let folder = images.folder.display().to_string();
            let folder = layout.cut(&folder, 13.0, Weight::Regular, right - x);
            layout.text(folder, x, y, style(13.0, Weight::Regular, TEXT));
            y += 20.0 * s;
        }
        let count = self.samples.len();
        let beyond = match self.left_out {
            0 => String::new(),
            more => format!(" of {}", count + more),
        };
        let (line, done) = match &self.state {
            EmbeddingState::NoImages => ("none".into(), None),
            EmbeddingState::Opening => ("opening …".into(), Some(0.0)),
            EmbeddingState::Embedding(total) => {
                (format!("{count} of {total}"), Some(count as f32 / (*total).max(1) as f32))
            }
            EmbeddingState::Finished(seconds) => {
                (format!("{count}{beyond} images in {}", text::duration(*seconds)), None)
            }
            EmbeddingState::Failed(_) => ("stopped".into(), None),
        };
        layout.text(line, x, y, style(13.0, Weight::Regular, DIM));
        if let Some(done) = done {
            y += 12.0 * s;
            layout.push(Rect::new(x, y, right - x, 4.0 * s), ItemKind::Progress(done));
        }
        y += 36.0 * s;
        // The folders in two columns.
        let rows = self.labels.len().div_ceil(2);
        if self.labels.len() < 2 {
            return y - 36.0 * s;
        }
        layout.heading("FOLDERS", x, y);
        let width = (right - x) / 2.0;
        let own = self.asked().and_then(|(_, sample)| sample.label);
        for (label, name) in self.labels.iter().enumerate() {
            let left = x + width * (label / rows) as f32;
            let baseline = y + 22.0 * s + 20.0 * s * (label % rows) as f32;
            let swatch = Rect::new(left, baseline - 9.0 * s, 9.0 * s, 9.0 * s);
            layout.push(swatch, ItemKind::Fill(label_color(label)));
            let color = if own == Some(label) { TEXT } else { DIM };
            let name = layout.cut(name, 13.0, Weight::Regular, width - 26.0 * s);
            layout.text(name, left + 17.0 * s, baseline, style(13.0, Weight::Regular, color));
        }
        y + 22.0 * s + 20.0 * s * rows as f32
    }
}

/// What is said of an image.
struct SampleText {
    name: String,
    lines: Vec<String>,
}

impl ExploreScene {
    /// The image whose neighbors are shown.
    pub(super) fn asked(&self) -> Option<(usize, &Sample)> {
        let query = self.query?;
        Some((query, self.samples.get(query)?))
    }

    fn words(&self, sample: &Sample) -> SampleText {
        let mut lines = Vec::new();
        if let (Some(label), Some((same, of))) =
            (sample.label.and_then(|l| self.labels.get(l)), self.agreement())
        {
            lines.push(format!("{same} of {of} nearest in {label}"));
        }
        lines.push(if self.pinned { "stays; Space lets go".into() } else { "click to stay with it".into() });
        SampleText { name: sample.name.clone(), lines }
    }
}
