//! The map of embeddings on the screen: where it is looked at, and which images are drawn in it.

use std::collections::HashMap;

use crate::draw::Rect;

/// The zoom: 1 shows all of it.
const ZOOM: (f64, f64) = (0.5, 128.0);
/// The factor between two zooms.
const NOTCH: f64 = 1.25;
/// How far from the middle one can go.
const LIMIT: f64 = 4.0;
/// How fast points and the view go where they should be, per second.
const HASTE: (f64, f64) = (7.0, 9.0);
/// What cannot be seen, in units of the map.
const NEAR: f32 = 2e-4;
/// How far from a point the pointer finds it, in pixels.
const REACH: f32 = 12.0;
/// The pixels between images.
const GAP: f32 = 2.0;

/// Points that move to their places, and a view of them.
#[derive(Clone, Debug)]
pub struct ScatterPlot {
    /// The point in the middle of the view.
    pub center: (f64, f64),
    /// How near one is.
    pub zoom: f64,
    /// Where points should be.
    places: Vec<[f32; 2]>,
    /// Where they are; some may be from before.
    points: Vec<[f32; 2]>,
    /// Where the view goes.
    goal: Option<(f64, f64)>,
    /// The points that are drawn as images, in this order.
    shown: Vec<usize>,
    /// What `shown` was found for.
    arranged: Option<(usize, u64, [u32; 2])>,
    moving: bool,
}

impl Default for ScatterPlot {
    fn default() -> Self {
        Self {
            center: (0.0, 0.0),
            zoom: 1.0,
            places: Vec::new(),
            points: Vec::new(),
            goal: None,
            shown: Vec::new(),
            arranged: None,
            moving: false,
        }
    }
}

impl ScatterPlot {
    /// The number of points.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Begins anew; points that come again begin where they are now.
    pub fn restart(&mut self) {
        self.places.clear();
        self.shown.clear();
        self.arranged = None;
    }

    /// Adds points; new ones are at their places at once.
    pub fn add(&mut self, places: &[[f32; 2]]) {
        self.places.extend_from_slice(places);
        let known = self.points.len().min(self.places.len());
        self.points.extend_from_slice(&self.places[known..]);
        self.moving = true;
        self.arranged = None;
    }

    /// Gives all points new places.
    pub fn rearrange(&mut self, places: Vec<[f32; 2]>) {
        self.places.clear();
        self.add(&places);
    }

    /// Whether something moves.
    pub fn is_moving(&self) -> bool {
        self.moving || self.goal.is_some()
    }

    /// Lets `seconds` pass. Returns whether anything moved.
    pub fn advance(&mut self, seconds: f64) -> bool {
        let moved = self.is_moving();
        if self.moving {
            let share = (1.0 - (-seconds * HASTE.0).exp()) as f32;
            let mut farthest = 0.0f32;
            for (point, place) in self.points.iter_mut().zip(&self.places) {
                for (x, goal) in point.iter_mut().zip(place) {
                    farthest = farthest.max((goal - *x).abs());
                    *x += (goal - *x) * share;
                }
            }
            self.arranged = None;
            if farthest < NEAR {
                self.points.clone_from(&self.places);
                self.moving = false;
            }
        }
        if let Some((x, y)) = self.goal {
            let share = 1.0 - (-seconds * HASTE.1).exp();
            let (dx, dy) = (x - self.center.0, y - self.center.1);
            self.center = (self.center.0 + dx * share, self.center.1 + dy * share);
            if dx.abs().max(dy.abs()) * self.zoom < f64::from(NEAR) {
                self.center = (x, y);
                self.goal = None;
            }
        }
        moved
    }

    /// Pixels per unit.
    fn scale(&self, view: Rect) -> f64 {
        f64::from(view.w.min(view.h)).max(1.0) * 0.46 * self.zoom
    }

    /// Where a point is on the screen.
    pub fn on_screen(&self, view: Rect, index: usize) -> Option<(f32, f32)> {
        let [x, y] = *self.points.get(index).filter(|_| index < self.places.len())?;
        let scale = self.scale(view);
        // The second component upwards.
        let (dx, dy) = ((f64::from(x) - self.center.0) * scale, (self.center.1 - f64::from(y)) * scale);
        Some((view.x + view.w / 2.0 + dx as f32, view.y + view.h / 2.0 + dy as f32))
    }

