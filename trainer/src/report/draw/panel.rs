//! A panel: a plotting area with its two axes.

use super::axis::{Axis, decimals_for, grouped};
use super::canvas::{Canvas, Frame, Pen};
use super::font::{Anchor, Weight};
use super::palette;

/// Size of tick labels in points.
const LABEL: f32 = 10.5;

/// A plotting area with a horizontal and a vertical axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Panel {
    pub frame: Frame,
    /// The horizontal scale.
    pub x: Axis,
    /// The vertical scale, upwards.
    pub y: Axis,
}

impl Panel {
    /// A panel that shows the ranges of values `x` and `y` in a frame.
    pub fn new(frame: Frame, x: (f64, f64), y: (f64, f64)) -> Self {
        Self {
            frame,
            x: Axis::new(x.0, x.1, frame.left, frame.right),
            y: Axis::new(y.0, y.1, frame.bottom, frame.top),
        }
    }

    /// Where a pair of values lies.
    pub fn at(&self, x: f64, y: f64) -> (f32, f32) {
        (self.x.at(x), self.y.at(y))
    }

    /// Draws grid lines and labels for the vertical axis, and the axis' title beside it.
    pub fn draw_y(&self, canvas: &mut Canvas, title: &str, count: usize) {
        let (ticks, step) = self.y.ticks(count);
        let decimals = decimals_for(step);
        for tick in ticks {
            let y = self.y.at(tick);
            canvas.line(&[(self.frame.left, y), (self.frame.right, y)], Pen::solid(palette::GRID, 1.0));
            let label = format!("{tick:.decimals$}").replace('-', "−");
            canvas.text(
                &label,
                self.frame.left - 8.0,
                y + 0.36 * LABEL,
                LABEL,
                Weight::Regular,
                Anchor::End,
                palette::SOFT,
            );
        }
        let middle = (self.frame.top + self.frame.bottom) / 2.0;
        canvas.text_upwards(title, self.frame.left - 44.0, middle, 11.0, Weight::Regular, palette::SOFT);
    }

    /// Draws the horizontal axis: its line, and, if `labels`, ticks with whole numbers and the axis' title.
    pub fn draw_x(&self, canvas: &mut Canvas, title: &str, labels: bool) {
        let (left, right, bottom) = (self.frame.left, self.frame.right, self.frame.bottom);
        canvas.line(&[(left, bottom), (right, bottom)], Pen::solid(palette::FRAME, 1.0));
        if !labels {
            return;
        }
        for tick in self.x.ticks(8).0 {
            let x = self.x.at(tick);
            canvas.line(&[(x, bottom), (x, bottom + 4.0)], Pen::solid(palette::FRAME, 1.0));
            canvas.text(
                &grouped(tick),
                x,
                bottom + 18.0,
                LABEL,
                Weight::Regular,
                Anchor::Middle,
                palette::SOFT,
            );
        }
        canvas.text(
            title,
            (left + right) / 2.0,
            bottom + 36.0,
            11.0,
            Weight::Regular,
            Anchor::Middle,
            palette::SOFT,
        );
    }
}
