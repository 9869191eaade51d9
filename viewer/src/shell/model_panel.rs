//! What the panel at the right says of a model, whatever kind of model it is.

use std::path::Path;

use latent_runtime::open::BackendKind;

use super::Shell;
use crate::action::ShellAction;
use crate::draw::theme::{DIM, FAINT, LINE, PANEL, TEXT, WARM};
use crate::draw::{Rect, Weight};
use crate::text;
use crate::ui::{Icon, ItemKind, Layout, style};

/// The height of the bar at the top.
pub(super) const BAR: f32 = 48.0;
/// The width of the panel at the right.
pub(super) const SIDE: f32 = 304.0;
/// The height of the line of figures where the panel at the right has no room.
pub(super) const STATUS: f32 = 26.0;
/// The distance from the edges.
pub const MARGIN: f32 = 20.0;
/// The height of a line of the list of models.
pub(super) const ROW: f32 = 30.0;
/// The seconds for one image from which on pictures on the screen are missed.
const SLOW: f64 = 1.0 / 60.0;

pub struct ModelSummary<'a> {
    pub path: &'a Path,
    pub name: &'a str,
    /// Architecture, data set, sizes.
    pub about: String,
    pub precision: &'a str,
    pub bytes: u64,
    /// The back ends that can run it.
    pub engines: &'a [BackendKind],
    /// What runs it, in words; empty before it does.
    pub described: &'a str,
    /// What the latency is of.
    pub per: &'a str,
    /// Its place among the shell's latencies.
    pub latency: usize,
}

/// The space above a heading, in a panel of this height.
pub fn heading_gap(height: f32, s: f32) -> f32 {
    if height < 700.0 * s { 27.0 } else { 34.0 }
}

/// The panel itself.
pub(super) fn lay_out_back(layout: &mut Layout<'_>, rect: Rect) {
    layout.push(rect, ItemKind::Fill(PANEL));
    layout.push(Rect::new(rect.x, rect.y, 1.0, rect.h), ItemKind::Fill(LINE));
}

/// Lays it out at the top of `rect`. Returns where the next heading goes; as an error where the list of models ends, after
/// which nothing should follow.
pub(super) fn lay_out(
    shell: &Shell,
    model: &ModelSummary<'_>,
    layout: &mut Layout<'_>,
    rect: Rect,
) -> Result<f32, f32> {
    let s = layout.scale;
    let latency = shell.figures.latencies.get(model.latency).copied().flatten();
    let (x, right) = (rect.x + MARGIN * s, rect.x + rect.w - MARGIN * s);
    let width = right - x;

    let mut y = rect.y + 28.0 * s;
    layout.heading("MODEL", x, y);
    let count = shell.catalog.paths.len();
    if count > 1 {
        let index = shell.catalog.paths.iter().position(|path| path == model.path).unwrap_or(0) + 1;
        let place = format!("{index} of {count}");
        layout.right(place, right - 56.0 * s, y, style(12.0, Weight::Regular, FAINT));
        for (offset, icon, places) in [(46.0, Icon::Previous, -1), (20.0, Icon::Next, 1)] {
            let area = Rect::new(right - offset * s, y - 14.0 * s, 20.0 * s, 20.0 * s);
            layout.push(
                area,
                ItemKind::Icon { icon, on: false, action: ShellAction::NextModel(places).into() },
            );
        }
    }
    y += 25.0 * s;
    if count > 1 {
        let label = layout.cut(model.name, 17.0, Weight::SemiBold, width - 24.0 * s);
        let area = Rect::new(x, y - 19.0 * s, width, 27.0 * s);
        layout.push(area, ItemKind::Name { label, open: shell.list, action: ShellAction::ToggleList.into() });
    } else {
        let label = layout.cut(model.name, 17.0, Weight::SemiBold, width);
        layout.text(label, x, y, style(17.0, Weight::SemiBold, TEXT));
    }
    if shell.list && count > 1 {
        return Err(lay_out_list(shell, model, layout, Rect::new(x, y + 16.0 * s, width, 0.0)));
    }
    y += 20.0 * s;
    let about = layout.cut(&model.about, 13.0, Weight::Regular, width);
    layout.text(about, x, y, style(13.0, Weight::Regular, DIM));
    y += 19.0 * s;
    let gap = heading_gap(rect.h, s);
    layout.text(made_of(model), x, y, style(13.0, Weight::Regular, DIM));
    let variants: Vec<_> = shell.catalog.variants(model.path).collect();
    if variants.len() > 1 {
        y += 12.0 * s;
        let mut left = x;
        let mut format = None;
        for (index, variant) in variants.into_iter().enumerate() {
            // Of several formats each has a row of its own.
            let name = shell.catalog.variant_name(variant);
            let (name, own) = name.split_once(' ').map_or((&*name, None), |(name, own)| (name, Some(own)));
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
            left =
                layout.button(name, left, y, variant == model.path, ShellAction::OpenVariant(index).into());
        }
        y += 26.0 * s;
    }

    // What runs it, and how fast.
    let threads = match shell.threads {
        0 => "auto threads".into(),
        1 => "1 thread".into(),
        n => format!("{n} threads"),
    };
    y += 12.0 * s;
    if shell.engine_open {
        y = lay_out_engine(shell, model, layout, (x, right), y, &threads, gap);
    } else {
        let label = layout.cut(
            &format!("{}  ·  {threads}", shell.engine.name()),
            13.0,
            Weight::Regular,
            width - 90.0 * s,
        );
        let detail = latency.map_or("idle".into(), |(p50, _)| text::duration(p50));
        let action = ShellAction::ToggleEngine.into();
        layout.push(Rect::new(x, y, width, 26.0 * s), ItemKind::Row { label, detail, on: false, action });
        y += 26.0 * s;
    }
    Ok(y + gap * s)
}

