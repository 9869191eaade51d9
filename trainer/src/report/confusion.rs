//! What a classifier takes for what: counts, and their picture.

use super::draw::{Anchor, Canvas, Color, Frame, Pen, Weight, palette, text_width};

/// How often each class was taken for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: Vec<String>,
    /// Row by row: the true class; in a row the predicted one.
    counts: Vec<u64>,
}

/// Side of a cell in points, for up to twenty classes; more make it smaller.
const CELL: f32 = 44.0;
/// Most classes whose cells have numbers.
const NUMBERED: usize = 20;
const MARGIN: f32 = 24.0;

impl Confusion {
    /// Nothing counted yet.
    pub fn new(classes: &[String]) -> Self {
        Self { classes: classes.to_vec(), counts: vec![0; classes.len() * classes.len()] }
    }

    /// Counts one image. A class that does not exist is ignored and `false` returned.
    pub fn add(&mut self, truth: usize, predicted: usize) -> bool {
        let known = truth < self.classes.len() && predicted < self.classes.len();
        if known {
            self.counts[truth * self.classes.len() + predicted] += 1;
        }
        known
    }

    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How often the class `truth` was taken for `predicted`.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        assert!(predicted < self.classes.len(), "there are {} classes", self.classes.len());
        self.counts[truth * self.classes.len() + predicted]
    }

    /// How many images were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The share of images whose class was found; `None` if none was counted.
    pub fn accuracy(&self) -> Option<f64> {
        let right: u64 = (0..self.classes.len()).map(|class| self.count(class, class)).sum();
        share(right, self.total())
    }

    /// Of the images of a class, the share that was found.
    pub fn recall(&self, class: usize) -> Option<f64> {
        share(self.count(class, class), (0..self.classes.len()).map(|other| self.count(class, other)).sum())
    }

    /// Of the images that were taken for a class, the share that is of it.
    pub fn precision(&self, class: usize) -> Option<f64> {
        share(self.count(class, class), (0..self.classes.len()).map(|other| self.count(other, class)).sum())
    }

    /// Draws the matrix as a PNG: a row for each true class, in it the shares of the predicted ones in percent, right answers
    /// blue and wrong ones orange; how often each class is found (recall) beside its row, how often it is right when it is
    /// named (precision) below its column.
    ///
    /// # Errors
    /// If the encoder fails.
    pub fn png(&self, title: &str) -> Result<Vec<u8>, png::EncodingError> {
        let n = self.classes.len();
        let cell = if n <= NUMBERED { CELL } else { (CELL * NUMBERED as f32 / n as f32).max(3.0) };
        let size = if n <= NUMBERED { 11.5 } else { (0.8 * cell).clamp(3.0, 11.5) };
        let longest = self.classes.iter().map(|name| text_width(name, size, Weight::Regular));
        let names = longest.fold(40.0, f32::max).min(220.0) + 12.0;
        let (left, top) = (MARGIN + 18.0 + names, 76.0 + names);
        let side = n as f32 * cell;
        let extra = CELL + 14.0;
        let frame = Frame { left, top, right: left + side, bottom: top + side };
        let width = (frame.right + extra + MARGIN).max(420.0);
        let mut canvas = Canvas::new(width, frame.bottom + extra + MARGIN, palette::PAPER);

        canvas.text(title, MARGIN, 32.0, 17.0, Weight::SemiBold, Anchor::Start, palette::INK);
        let found = self.accuracy().map_or("no images".to_owned(), |accuracy| {
            format!(
                "{:.1}\u{a0}% of {} images right",
                100.0 * accuracy,
                super::draw::grouped(self.total() as f64)
            )
        });
        canvas.text(&found, MARGIN, 52.0, 11.0, Weight::Regular, Anchor::Start, palette::SOFT);
        let middle = (frame.top + frame.bottom) / 2.0;
        canvas.text_upwards("true class", MARGIN + 10.0, middle, 11.0, Weight::Regular, palette::SOFT);
        let middle = (frame.left + frame.right) / 2.0;
        let y = frame.top - names - 4.0;
        canvas.text("predicted class", middle, y, 11.0, Weight::Regular, Anchor::Middle, palette::SOFT);

        for (class, name) in self.classes.iter().enumerate() {
            let center = (class as f32 + 0.5) * cell;
            let y = frame.top + center + 0.36 * size;
            canvas.text(name, frame.left - 8.0, y, size, Weight::Regular, Anchor::End, palette::INK);
            let half = text_width(name, size, Weight::Regular) / 2.0;
            let x = frame.left + center + 0.36 * size;
            canvas.text_upwards(name, x, frame.top - 8.0 - half, size, Weight::Regular, palette::INK);
        }
        for truth in 0..n {
            let of_class: u64 = (0..n).map(|other| self.count(truth, other)).sum();
            for predicted in 0..n {
                let (x, y) = (frame.left + predicted as f32 * cell, frame.top + truth as f32 * cell);
                let Some(part) = share(self.count(truth, predicted), of_class) else { continue };
                let strong = if truth == predicted { palette::BLUE } else { palette::ORANGE };
                // The square root lets rare mistakes be seen.
                let color = palette::PAPER.mixed(strong, 0.9 * part.sqrt() as f32);
                canvas.fill(Frame { left: x, top: y, right: x + cell, bottom: y + cell }, color);
                if n <= NUMBERED && self.count(truth, predicted) > 0 {
                    let ink = if part > 0.5 { palette::PAPER } else { palette::INK };
                    number(&mut canvas, part, x + cell / 2.0, y + cell / 2.0, ink);
                }
            }
        }
        for line in 0..=n {
            let at = line as f32 * cell;
            let pen = Pen::solid(if line % n.max(1) == 0 { palette::FRAME } else { palette::GRID }, 1.0);
            canvas.line(&[(frame.left, frame.top + at), (frame.right, frame.top + at)], pen);
            canvas.line(&[(frame.left + at, frame.top), (frame.left + at, frame.bottom)], pen);
        }
        let beside = frame.right + 14.0 + CELL / 2.0;
        let below = frame.bottom + 14.0 + CELL / 2.0;
        canvas.text("found", beside, frame.top - 8.0, 10.5, Weight::Regular, Anchor::Middle, palette::SOFT);
        canvas.text(
            "right",
            frame.left - 8.0,
            below + 4.0,
            10.5,
            Weight::Regular,
            Anchor::End,
            palette::SOFT,
        );
        if n <= NUMBERED {
            for class in 0..n {
                let center = (class as f32 + 0.5) * cell;
                if let Some(recall) = self.recall(class) {
                    number(&mut canvas, recall, beside, frame.top + center, palette::INK);
                }
                if let Some(precision) = self.precision(class) {
                    number(&mut canvas, precision, frame.left + center, below, palette::INK);
                }
            }
        }
        canvas.png()
    }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// A share in percent, around a point.
