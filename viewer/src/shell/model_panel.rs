//! What the panel at the right says of a model, whatever kind of model it is.

use std::path::Path;

use latent_runtime::open::BackendKind;

use super::layout::{Layout, MARGIN, style};
use super::{Kind, Sign};
use crate::app::{Action, Figures};
use crate::draw::theme::{DIM, FAINT, LINE, PANEL, TEXT, WARM};
use crate::draw::{Rect, Weight};
use crate::model::Catalog;
use crate::text;

/// The model, what runs it and how fast.
pub(super) struct ModelPanel<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) path: &'a Path,
    pub(super) name: &'a str,
    pub(super) about: String,
    pub(super) precision: &'a str,
    pub(super) bytes: u64,
    pub(super) engines: &'a [BackendKind],
    pub(super) engine: BackendKind,
    pub(super) threads: usize,
    /// What runs it, in words; empty before it does.
    pub(super) described: &'a str,
    /// What the latency is of.
    pub(super) per: &'a str,
    /// The median and the 99th percentile.
    pub(super) latency: Option<(f64, f64)>,
    pub(super) figures: &'a Figures,
    /// Whether the list of models is shown instead.
    pub(super) list: bool,
    /// Whether what follows needs the room more than the curve, if there is little.
    pub(super) is_short: bool,
}

/// The space above a heading, in a panel of this height.
pub(super) fn gap(height: f32, s: f32) -> f32 {
    if height < 700.0 * s { 27.0 } else { 34.0 }
}

