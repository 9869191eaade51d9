//! The picture of a run's losses.

use std::io;
use std::path::Path;

use latent_files::atomic::{self, Existing};
use latent_files::run::Finding;

use super::draw::{Anchor, Canvas, Color, Frame, Panel, Pen, Weight, palette, text_width, wrap};
use super::metrics::{Metrics, MetricsError};
use crate::gan::losses::{self, LossKind};

/// Width of the picture in points (twice as many pixels).
const WIDTH: f32 = 920.0;
/// Height of the losses' panel in points.
const LOSSES: f32 = 330.0;
/// Height of the diversity's panel in points.
const DIVERSITY: f32 = 84.0;
const LEFT: f32 = 66.0;
const RIGHT: f32 = 96.0;

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The metrics could not be read.
    #[error(transparent)]
    Metrics(MetricsError),
    #[error("{path} has no finite value in a column {column:?}, so there is nothing to plot")]
    NoValues { column: &'static str, path: String },
    #[error("cannot encode the plot: {0}")]
    Encoding(String),
    /// The picture could not be written.
    #[error(transparent)]
    Io(io::Error),
}

/// What a picture of losses says beside the losses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LossPlot<'a> {
    /// The title, e.g. `dcgan on mnist`.
    pub title: &'a str,
    /// The kind of losses: gives the levels of guessing, and their names.
    pub loss: Option<LossKind>,
    /// What the diagnosis found: marked, and told below the picture.
    pub findings: &'a [Finding],
    /// The diagnosis' verdict, told below the picture.
    pub verdict: Option<&'a str>,
    /// The diversity of real images, a line in the panel of diversity.
    pub data_diversity: Option<f32>,
}

/// Draws the columns `d_loss` and `g_loss` of a metrics file over its iterations, and `diversity` below if there is such a
/// column: single values light, their smoothed course strong, the levels of guessing dashed, findings marked. Writes a PNG
/// of 1840 pixels' width; an existing file is replaced, in one step.
pub fn losses(
    metrics_csv: impl AsRef<Path>,
    out_png: impl AsRef<Path>,
    plot: &LossPlot<'_>,
) -> Result<(), PlotError> {
    let (metrics_csv, out_png) = (metrics_csv.as_ref(), out_png.as_ref());
    let metrics = Metrics::read(metrics_csv).map_err(PlotError::Metrics)?;
    let column = |name| column(&metrics, name, metrics_csv);
    let (d, g) = (column("d_loss")?, column("g_loss")?);
    let diversity = column("diversity").unwrap_or_default();
    let picture = draw(&d, &g, &diversity, plot).map_err(|error| PlotError::Encoding(error.to_string()))?;
    atomic::write_file(out_png, &picture, Existing::Replace).map_err(PlotError::Io)
}

/// The course of a figure.
struct Curve<'a> {
    name: &'a str,
    /// Its short name at the right edge.
    short: &'a str,
    color: Color,
    values: &'a [(u64, f64)],
}

/// A value that means something.
struct Level {
    color: Color,
    value: f64,
    /// What it means, for the legend.
    text: String,
}

/// A lower panel, from zero.
struct Lower<'a> {
    title: &'a str,
    curves: &'a [Curve<'a>],
    /// A value to compare with, and its name.
    reference: Option<(f64, &'a str)>,
}

/// What a picture shows.
struct Chart<'a> {
    title: &'a str,
    curves: &'a [Curve<'a>],
    levels: &'a [Level],
    lower: Option<Lower<'a>>,
    findings: &'a [Finding],
    verdict: Option<&'a str>,
}

/// The levels of guessing of a pair of losses.
fn levels(loss: Option<LossKind>) -> Vec<Level> {
    let Some(levels) = loss.map(|loss| loss.definition().levels) else { return Vec::new() };
    let level = |which, color, level: losses::Level| Level {
        color,
        value: level.value,
        text: format!("{which} when D can only guess: {}", level.name),
    };
    let g = levels.g.map(|g| level('G', palette::ORANGE, g));
    [Some(level('D', palette::BLUE, levels.d)), g].into_iter().flatten().collect()
}