    /// Moves the view by pixels.
    pub fn pan(&mut self, view: Rect, dx: f32, dy: f32) {
        let scale = self.scale(view);
        self.goal = None;
        self.center.0 = (self.center.0 - f64::from(dx) / scale).clamp(-LIMIT, LIMIT);
        self.center.1 = (self.center.1 + f64::from(dy) / scale).clamp(-LIMIT, LIMIT);
    }

    /// Comes nearer, or goes away; what is at a place on the screen stays there.
    pub fn zoom(&mut self, view: Rect, steps: i32, (x, y): (f32, f32)) {
        let (dx, dy) = (view.x + view.w / 2.0 - x, view.y + view.h / 2.0 - y);
        self.pan(view, dx, dy);
        self.zoom = (self.zoom * NOTCH.powi(steps.clamp(-40, 40))).clamp(ZOOM.0, ZOOM.1);
        self.pan(view, -dx, -dy);
    }

    /// Shows all of it again.
    pub fn reset(&mut self) {
        (self.center, self.zoom, self.goal) = ((0.0, 0.0), 1.0, None);
    }

    /// Goes to a point, unless it is well inside the view.
    pub fn go_to(&mut self, view: Rect, index: usize) {
        let side = view.w.min(view.h);
        let margin = side * 0.2;
        // Before the first layout there is no view.
        if side <= 0.0 {
            return;
        }
        if let Some((x, y)) = self.on_screen(view, index)
            && !view.grown(-margin).contains(x, y)
        {
            let [x, y] = self.points[index];
            self.goal = Some((f64::from(x), f64::from(y)));
        }
    }

    /// By how much images of this size are enlarged: more when one comes nearer.
    pub fn enlargement(&self, width: usize, interface: f32) -> usize {
        let wanted = 30.0 * f64::from(interface) * self.zoom.max(1.0).sqrt().min(3.2);
        (wanted / width.max(1) as f64).round().max(1.0) as usize
    }