fn number(canvas: &mut Canvas, share: f64, x: f32, y: f32, color: Color) {
    let percent = 100.0 * share;
    let text =
        if percent >= 99.95 || percent == 0.0 { format!("{percent:.0}") } else { format!("{percent:.1}") };
    canvas.text(&text, x, y + 4.0, 11.0, Weight::Regular, Anchor::Middle, color);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("class {i}")).collect()
    }

    #[test]
    fn shares_are_those_of_the_counts() {
        let mut confusion = Confusion::new(&names(3));
        assert_eq!((confusion.accuracy(), confusion.recall(0), confusion.precision(0)), (None, None, None));
        for (truth, predicted, times) in [(0, 0, 6), (0, 1, 2), (1, 1, 3), (1, 0, 1)] {
            for _ in 0..times {
                assert!(confusion.add(truth, predicted));
            }
        }
        assert!(!confusion.add(3, 0) && !confusion.add(0, 3));
        assert_eq!((confusion.total(), confusion.count(0, 1)), (12, 2));
        assert_eq!(confusion.accuracy(), Some(0.75));
        assert_eq!((confusion.recall(0), confusion.precision(0)), (Some(0.75), Some(6.0 / 7.0)));
        assert_eq!((confusion.recall(2), confusion.precision(2)), (None, None));
    }

    #[test]
    fn cells_have_the_color_of_their_share() {
        let mut confusion = Confusion::new(&names(4));
        for (truth, predicted) in [(0, 0), (1, 1), (2, 1), (3, 3)] {
            confusion.add(truth, predicted);
        }
        let picture = confusion.png("test").unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&picture)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let names = text_width("class 0", 11.5, Weight::Regular).max(40.0) + 12.0;
        for truth in 0..4 {
            for predicted in 0..4 {
                // A corner of the cell, away from its number.
                let x = 2.0 * (MARGIN + 18.0 + names + predicted as f32 * CELL + 6.0);
                let y = 2.0 * (76.0 + names + truth as f32 * CELL + 6.0);
                let at = 3 * (y as usize * info.width as usize + x as usize);
                let [red, green, blue] = [pixels[at], pixels[at + 1], pixels[at + 2]];
                let found = if blue > red.saturating_add(40) {
                    "right"
                } else if red > blue.saturating_add(40) {
                    "wrong"
                } else {
                    "none"
                };
                let expected = match (confusion.count(truth, predicted), truth == predicted) {
                    (0, _) => "none",
                    (_, true) => "right",
                    (_, false) => "wrong",
                };
                assert_eq!(found, expected, "{truth} {predicted}: {red} {green} {blue}");
            }
        }
    }

    #[test]
    fn any_number_of_classes_can_be_drawn() {
        for n in [0, 1, 2, 20, 21, 200] {
            let mut confusion = Confusion::new(&names(n));
            for class in 0..n {
                confusion.add(class, 0);
            }
            assert!(!confusion.png("").unwrap().is_empty(), "{n}");
        }
    }
}