fn draw(
    d: &[(u64, f64)],
    g: &[(u64, f64)],
    diversity: &[(u64, f64)],
    plot: &LossPlot<'_>,
) -> Result<Vec<u8>, png::EncodingError> {
    let curves = [
        Curve { name: "discriminator", short: "D", color: palette::BLUE, values: d },
        Curve { name: "generator", short: "G", color: palette::ORANGE, values: g },
    ];
    let diversity_curve = [Curve { name: "diversity", short: "", color: palette::GREEN, values: diversity }];
    let data = plot.data_diversity.map(f64::from).filter(|value| value.is_finite());
    let lower =
        Lower { title: "diversity", curves: &diversity_curve, reference: data.map(|data| (data, "data")) };
    render(&Chart {
        title: plot.title,
        curves: &curves,
        levels: &levels(plot.loss),
        lower: (!diversity.is_empty()).then_some(lower),
        findings: plot.findings,
        verdict: plot.verdict,
    })
}

/// What a picture of a run with one loss says beside it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ContrastPlot<'a> {
    /// The title, e.g. `small on cifar10`.
    pub title: &'a str,
    /// The loss of guessing.
    pub guessing: f64,
    /// What the diagnosis found: marked, and told below the picture.
    pub findings: &'a [Finding],
    /// The diagnosis' verdict, told below the picture.
    pub verdict: Option<&'a str>,
}

/// Draws the column `loss` of a metrics file over its iterations with the level of guessing, and `knn_top1` (as a percentage)
/// below if it was measured. Writes a PNG as [`losses()`] does.
pub fn contrast(
    metrics_csv: impl AsRef<Path>,
    out_png: impl AsRef<Path>,
    plot: &ContrastPlot<'_>,
) -> Result<(), PlotError> {
    let text = format!("guessing: ln(2N−1) = {:.3}", plot.guessing);
    one_loss(metrics_csv.as_ref(), out_png.as_ref(), plot, text, ("knn_top1", "kNN %"))
}

/// The same for a classifier: the level of guessing is ln(classes), and `test_accuracy` (as a percentage) is below.
pub fn classifier(
    metrics_csv: impl AsRef<Path>,
    out_png: impl AsRef<Path>,
    plot: &ContrastPlot<'_>,
) -> Result<(), PlotError> {
    let text = format!("guessing: ln(classes) = {:.3}", plot.guessing);
    one_loss(metrics_csv.as_ref(), out_png.as_ref(), plot, text, ("test_accuracy", "test %"))
}

fn one_loss(
    metrics_csv: &Path,
    out_png: &Path,
    plot: &ContrastPlot<'_>,
    guessing: String,
    (part, title): (&str, &str),
) -> Result<(), PlotError> {
    let metrics = Metrics::read(metrics_csv).map_err(PlotError::Metrics)?;
    let loss = column(&metrics, "loss", metrics_csv)?;
    let parts: Vec<(u64, f64)> = metrics.series(part).unwrap_or_default();
    let parts: Vec<(u64, f64)> = parts.into_iter().map(|(at, value)| (at, 100.0 * value)).collect();
    let curves = [Curve { name: "loss", short: "", color: palette::BLUE, values: &loss }];
    let levels = [Level { color: palette::ORANGE, value: plot.guessing, text: guessing }];
    let parts_curve = [Curve { name: title, short: "", color: palette::GREEN, values: &parts }];
    let lower = Lower { title, curves: &parts_curve, reference: None };
    let chart = Chart {
        title: plot.title,
        curves: &curves,
        levels: &levels,
        lower: (!parts.is_empty()).then_some(lower),
        findings: plot.findings,
        verdict: plot.verdict,
    };
    let picture = render(&chart).map_err(|error| PlotError::Encoding(error.to_string()))?;
    atomic::write_file(out_png, &picture, Existing::Replace).map_err(PlotError::Io)
}

