//! A map of embeddings: each image a point, colored by its class.

use super::draw::{Anchor, Canvas, Color, Frame, Pen, Weight, palette, text_width, wrap};

#[derive(Debug, Clone, Copy)]
pub struct EmbeddingMap<'a> {
    pub title: &'a str,
    /// What lies below the title: how the map was made.
    pub note: &'a str,
    /// Where each image lies. Points that are not finite are left out.
    pub points: &'a [[f32; 2]],
    /// The class of each point, an index into `classes`.
    pub labels: &'a [u32],
    pub classes: &'a [String],
}

/// Side of the map in points.
const SIDE: f32 = 620.0;
const MARGIN: f32 = 24.0;
/// Most classes that the legend names.
const NAMED: usize = 30;

impl EmbeddingMap<'_> {
    /// Draws the map as a PNG: points, a ring with the class's name at the median of each class, and a legend with the number
    /// of images. Both axes have the same scale; rare outliers are drawn at the edge.
    ///
    /// # Errors
    /// If the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let label_width = |name: &String| text_width(name, 11.5, Weight::Regular);
        let legend = self.classes.iter().take(NAMED).map(label_width).fold(60.0, f32::max) + 90.0;
        let note = wrap(self.note, SIDE + legend, 11.0, Weight::Regular);
        let top = 50.0 + 16.0 * note.len() as f32;
        let frame = Frame { left: MARGIN, top, right: MARGIN + SIDE, bottom: top + SIDE };
        let mut canvas = Canvas::new(frame.right + legend + MARGIN, frame.bottom + MARGIN, palette::PAPER);
        canvas.text(self.title, MARGIN, 32.0, 17.0, Weight::SemiBold, Anchor::Start, palette::INK);
        for (line, text) in note.iter().enumerate() {
            let y = 52.0 + 16.0 * line as f32;
            canvas.text(text, MARGIN, y, 11.0, Weight::Regular, Anchor::Start, palette::SOFT);
        }
        canvas.outline_frame(frame, Pen::solid(palette::FRAME, 1.0));

        let shown: Vec<([f32; 2], usize)> = self
            .points
            .iter()
            .zip(self.labels)
            .filter(|(point, _)| point.iter().all(|v| v.is_finite()))
            .map(|(point, label)| (*point, *label as usize))
            .collect();
        let (center, half) = extent(&shown);
        let place = |point: [f32; 2]| {
            let at = |axis: usize| ((point[axis] - center[axis]) / half).clamp(-1.0, 1.0);
            let inner = SIDE / 2.0 - 10.0;
            (frame.left + SIDE / 2.0 + inner * at(0), frame.top + SIDE / 2.0 - inner * at(1))
        };
        // Few points are large, many small and faint, so that dense places show as such. In turn, so that no class hides
        // another.
        let count = shown.len().max(1) as f32;
        let radius = (110.0 / count.sqrt()).clamp(1.3, 4.5);
        let opacity = (40.0 / count.sqrt()).clamp(0.45, 0.9);
        for step in 0..7usize {
            for (point, label) in shown.iter().skip(step).step_by(7) {
                let (x, y) = place(*point);
                canvas.dot(x, y, radius, palette::class(*label).faded(opacity));
            }
        }
        for (class, name) in self.classes.iter().enumerate().take(NAMED) {
            let of_class: Vec<[f32; 2]> =
                shown.iter().filter(|(_, label)| *label == class).map(|(point, _)| *point).collect();
            let color = palette::class(class);
            if let Some(middle) = median(&of_class) {
                name_at(&mut canvas, name, place(middle), color, frame);
            }
            let y = frame.top + 14.0 + 20.0 * class as f32;
            let x = frame.right + 22.0;
            canvas.dot(x, y - 4.0, 5.0, color);
            canvas.text(name, x + 13.0, y, 11.5, Weight::Regular, Anchor::Start, palette::INK);
            let count = super::draw::grouped(of_class.len() as f64);
            let right = frame.right + legend;
            canvas.text(&count, right, y, 10.5, Weight::Regular, Anchor::End, palette::SOFT);
        }
        if self.classes.len() > NAMED {
            let text = format!("and {} more", self.classes.len() - NAMED);
            let y = frame.top + 14.0 + 20.0 * NAMED as f32;
            canvas.text(&text, frame.right + 35.0, y, 11.5, Weight::Regular, Anchor::Start, palette::SOFT);
        }
        canvas.png()
    }
}