    /// Chooses the points that are drawn as images of `width` by `height` pixels, so that none covers another. Those
    /// that came first are preferred; the choice does not depend on where one looks, so that nothing flickers while the
    /// view moves.
    pub fn arrange(&mut self, view: Rect, width: f32, height: f32) {
        let scale = self.scale(view);
        let key = (self.places.len(), scale.to_bits(), [width.to_bits(), height.to_bits()]);
        if self.arranged == Some(key) {
            return;
        }
        self.arranged = Some(key);
        self.shown.clear();
        let (w, h) = (f64::from(width + GAP), f64::from(height + GAP));
        let mut cells: HashMap<(i32, i32), (f64, f64)> = HashMap::new();
        for (index, &[x, y]) in self.points.iter().enumerate().take(self.places.len()) {
            let (x, y) = (f64::from(x) * scale, f64::from(y) * scale);
            // One cell has room for one image, so those in the way are in the cells around it.
            let (column, row) = ((x / w).floor() as i32, (y / h).floor() as i32);
            let is_free = (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))).all(|(dx, dy)| {
                let cell = (column.saturating_add(dx), row.saturating_add(dy));
                cells.get(&cell).is_none_or(|other| (other.0 - x).abs() >= w || (other.1 - y).abs() >= h)
            });
            if is_free {
                cells.insert((column, row), (x, y));
                self.shown.push(index);
            }
        }
    }

    /// The points that are drawn as images; the others are dots.
    pub fn shown(&self) -> &[usize] {
        &self.shown
    }

    /// The point at a place on the screen: the image there, else the nearest point.
    pub fn at(&self, view: Rect, (x, y): (f32, f32), (width, height): (f32, f32)) -> Option<usize> {
        let distance = |index: usize| {
            let (px, py) = self.on_screen(view, index)?;
            Some((px - x, py - y))
        };
        let covers = |index: &usize| {
            let found = distance(*index);
            found.is_some_and(|(dx, dy)| dx.abs() <= width / 2.0 && dy.abs() <= height / 2.0)
        };
        self.shown.iter().copied().find(covers).or_else(|| {
            (0..self.places.len())
                .filter_map(|index| distance(index).map(|(dx, dy)| (index, dx.hypot(dy))))
                .filter(|&(_, distance)| distance <= REACH)
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(index, _)| index)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: Rect = Rect::new(100.0, 50.0, 600.0, 400.0);

    fn plot(places: &[[f32; 2]]) -> ScatterPlot {
        let mut plot = ScatterPlot::default();
        plot.add(places);
        plot
    }

    #[test]
    fn points_glide_to_their_places_and_rest() {
        let mut plot = plot(&[[0.0, 0.0], [1.0, -1.0]]);
        assert_eq!(plot.on_screen(VIEW, 0), Some((400.0, 250.0)));
        assert_eq!(plot.on_screen(VIEW, 1), Some((584.0, 434.0)));
        plot.rearrange(vec![[0.0, 1.0], [1.0, -1.0], [0.5, 0.5]]);
        assert_eq!(plot.on_screen(VIEW, 0), Some((400.0, 250.0)), "known points begin where they are");
        assert_eq!(plot.on_screen(VIEW, 2), Some((492.0, 158.0)), "new ones at their places");
        assert!(plot.advance(0.1));
        let (_, y) = plot.on_screen(VIEW, 0).unwrap();
        assert!(y < 250.0 && y > 66.0, "{y}");
        for _ in 0..200 {
            plot.advance(0.05);
        }
        assert!(!plot.is_moving() && !plot.advance(0.1));
        assert_eq!(plot.on_screen(VIEW, 0), Some((400.0, 66.0)));
        plot.restart();
        assert_eq!((plot.len(), plot.on_screen(VIEW, 0)), (0, None));
        plot.add(&[[0.0, 0.0]]);
        assert_eq!(plot.on_screen(VIEW, 0), Some((400.0, 66.0)), "what comes again begins where it was");
    }

    #[test]
    fn zooming_keeps_what_is_under_the_pointer() {
        let mut plot = plot(&[[0.3, 0.2], [-0.4, 0.9]]);
        let at = plot.on_screen(VIEW, 0).unwrap();
        for steps in [3, -5, 99, -99] {
            plot.zoom(VIEW, steps, at);
            let now = plot.on_screen(VIEW, 0).unwrap();
            assert!((now.0 - at.0).abs() < 0.1 && (now.1 - at.1).abs() < 0.1, "{steps}: {now:?} {at:?}");
        }
        assert_eq!(plot.zoom, ZOOM.0);
        plot.pan(VIEW, f32::MAX, f32::MIN);
        assert_eq!(plot.center, (-LIMIT, -LIMIT));
        plot.reset();
        plot.zoom(VIEW, 12, (400.0, 250.0));
        plot.go_to(VIEW, 1);
        for _ in 0..200 {
            plot.advance(0.05);
        }
        let (x, y) = plot.on_screen(VIEW, 1).unwrap();
        assert!((x - 400.0).abs() < 1.0 && (y - 250.0).abs() < 1.0, "{x}, {y}");
    }

    #[test]
    fn no_image_covers_another_and_the_view_does_not_matter() {
        let mut rng = latent_runtime::rng::Rng::from_seed(1);
        let places: Vec<[f32; 2]> = (0..800).map(|_| [rng.normal() * 0.4, rng.normal() * 0.4]).collect();
        let mut plot = plot(&places);
        plot.arrange(VIEW, 20.0, 30.0);
        let shown = plot.shown().to_vec();
        assert!(shown.len() > 50 && shown.len() < 800, "{}", shown.len());
        for (index, &a) in shown.iter().enumerate() {
            for &b in &shown[..index] {
                let (a, b) = (plot.on_screen(VIEW, a).unwrap(), plot.on_screen(VIEW, b).unwrap());
                assert!((a.0 - b.0).abs() >= 21.9 || (a.1 - b.1).abs() >= 31.9, "{a:?} {b:?}");
            }
        }
        plot.pan(VIEW, 133.0, -71.0);
        plot.arrange(VIEW, 20.0, 30.0);
        assert_eq!(plot.shown(), shown);
        plot.zoom(VIEW, 30, (400.0, 250.0));
        plot.arrange(VIEW, 20.0, 30.0);
        assert!(plot.shown().len() > 700);
    }

    #[test]
    fn the_pointer_finds_images_then_points() {
        let mut plot = plot(&[[0.0, 0.0], [0.02, 0.0], [0.5, 0.0]]);
        plot.arrange(VIEW, 30.0, 30.0);
        assert_eq!(plot.shown(), [0, 2]);
        for (x, y, expected) in [
            (400.0, 250.0, Some(0)),
            (414.0, 240.0, Some(0)),
            (492.0, 250.0, Some(2)),
            (445.0, 250.0, None),
            (418.0, 250.0, None),
            (404.0, 268.0, None),
        ] {
            assert_eq!(plot.at(VIEW, (x, y), (30.0, 30.0)), expected, "{x}, {y}");
        }
        assert_eq!(plot.at(VIEW, (405.0, 255.0), (4.0, 4.0)), Some(1));
    }
}