/// A column's values, of which at least one must be finite.
fn column(metrics: &Metrics, name: &'static str, path: &Path) -> Result<Vec<(u64, f64)>, PlotError> {
    let series: Vec<(u64, f64)> = metrics.series(name).unwrap_or_default();
    if series.iter().any(|point| point.1.is_finite()) {
        Ok(series)
    } else {
        Err(PlotError::NoValues { column: name, path: path.display().to_string() })
    }
}

fn render(chart: &Chart<'_>) -> Result<Vec<u8>, png::EncodingError> {
    let notes = notes(chart);
    let top = 84.0;
    let lower = if chart.lower.is_some() { DIVERSITY + 26.0 } else { 0.0 };
    let note_lines: usize = notes.iter().map(|note| note.lines.len()).sum();
    let notes_height =
        if notes.is_empty() { 0.0 } else { 14.0 + 16.0 * note_lines as f32 + 5.0 * notes.len() as f32 };
    let height = top + LOSSES + lower + 56.0 + notes_height;
    let mut canvas = Canvas::new(WIDTH, height, palette::PAPER);

    let points = chart.curves.iter().flat_map(|curve| curve.values);
    let last = points.map(|point| point.0).max().unwrap_or(1);
    let x_range = (0.0, last.max(1) as f64);
    let frame = Frame { left: LEFT, top, right: WIDTH - RIGHT, bottom: top + LOSSES };
    let smooth: Vec<Vec<(u64, f64)>> = chart.curves.iter().map(|curve| smoothed(curve.values)).collect();
    let raw: Vec<&[(u64, f64)]> = chart.curves.iter().map(|curve| curve.values).collect();
    let main = Panel::new(frame, x_range, loss_range(&raw, &smooth, chart.levels));
    main.draw_y(&mut canvas, "loss", 7);

    canvas.clip(Some(frame));
    for curve in chart.curves {
        canvas.line(&course(curve.values, &main), Pen::solid(curve.color.faded(0.22), 0.9));
    }
    for level in chart.levels {
        let y = main.y.at(level.value);
        let pen = Pen::dashed(level.color.mixed(palette::PAPER, 0.25), 1.1, 5.0, 4.0);
        canvas.line(&[(frame.left, y), (frame.right, y)], pen);
    }
    for (series, curve) in smooth.iter().zip(chart.curves) {
        canvas.line(&course(series, &main), Pen::solid(palette::PAPER.faded(0.75), 4.2));
        curve_or_dot(&mut canvas, &course(series, &main), curve.color, 2.1);
    }
    canvas.clip(None);
    main.draw_x(&mut canvas, "iteration", chart.lower.is_none());
    end_labels(&mut canvas, &main, chart.curves, &smooth);

    let mut bottom = frame.bottom;
    if let Some(lower) = &chart.lower {
        let frame = Frame { top: bottom + 26.0, bottom: bottom + 26.0 + DIVERSITY, ..frame };
        lower_panel(&mut canvas, frame, x_range, lower);
        bottom = frame.bottom;
    }
    for (index, finding) in chart.findings.iter().enumerate() {
        mark(&mut canvas, &main, bottom, finding.iteration, index + 1);
    }
    heading(&mut canvas, chart, last);
    let mut y = bottom + 56.0 + 8.0;
    for note in &notes {
        if let Some(number) = note.number {
            canvas.dot(LEFT + 7.0, y - 4.0, 7.0, palette::RED);
            let (size, weight) = (9.0, Weight::SemiBold);
            canvas.text(
                &number.to_string(),
                LEFT + 7.0,
                y - 0.8,
                size,
                weight,
                Anchor::Middle,
                palette::PAPER,
            );
        }
        for line in &note.lines {
            canvas.text(line, LEFT + note.indent, y, 11.0, Weight::Regular, Anchor::Start, palette::INK);
            y += 16.0;
        }
        y += 5.0;
    }
    canvas.png()
}

/// Text below the picture.
struct Note {
    number: Option<usize>,
    indent: f32,
    lines: Vec<String>,
}

/// Findings that are told in full below the picture; all are marked.
const TOLD: usize = 6;