/// The back ends, the threads and the latency; returns where they end.
fn lay_out_engine(
    shell: &Shell,
    model: &ModelSummary<'_>,
    layout: &mut Layout<'_>,
    (x, right): (f32, f32),
    top: f32,
    threads: &str,
    gap: f32,
) -> f32 {
    let (s, width) = (layout.scale, right - x);
    let latency = shell.figures.latencies.get(model.latency).copied().flatten();
    let mut y = top;
    let action = ShellAction::ToggleEngine.into();
    let fold = ItemKind::Row { label: "less".into(), detail: String::new(), on: false, action };
    y += (gap - 12.0) * s;
    layout.push(Rect::new(right - 46.0 * s, y - 17.0 * s, 46.0 * s, 22.0 * s), fold);
    layout.heading("ENGINE", x, y);
    y += 12.0 * s;
    let mut left = x;
    for (index, engine) in model.engines.iter().enumerate() {
        left = layout.button(
            engine.name(),
            left,
            y,
            *engine == shell.engine,
            ShellAction::SetEngine(index).into(),
        );
    }
    let icon = |offset: f32| Rect::new(right - offset * s, y + 2.0 * s, 22.0 * s, 22.0 * s);
    layout.push(
        icon(22.0),
        ItemKind::Icon { icon: Icon::Plus, on: false, action: ShellAction::Threads(1).into() },
    );
    layout.right(threads, right - 29.0 * s, y + 17.5 * s, style(13.0, Weight::Regular, DIM));
    let minus = 29.0 + layout.fonts.width("auto threads", 13.0 * s, Weight::Regular) / s + 28.0;
    layout.push(
        icon(minus),
        ItemKind::Icon { icon: Icon::Minus, on: false, action: ShellAction::Threads(-1).into() },
    );
    let described = layout.cut(model.described, 12.0, Weight::Regular, width);
    layout.text(described, x, y + 43.0 * s, style(12.0, Weight::Regular, FAINT));

    // How fast.
    y += (40.0 + gap) * s;
    layout.heading("LATENCY", x, y);
    layout.right(model.per, right, y, style(12.0, Weight::Regular, FAINT));
    y += 30.0 * s;
    let (p50, p99) = match latency {
        Some((p50, p99)) => (text::duration(p50), text::duration(p99)),
        None => ("idle".into(), String::new()),
    };
    let large = style(24.0, Weight::SemiBold, if latency.is_some() { TEXT } else { FAINT });
    layout.text(p50.clone(), x, y, large);
    if latency.is_some() {
        let after = x + layout.fonts.width(&p50, 24.0 * s, Weight::SemiBold) + 8.0 * s;
        layout.text("p50", after, y, style(12.0, Weight::Regular, DIM));
        // A picture that takes longer than the screen's rhythm is missed.
        let color = if latency.is_some_and(|(_, p99)| p99 > SLOW) { WARM } else { DIM };
        layout.right(format!("p99  {p99}"), right, y, style(14.0, Weight::SemiBold, color));
    }
    layout.push(Rect::new(x, y + 12.0 * s, width, 46.0 * s), ItemKind::Sparkline);
    y += 78.0 * s;
    let fps = match shell.figures.fps {
        0 => "still".into(),
        fps => format!("{fps} fps"),
    };
    layout.text(fps, x, y, style(13.0, Weight::Regular, DIM));
    if let Some(p99) = shell.figures.frame_p99 {
        let p99 = format!("frame p99  {}", text::duration(p99));
        layout.right(p99, right, y, style(13.0, Weight::Regular, DIM));
    }
    y
}

