//! The icons on buttons.

use super::Painter;
use crate::draw::Rect;
use crate::draw::theme::{ACCENT, ALERT, CONTROL, CONTROL_HOVER, Color, DIM, ON_ACCENT, TEXT};

/// A sign on a button, drawn by lines and shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// A triangle to the right.
    Play,
    /// Two bars.
    Pause,
    /// A triangle to the right with a bar.
    Next,
    /// A triangle to the left with a bar.
    Previous,
    /// Arrows that say which way the walk goes.
    Direction {
        /// From the first key frame to the last.
        forward: bool,
    },
    /// A cross upright.
    Plus,
    /// A line.
    Minus,
    Cross,
    /// A disc.
    Record,
    /// A square.
    Stop,
    Die,
    /// An arrow to the left.
    Earlier,
    /// An arrow to the right.
    Later,
    Camera,
    /// An arrow down to a line.
    Save,
    /// An arrow up from a line.
    Load,
}

impl Painter<'_> {
    pub(super) fn icon(&mut self, rect: Rect, icon: Icon, on: bool, hover: bool) {
        let s = self.scale;
        let (cx, cy) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0);
        let is_record = matches!(icon, Icon::Record | Icon::Stop);
        let (back, front) = match (on, hover) {
            (true, _) if is_record => (ALERT.with_alpha(60), ALERT),
            (true, false) => (ACCENT, ON_ACCENT),
            (true, true) => (Color(0xff8a_c6ff), ON_ACCENT),
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
        match icon {
            Icon::Play => self.canvas.polygon(&triangle(0.5, 1.0), front),
            Icon::Pause => {
                self.canvas.round(bar(-4.5, -5.0, 3.2, 10.0), 1.0 * u, front);
                self.canvas.round(bar(1.3, -5.0, 3.2, 10.0), 1.0 * u, front);
            }
            Icon::Next => {
                self.canvas.polygon(&triangle(-1.0, 0.9), front);
                self.canvas.round(bar(3.4, -5.0, 1.8, 10.0), 0.6 * u, front);
            }
            Icon::Previous => {
                self.canvas.polygon(&triangle(1.0, -0.9), front);
                self.canvas.round(bar(-5.2, -5.0, 1.8, 10.0), 0.6 * u, front);
            }
            Icon::Direction { forward } => {
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
            Icon::Plus | Icon::Minus => {
                self.canvas.round(bar(-5.0, -0.9, 10.0, 1.8), 0.9 * u, front);
                if icon == Icon::Plus {
                    self.canvas.round(bar(-0.9, -5.0, 1.8, 10.0), 0.9 * u, front);
                }
            }
            Icon::Cross => {
                let d = 3.8 * u;
                self.canvas.line(&[(cx - d, cy - d), (cx + d, cy + d)], 1.8 * u, front);
                self.canvas.line(&[(cx - d, cy + d), (cx + d, cy - d)], 1.8 * u, front);
            }
            Icon::Record => self.canvas.disc(cx, cy, 5.0 * u, front),
            Icon::Die => {
                self.canvas.round(bar(-5.5, -5.5, 11.0, 11.0), 2.6 * u, front);
                for at in [-2.6, 0.0, 2.6] {
                    self.canvas.disc(cx + at * u, cy + at * u, 1.15 * u, back);
                }
            }
            Icon::Earlier | Icon::Later => {
                let way = if icon == Icon::Later { u } else { -u };
                self.canvas.line(&[(cx - 4.8 * way, cy), (cx + 4.2 * way, cy)], 1.8 * u, front);
                let head =
                    [(cx + 0.8 * way, cy - 4.0 * u), (cx + 4.8 * way, cy), (cx + 0.8 * way, cy + 4.0 * u)];
                self.canvas.line(&head, 1.8 * u, front);
            }
            Icon::Camera => {
                self.canvas.round(bar(-2.8, -5.4, 5.6, 4.0), 1.2 * u, front);
                self.canvas.round(bar(-6.2, -3.7, 12.4, 9.0), 2.0 * u, front);
                self.canvas.disc(cx, cy + 0.8 * u, 2.9 * u, back);
                self.canvas.disc(cx, cy + 0.8 * u, 1.5 * u, front);
            }
            Icon::Save | Icon::Load => {
                let (tail, tip, way) = if icon == Icon::Save { (-5.4, 2.0, -u) } else { (2.4, -5.0, u) };
                let tip = cy + tip * u;
                self.canvas.line(&[(cx, cy + tail * u), (cx, tip)], 1.8 * u, front);
                let head = [(cx - 3.4 * u, tip + 3.4 * way), (cx, tip), (cx + 3.4 * u, tip + 3.4 * way)];
                self.canvas.line(&head, 1.8 * u, front);
                self.canvas.round(bar(-5.4, 4.4, 10.8, 1.8), 0.9 * u, front);
            }
            Icon::Stop => self.canvas.round(bar(-4.0, -4.0, 8.0, 8.0), 1.5 * u, front),
        }
    }
}