fn notes(chart: &Chart<'_>) -> Vec<Note> {
    let width = WIDTH - LEFT - 28.0;
    let mut notes = Vec::new();
    for (index, finding) in chart.findings.iter().take(TOLD).enumerate() {
        let text = format!("Iteration {}: {}.", finding.iteration, finding.message);
        let lines = wrap(&typeset(&text), width - 22.0, 11.0, Weight::Regular);
        notes.push(Note { number: Some(index + 1), indent: 22.0, lines });
    }
    if chart.findings.len() > TOLD {
        let lines = vec![format!("and {} more.", chart.findings.len() - TOLD)];
        notes.push(Note { number: None, indent: 22.0, lines });
    }
    if let Some(verdict) = chart.verdict {
        let mut letters = verdict.chars();
        let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
        let text = typeset(&format!("{first}{}.", letters.as_str()));
        let lines = wrap(&text, width, 11.0, Weight::Regular);
        notes.push(Note { number: None, indent: 0.0, lines });
    }
    notes
}

/// Plain text as it should be printed.
fn typeset(text: &str) -> String {
    text.replace(" %", "\u{a0}%").replace('\'', "’")
}

fn heading(canvas: &mut Canvas, chart: &Chart<'_>, last: u64) {
    let title =
        if chart.title.is_empty() { "Losses".to_owned() } else { format!("Losses of {}", chart.title) };
    canvas.text(&title, LEFT, 32.0, 17.0, Weight::SemiBold, Anchor::Start, palette::INK);
    let count = super::draw::grouped(last as f64);
    let iterations = format!("{count} iterations");
    canvas.text(&iterations, WIDTH - 28.0, 32.0, 11.0, Weight::Regular, Anchor::End, palette::SOFT);

    let mut x = LEFT;
    let mut entry = |text: &str, color: Color, dashed: bool| {
        let pen = if dashed {
            Pen::dashed(color.mixed(palette::PAPER, 0.25), 1.4, 5.0, 3.5)
        } else {
            Pen::solid(color, 2.6)
        };
        canvas.line(&[(x, 57.0), (x + 22.0, 57.0)], pen);
        canvas.text(text, x + 29.0, 61.0, 11.5, Weight::Regular, Anchor::Start, palette::INK);
        x += 29.0 + text_width(text, 11.5, Weight::Regular) + 22.0;
    };
    for curve in chart.curves {
        entry(curve.name, curve.color, false);
    }
    for level in chart.levels {
        entry(&level.text, level.color, true);
    }
}

/// A curve; of a single value, which has no course, a dot.
fn curve_or_dot(canvas: &mut Canvas, points: &[(f32, f32)], color: Color, width: f32) {
    match points {
        [(x, y)] => canvas.dot(*x, *y, 1.6 * width, color),
        _ => canvas.line(points, Pen::solid(color, width)),
    }
}