fn made_of(model: &ModelSummary<'_>) -> String {
    format!("{}  ·  {}", model.precision, text::size(model.bytes))
}

/// The same in a line, for a window without the room for a panel.
pub(super) fn lay_out_line(shell: &Shell, model: &ModelSummary<'_>, layout: &mut Layout<'_>, rect: Rect) {
    let s = layout.scale;
    let latency = shell.figures.latencies.get(model.latency).copied().flatten();
    layout.push(rect, ItemKind::Fill(PANEL));
    layout.push(Rect::new(rect.x, rect.y, rect.w, 1.0), ItemKind::Fill(LINE));
    let baseline = rect.y + rect.h / 2.0 + 4.4 * s;
    let (x, mut right) = (rect.x + MARGIN * s, rect.x + rect.w - MARGIN * s);
    let mut parts = vec![];
    if shell.figures.fps > 0 {
        parts.push(format!("{} fps", shell.figures.fps));
    }
    let dim = style(12.0, Weight::Regular, DIM);
    match latency {
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
        layout.push(curve, ItemKind::Sparkline);
        right = curve.x - 12.0 * s;
    }
    let model = format!("{}  ·  {}  ·  {}", model.name, shell.engine.name(), made_of(model));
    if right - x > 80.0 * s {
        let model = layout.cut(&model, 12.0, Weight::Regular, right - x);
        layout.text(model, x, baseline, dim);
    }
}

/// The list of models; returns where it ends.
fn lay_out_list(shell: &Shell, model: &ModelSummary<'_>, layout: &mut Layout<'_>, rect: Rect) -> f32 {
    let s = layout.scale;
    let height = ROW * s;
    let paths = &shell.catalog.paths;
    let own = paths.iter().position(|path| path == model.path).unwrap_or(0);
    for (index, path) in paths.iter().enumerate() {
        let area = Rect::new(rect.x, rect.y + height * index as f32, rect.w, height - 4.0 * s);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let label = layout.cut(&stem, 13.0, Weight::SemiBold, rect.w - 94.0 * s);
        let detail = if shell.catalog.unreadable.contains(path) {
            "unreadable".into()
        } else {
            path.extension().unwrap_or_default().to_string_lossy().into_owned()
        };
        layout.push(
            area,
            ItemKind::Row { label, detail, on: index == own, action: ShellAction::OpenModel(index).into() },
        );
    }
    rect.y + height * paths.len() as f32
}