/// A class's name at its middle, on a light ground.
fn name_at(canvas: &mut Canvas, name: &str, (x, y): (f32, f32), color: Color, frame: Frame) {
    let half = text_width(name, 11.0, Weight::SemiBold) / 2.0 + 5.0;
    let x = x.max(frame.left + half + 2.0).min(frame.right - half - 2.0);
    let ground = Frame { left: x - half, top: y - 9.0, right: x + half, bottom: y + 9.0 };
    canvas.fill(ground, palette::PAPER.faded(0.8));
    canvas.outline_frame(ground, Pen::solid(color, 1.0));
    canvas.text(name, x, y + 4.0, 11.0, Weight::SemiBold, Anchor::Middle, color.mixed(palette::INK, 0.35));
}

/// The middle of the points and half the side of a square that holds all but the outermost 0.2 % in each direction.
fn extent(points: &[([f32; 2], usize)]) -> ([f32; 2], f32) {
    let mut center = [0.0; 2];
    let mut half: f32 = 0.0;
    for axis in 0..2 {
        let mut values: Vec<f32> = points.iter().map(|(point, _)| point[axis]).collect();
        values.sort_by(f32::total_cmp);
        let cut = values.len() / 500;
        if let (Some(low), Some(high)) = (values.get(cut), values.get(values.len().wrapping_sub(1 + cut))) {
            center[axis] = low / 2.0 + high / 2.0;
            half = half.max(high / 2.0 - low / 2.0);
        }
    }
    (center, if half > 0.0 && half.is_finite() { half } else { 1.0 })
}

/// The median in each direction; `None` without points.
fn median(points: &[[f32; 2]]) -> Option<[f32; 2]> {
    let mut middle = [0.0; 2];
    for (axis, middle) in middle.iter_mut().enumerate() {
        let mut values: Vec<f32> = points.iter().map(|point| point[axis]).collect();
        values.sort_by(f32::total_cmp);
        *middle = *values.get(values.len() / 2)?;
    }
    Some(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("class {i}")).collect()
    }

    #[test]
    fn points_lie_where_they_should_in_their_classes_colors() {
        // Two groups: the first left below, the second right above; their names hide their middles only.
        let mut points = Vec::new();
        let mut labels = Vec::new();
        for i in 0..40 {
            let step = i as f32 / 40.0;
            points.extend([[-10.0 + 6.0 * step, -10.0], [10.0 - 6.0 * step, 10.0]]);
            labels.extend([0, 1]);
        }
        points.push([f32::NAN, 0.0]);
        labels.push(0);
        let classes = names(2);
        let map = EmbeddingMap { title: "t", note: "n", points: &points, labels: &labels, classes: &classes };
        let picture = map.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&picture)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let count = |right: bool, low: bool, blue: bool| {
            let (left, top) = ((2.0 * MARGIN) as usize + 2, 2 * 66 + 2);
            let half = SIDE as usize;
            let columns = left + if right { half } else { 0 }..left + if right { 2 * half } else { half } - 4;
            let mut found = 0;
            for y in top + if low { half } else { 0 }..top + if low { 2 * half } else { half } - 4 {
                for x in columns.clone() {
                    let at = 3 * (y * info.width as usize + x);
                    let (r, b) = (i32::from(pixels[at]), i32::from(pixels[at + 2]));
                    found += usize::from(if blue { b - r > 80 } else { r - b > 80 });
                }
            }
            found
        };
        // Blue is class 0, orange class 1.
        assert!(count(false, true, true) > 300 && count(false, true, false) < 20);
        assert!(count(true, false, false) > 300 && count(true, false, true) < 20);
        assert_eq!(count(true, true, true) + count(false, false, false), 0);
    }

    #[test]
    fn anything_can_be_drawn() {
        let classes = names(35);
        let alike = vec![[3.0, 3.0]; 50];
        let huge = vec![[f32::MAX, f32::MIN]; 3];
        let labels: Vec<u32> = (0..50).collect();
        for points in [&[][..], &alike, &huge, &[[f32::INFINITY, 0.0]]] {
            let map = EmbeddingMap { title: "", note: "", points, labels: &labels, classes: &classes };
            assert!(!map.png().unwrap().is_empty());
        }
    }
}