impl ModelPanel<'_> {
    /// Lays it out at the top of `rect`. Returns where the next heading goes; `None` if nothing should follow.
    pub(super) fn lay_out(&self, layout: &mut Layout<'_>, rect: Rect) -> Option<f32> {
        let s = layout.scale;
        layout.push(rect, Kind::Fill(PANEL));
        layout.push(Rect::new(rect.x, rect.y, 1.0, rect.h), Kind::Fill(LINE));
        let (x, right) = (rect.x + MARGIN * s, rect.x + rect.w - MARGIN * s);
        let width = right - x;

        let mut y = rect.y + 28.0 * s;
        layout.heading("MODEL", x, y);
        let count = self.catalog.paths.len();
        if count > 1 {
            let index = self.catalog.paths.iter().position(|path| path == self.path).unwrap_or(0) + 1;
            let place = format!("{index} of {count}");
            layout.right(place, right - 56.0 * s, y, style(12.0, Weight::Regular, FAINT));
            for (offset, sign, places) in [(46.0, Sign::Previous, -1), (20.0, Sign::Next, 1)] {
                let area = Rect::new(right - offset * s, y - 14.0 * s, 20.0 * s, 20.0 * s);
                layout.push(area, Kind::Icon { sign, on: false, action: Action::NextModel(places) });
            }
        }
        y += 25.0 * s;
        if count > 1 {
            let label = layout.cut(self.name, 17.0, Weight::SemiBold, width - 24.0 * s);
            let area = Rect::new(x, y - 19.0 * s, width, 27.0 * s);
            layout.push(area, Kind::Name { label, open: self.list, action: Action::ToggleList });
        } else {
            let label = layout.cut(self.name, 17.0, Weight::SemiBold, width);
            layout.text(label, x, y, style(17.0, Weight::SemiBold, TEXT));
        }
        if self.list && count > 1 {
            self.models(layout, Rect::new(x, y + 16.0 * s, width, rect.y + rect.h - y - 28.0 * s));
            return None;
        }
        y += 20.0 * s;
        let about = layout.cut(&self.about, 13.0, Weight::Regular, width);
        layout.text(about, x, y, style(13.0, Weight::Regular, DIM));
        y += 19.0 * s;
        let gap = gap(rect.h, s);
        layout.text(self.made_of(), x, y, style(13.0, Weight::Regular, DIM));
        let variants: Vec<_> = self.catalog.variants(self.path).collect();
        let has_curve = !self.is_short || rect.h >= if variants.len() > 1 { 700.0 } else { 620.0 } * s;
        if variants.len() > 1 {
            y += 12.0 * s;
            let mut left = x;
            let mut format = None;
            for (index, variant) in variants.into_iter().enumerate() {
                // Of several formats each has a row of its own.
                let name = self.catalog.variant_name(variant);
                let (name, own) =
                    name.split_once(' ').map_or((&*name, None), |(name, own)| (name, Some(own)));
                let is_first = own.is_some() && format.as_deref() != own;
                if (is_first && format.is_some()) || (left > x && left + layout.button_width(name) > right) {
                    (left, y) = (x, y + 32.0 * s);
                }
                if let (true, Some(own)) = (is_first, own) {
                    layout.text(own, x, y + 17.5 * s, style(13.0, Weight::Regular, FAINT));
                    format = Some(own.to_owned());
                }
                if own.is_some() && left == x {
                    left += 44.0 * s;
                }
                left = layout.button(name, left, y, variant == self.path, Action::OpenVariant(index));
            }
            y += 26.0 * s;
        }

        // What runs it.
        y += gap * s;
        layout.heading("ENGINE", x, y);
        y += 12.0 * s;
        let mut left = x;
        for (index, engine) in self.engines.iter().enumerate() {
            left = layout.button(engine.name(), left, y, *engine == self.engine, Action::SetEngine(index));
        }
        let threads = match self.threads {
            0 => "auto threads".into(),
            1 => "1 thread".into(),
            n => format!("{n} threads"),
        };
        let icon = |offset: f32| Rect::new(right - offset * s, y + 2.0 * s, 22.0 * s, 22.0 * s);
        layout.push(icon(22.0), Kind::Icon { sign: Sign::Plus, on: false, action: Action::Threads(1) });
        layout.right(threads, right - 29.0 * s, y + 17.5 * s, style(13.0, Weight::Regular, DIM));
        let minus = 29.0 + layout.fonts.width("auto threads", 13.0 * s, Weight::Regular) / s + 28.0;
        layout.push(icon(minus), Kind::Icon { sign: Sign::Minus, on: false, action: Action::Threads(-1) });
        let described = layout.cut(self.described, 12.0, Weight::Regular, width);
        layout.text(described, x, y + 43.0 * s, style(12.0, Weight::Regular, FAINT));

        // How fast.
        y += (40.0 + gap) * s;
        layout.heading("LATENCY", x, y);
        layout.right(self.per, right, y, style(12.0, Weight::Regular, FAINT));
        y += 30.0 * s;
        let (p50, p99) = match self.latency {
            Some((p50, p99)) => (text::duration(p50), text::duration(p99)),
            None => ("idle".into(), String::new()),
        };
        let large = style(24.0, Weight::SemiBold, if self.latency.is_some() { TEXT } else { FAINT });
        layout.text(p50.clone(), x, y, large);
        if self.latency.is_some() {
            let after = x + layout.fonts.width(&p50, 24.0 * s, Weight::SemiBold) + 8.0 * s;
            layout.text("p50", after, y, style(12.0, Weight::Regular, DIM));
            layout.right(format!("p99  {p99}"), right, y, style(14.0, Weight::SemiBold, WARM));
        }
        if has_curve {
            let curve = if rect.h < 700.0 * s { 36.0 } else { 46.0 };
            layout.push(Rect::new(x, y + 12.0 * s, width, curve * s), Kind::Sparkline);
            y += (12.0 + curve) * s;
        }
        y += 20.0 * s;
        let fps = match self.figures.fps {
            0 => "still".into(),
            fps => format!("{fps} fps"),
        };
        layout.text(fps, x, y, style(13.0, Weight::Regular, DIM));
        if let Some(p99) = self.figures.frame_p99 {
            let p99 = format!("frame p99  {}", text::duration(p99));
            layout.right(p99, right, y, style(13.0, Weight::Regular, DIM));
        }
        Some(y + gap * s)
    }

    fn made_of(&self) -> String {
        format!("{}  ·  {}", self.precision, text::size(self.bytes))
    }

    /// The same in a line, for a window without the room for a panel.
    pub(super) fn lay_out_line(&self, layout: &mut Layout<'_>, rect: Rect) {
        let s = layout.scale;
        layout.push(rect, Kind::Fill(PANEL));
        layout.push(Rect::new(rect.x, rect.y, rect.w, 1.0), Kind::Fill(LINE));
        let baseline = rect.y + rect.h / 2.0 + 4.4 * s;
        let (x, mut right) = (rect.x + MARGIN * s, rect.x + rect.w - MARGIN * s);
        let mut parts = vec![];
        if self.figures.fps > 0 {
            parts.push(format!("{} fps", self.figures.fps));
        }
        let dim = style(12.0, Weight::Regular, DIM);
        match self.latency {
            Some((p50, p99)) => {
                parts.push(format!("p99 {}", text::duration(p99)));
                parts.push(text::duration(p50));
            }
            None => parts.push("idle".into()),
        }
        parts.reverse();
        let figures = parts.join("  ·  ");
        layout.right(figures.as_str(), right, baseline, dim);
        // The digits change; what is to their left stays where it is.
        right -= layout.fonts.width(&figures, 12.0 * s, Weight::Regular).max(190.0 * s) + 12.0 * s;
        if rect.w >= 560.0 * s {
            let curve = Rect::new(right - 90.0 * s, rect.y + 5.0 * s, 90.0 * s, rect.h - 9.0 * s);
            layout.push(curve, Kind::Sparkline);
            right = curve.x - 12.0 * s;
        }
        let model = format!("{}  ·  {}  ·  {}", self.name, self.engine.name(), self.made_of());
        if right - x > 80.0 * s {
            let model = layout.cut(&model, 12.0, Weight::Regular, right - x);
            layout.text(model, x, baseline, dim);
        }
    }

    /// The list of models; of many, those around this one.
    fn models(&self, layout: &mut Layout<'_>, rect: Rect) {
        let s = layout.scale;
        let height = 30.0 * s;
        let paths = &self.catalog.paths;
        let rows = ((rect.h / height) as usize).clamp(1, paths.len());
        let own = paths.iter().position(|path| path == self.path).unwrap_or(0);
        let first = own.saturating_sub(rows / 2).min(paths.len() - rows);
        for (place, (index, path)) in paths.iter().enumerate().skip(first).take(rows).enumerate() {
            let area = Rect::new(rect.x, rect.y + height * place as f32, rect.w, height - 4.0 * s);
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let label = layout.cut(&stem, 13.0, Weight::SemiBold, rect.w - 94.0 * s);
            let detail = if self.catalog.unreadable.contains(path) {
                "unreadable".into()
            } else {
                path.extension().unwrap_or_default().to_string_lossy().into_owned()
            };
            layout
                .push(area, Kind::Row { label, detail, on: index == own, action: Action::OpenModel(index) });
        }
    }
}