/// The last smoothed values at the right edge, moved apart where they are close.
fn end_labels(canvas: &mut Canvas, panel: &Panel, curves: &[Curve<'_>], smooth: &[Vec<(u64, f64)>]) {
    let mut labels: Vec<(f32, String, Color)> = Vec::new();
    for (curve, series) in curves.iter().zip(smooth) {
        if let Some((_, value)) = series.iter().rev().find(|point| point.1.is_finite()) {
            let y = panel.y.at(*value).clamp(panel.frame.top, panel.frame.bottom);
            let text = format!("{} {}", curve.short, figure(*value)).replace('-', "−");
            labels.push((y, text.trim_start().to_owned(), curve.color));
        }
    }
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let [upper, lower] = &mut labels[..]
        && lower.0 - upper.0 < 17.0
    {
        let push = (17.0 - (lower.0 - upper.0)) / 2.0;
        upper.0 -= push;
        lower.0 += push;
    }
    for (y, text, color) in labels {
        canvas.text(&text, panel.frame.right + 9.0, y + 4.4, 12.5, Weight::SemiBold, Anchor::Start, color);
    }
}

/// About four digits.
fn figure(value: f64) -> String {
    let decimals = if value.abs() < 10.0 {
        3
    } else if value.abs() < 100.0 {
        2
    } else {
        1
    };
    format!("{value:.decimals$}")
}

fn lower_panel(canvas: &mut Canvas, frame: Frame, x_range: (f64, f64), lower: &Lower<'_>) {
    let values = lower.curves.iter().flat_map(|curve| curve.values).map(|point| point.1);
    let most = values.chain(lower.reference.map(|(value, _)| value)).filter(|value| value.is_finite());
    let panel = Panel::new(frame, x_range, (0.0, 1.12 * most.fold(1e-6, f64::max)));
    panel.draw_y(canvas, lower.title, 2);
    canvas.clip(Some(frame));
    if let Some((value, _)) = lower.reference {
        let y = panel.y.at(value);
        let pen = Pen::dashed(palette::GREEN.mixed(palette::PAPER, 0.25), 1.1, 5.0, 4.0);
        canvas.line(&[(frame.left, y), (frame.right, y)], pen);
    }
    for curve in lower.curves {
        curve_or_dot(canvas, &course(curve.values, &panel), curve.color, 1.7);
    }
    canvas.clip(None);
    if let Some((value, name)) = lower.reference {
        let y = panel.y.at(value) + 3.8;
        canvas.text(name, frame.right + 9.0, y, 10.5, Weight::Regular, Anchor::Start, palette::GREEN);
    }
    panel.draw_x(canvas, "iteration", true);
}

/// A finding's mark: a red line through the panels with its number on top.
fn mark(canvas: &mut Canvas, panel: &Panel, bottom: f32, iteration: u64, number: usize) {
    let x = panel.x.at(iteration as f64);
    canvas.line(&[(x, panel.frame.top), (x, bottom)], Pen::solid(palette::RED.faded(0.55), 1.2));
    canvas.dot(x, panel.frame.top - 2.0, 8.0, palette::RED);
    let text = number.to_string();
    canvas.text(&text, x, panel.frame.top + 1.4, 10.0, Weight::SemiBold, Anchor::Middle, palette::PAPER);
}

/// The points of a series in a panel. Where there are more values than the panel can show, each column of it gets the
/// least and the greatest value, so that no spike is lost.
fn course(series: &[(u64, f64)], panel: &Panel) -> Vec<(f32, f32)> {
    let columns = (panel.frame.width() * 2.0) as usize;
    if series.len() <= 3 * columns {
        return series.iter().map(|(x, y)| nan_aware(panel, *x, *y)).collect();
    }
    let per = series.len().div_ceil(columns);
    let mut points = Vec::with_capacity(2 * columns);
    for group in series.chunks(per) {
        let finite = || group.iter().filter(|point| point.1.is_finite());
        let least = finite().min_by(|a, b| a.1.total_cmp(&b.1));
        let most = finite().max_by(|a, b| a.1.total_cmp(&b.1));
        match (least, most) {
            (Some(a), Some(b)) => {
                let (first, second) = if a.0 <= b.0 { (a, b) } else { (b, a) };
                points.push(panel.at(first.0 as f64, first.1));
                points.push(panel.at(second.0 as f64, second.1));
            }
            _ => points.push((f32::NAN, f32::NAN)),
        }
    }
    points
}

fn nan_aware(panel: &Panel, x: u64, y: f64) -> (f32, f32) {
    if y.is_finite() { panel.at(x as f64, y) } else { (f32::NAN, f32::NAN) }
}

/// The course of a series: a centered mean over a fortieth of it (at most 200 values), twice, which is a smooth bell. At the
/// ends the mean is over what is there.
fn smoothed(series: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let half = (series.len() / 80).clamp(2, 100);
    let once = |values: &[f64]| -> Vec<f64> {
        // Running sums of finite values and of their number.
        let mut sums = vec![(0.0f64, 0usize)];
        for value in values {
            let (sum, count) = sums[sums.len() - 1];
            let finite = value.is_finite();
            sums.push((if finite { sum + value } else { sum }, count + usize::from(finite)));
        }
        (0..values.len())
            .map(|index| {
                let (low, high) =
                    (sums[index.saturating_sub(half)], sums[(index + half + 1).min(values.len())]);
                if high.1 > low.1 { (high.0 - low.0) / (high.1 - low.1) as f64 } else { f64::NAN }
            })
            .collect()
    };
    let values: Vec<f64> = series.iter().map(|point| point.1).collect();
    let mean = once(&once(&values));
    series.iter().zip(mean).map(|(point, mean)| (point.0, mean)).collect()
}

/// The vertical range: all of the smoothed courses and levels, and of the single values all but the rarest.
fn loss_range(raw: &[&[(u64, f64)]], smooth: &[Vec<(u64, f64)>], levels: &[Level]) -> (f64, f64) {
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    for series in raw {
        let mut values: Vec<f64> =
            series.iter().map(|point| point.1).filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        if let (Some(last), cut) = (values.len().checked_sub(1), values.len() / 150) {
            low = low.min(values[cut]);
            high = high.max(values[last - cut]);
        }
    }
    let shown = smooth.iter().flat_map(|series| series.iter().map(|point| point.1));
    for value in shown.chain(levels.iter().map(|level| level.value)).filter(|value| value.is_finite()) {
        low = low.min(value);
        high = high.max(value);
    }
    let pad = 0.05 * (high - low);
    // Losses that come near zero are shown from zero.
    let from_zero = low >= 0.0 && low < 0.4 * high;
    (if from_zero { 0.0 } else { low - pad }, high + pad)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use latent_files::run::FindingKind;

    struct Picture {
        width: usize,
        height: usize,
        pixels: Vec<u8>,
    }

    impl Picture {
        fn read(path: &Path) -> Self {
            let mut reader = png::Decoder::new(io::Cursor::new(fs::read(path).unwrap())).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut pixels).unwrap();
            assert_eq!(info.color_type, png::ColorType::Rgb);
            Self { width: info.width as usize, height: info.height as usize, pixels }
        }

        /// Whether there is a pixel of just this color in a frame given in points.
        fn has(&self, color: [u8; 3], frame: Frame) -> bool {
            let side = |points: f32| (2.0 * points) as usize;
            (side(frame.top)..side(frame.bottom).min(self.height)).any(|y| {
                (side(frame.left)..side(frame.right).min(self.width)).any(|x| {
                    let at = 3 * (y * self.width + x);
                    self.pixels[at..at + 3] == color
                })
            })
        }
    }

    const BLUE: [u8; 3] = [0x25, 0x63, 0xeb];
    const ORANGE: [u8; 3] = [0xe8, 0x6a, 0x0c];
    const RED: [u8; 3] = [0xd0, 0x1f, 0x2f];

    fn metrics(dir: &Path, rows: impl IntoIterator<Item = (f64, f64)>) -> std::path::PathBuf {
        let path = dir.join("metrics.csv");
        let mut text = String::from("iteration,d_loss,g_loss\n");
        for (index, (d, g)) in rows.into_iter().enumerate() {
            text.push_str(&format!("{},{d:?},{g:?}\n", index + 1));
        }
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_single_value_is_a_dot() {
        let dir = tempfile::tempdir().unwrap();
        let path = metrics(dir.path(), [(3.0, 1.0)]);
        let out = dir.path().join("losses.png");
        losses(&path, &out, &LossPlot::default()).unwrap();
        let picture = Picture::read(&out);
        let upper = Frame { left: LEFT + 10.0, top: 84.0, right: WIDTH - RIGHT, bottom: 84.0 + LOSSES / 2.0 };
        let lower = Frame { top: upper.bottom, bottom: upper.bottom + LOSSES / 2.0, ..upper };
        assert!(picture.has(BLUE, upper) && picture.has(ORANGE, lower));
    }

    #[test]
    fn both_losses_are_where_their_values_are() {
        let dir = tempfile::tempdir().unwrap();
        // Two constant losses: D high, G low, far apart.
        let path = metrics(dir.path(), (0..400).map(|_| (3.0, 1.0)));
        let out = dir.path().join("losses.png");
        losses(&path, &out, &LossPlot::default()).unwrap();
        let picture = Picture::read(&out);
        assert_eq!(picture.width, 1840);
        let upper = Frame { left: LEFT + 10.0, top: 84.0, right: WIDTH - RIGHT, bottom: 84.0 + LOSSES / 2.0 };
        let lower = Frame { top: upper.bottom, bottom: upper.bottom + LOSSES / 2.0, ..upper };
        assert!(picture.has(BLUE, upper) && !picture.has(BLUE, lower));
        assert!(picture.has(ORANGE, lower) && !picture.has(ORANGE, upper));
        assert!(!picture.has(RED, Frame { left: 0.0, top: 0.0, right: WIDTH, bottom: 2000.0 }));

        // The same again gives the same bytes, and replaces the file.
        let first = fs::read(&out).unwrap();
        losses(&path, &out, &LossPlot::default()).unwrap();
        assert_eq!(fs::read(&out).unwrap(), first);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn findings_are_marked_and_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = metrics(dir.path(), (0..400).map(|_| (1.3, 0.8)));
        let (plain, marked) = (dir.path().join("plain.png"), dir.path().join("marked.png"));
        let finding = |iteration| Finding {
            iteration,
            kind: FindingKind::ModeCollapse,
            message: "mode collapse: the images are alike, ".repeat(6),
        };
        let findings: Vec<Finding> = [100, 200, 300, 301, 302, 303, 304].map(finding).to_vec();
        let plot = LossPlot { title: "dcgan on mnist", loss: Some(LossKind::Bce), ..LossPlot::default() };
        losses(&path, &plain, &plot).unwrap();
        losses(&path, &marked, &LossPlot { findings: &findings, verdict: Some("not healthy"), ..plot })
            .unwrap();
        let (plain, marked) = (Picture::read(&plain), Picture::read(&marked));
        assert!(marked.height > plain.height + 2 * 6 * 16);
        let panel = (WIDTH - RIGHT - LEFT) / 400.0;
        for iteration in [100.0, 200.0, 300.0] {
            let x = LEFT + panel * iteration;
            let at = Frame { left: x - 8.0, top: 70.0, right: x + 8.0, bottom: 90.0 };
            assert!(marked.has(RED, at) && !plain.has(RED, at), "{iteration}");
        }
    }

    #[test]
    fn unusual_numbers_do_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("losses.png");
        type Row = fn(u64) -> (f64, f64);
        let cases: [(&str, u64, Row); 6] = [
            ("one row", 1, |_| (1.0, 1.0)),
            ("two rows", 2, |i| (i as f64, 1.0)),
            ("not finite at the end", 100, |i| if i < 60 { (1.0, 2.0) } else { (f64::NAN, f64::INFINITY) }),
            ("huge", 100, |i| (1e300 * i as f64, -1e300)),
            ("zeros", 100, |_| (0.0, 0.0)),
            ("more values than pixels", 30_000, |i| ((i as f64).sin(), 1.0 + (i as f64).cos())),
        ];
        for (name, count, row) in cases {
            let path = metrics(dir.path(), (0..count).map(row));
            for loss in [None, Some(LossKind::Ls), Some(LossKind::WganGp)] {
                let result = losses(&path, &out, &LossPlot { loss, ..LossPlot::default() });
                assert!(result.is_ok(), "{name}: {result:?}");
                assert_eq!(Picture::read(&out).width, 1840, "{name}");
            }
        }
    }

    #[test]
    fn what_cannot_be_plotted_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("losses.png");
        let missing = losses(dir.path().join("none.csv"), &out, &LossPlot::default()).unwrap_err();
        assert!(missing.to_string().contains("none.csv"), "{missing}");
        for rows in [0, 3] {
            let path = metrics(dir.path(), (0..rows).map(|_| (f64::NAN, 1.0)));
            let error = losses(&path, &out, &LossPlot::default()).unwrap_err().to_string();
            assert!(error.contains("no finite value in a column \"d_loss\""), "{error}");
        }
        let path = metrics(dir.path(), [(1.0, 1.0)]);
        let error = losses(&path, path.join("losses.png"), &LossPlot::default()).unwrap_err();
        assert!(error.to_string().contains("is a file, not a folder"), "{error}");
        assert!(!out.exists());
    }
}
