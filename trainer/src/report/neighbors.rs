//! Images beside those that are nearest to them: what an encoder takes for alike.

use super::draw::{Anchor, Canvas, Frame, Pen, Picture, Weight, palette, text_width};

/// An image with its class.
#[derive(Debug, Clone, Copy)]
pub struct Labeled<'a> {
    /// The image.
    pub picture: Picture<'a>,
    pub class: &'a str,
}

/// An image that is looked up, and what was found.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    pub image: Labeled<'a>,
    /// The nearest images, nearest first, each with its similarity (cosine).
    pub nearest: Vec<(Labeled<'a>, f32)>,
}

/// Side of an image in points.
const SIDE: f32 = 56.0;
const GAP: f32 = 9.0;
/// Height of the two lines below an image.
const LINES: f32 = 27.0;
const MARGIN: f32 = 24.0;
const TOP: f32 = 88.0;

/// Draws one row for each query: the image, then its nearest, each with its class and similarity, framed green where the class
/// is the query's and red where it is not. Gives a PNG.
///
/// # Errors
/// If the encoder fails.
pub fn png(title: &str, queries: &[Query<'_>]) -> Result<Vec<u8>, png::EncodingError> {
    let columns = queries.iter().map(|query| query.nearest.len()).max().unwrap_or(0);
    let first = MARGIN + SIDE + 3.0 * GAP;
    let width = (first + columns as f32 * (SIDE + GAP) - GAP + MARGIN).max(420.0);
    let height = TOP + queries.len() as f32 * (SIDE + LINES + GAP) - GAP + MARGIN;
    let mut canvas = Canvas::new(width, height, palette::PAPER);
    canvas.text(title, MARGIN, 32.0, 17.0, Weight::SemiBold, Anchor::Start, palette::INK);
    let (mut alike, mut all) = (0, 0);
    for (row, query) in queries.iter().enumerate() {
        let top = TOP + row as f32 * (SIDE + LINES + GAP);
        image(&mut canvas, &query.image, MARGIN, top, None);
        for (column, (found, similarity)) in query.nearest.iter().enumerate() {
            let same = found.class == query.image.class;
            alike += usize::from(same);
            all += 1;
            image(&mut canvas, found, first + column as f32 * (SIDE + GAP), top, Some((*similarity, same)));
        }
    }
    let told = if all == 0 {
        "nothing found".to_owned()
    } else {
        format!("{alike} of {all} neighbors are of the image’s class")
    };
    canvas.text(&told, MARGIN, 52.0, 11.0, Weight::Regular, Anchor::Start, palette::SOFT);
    canvas.text("image", MARGIN, TOP - 9.0, 10.5, Weight::Regular, Anchor::Start, palette::SOFT);
    let text = "nearest, with the cosine of the angle between the embeddings";
    canvas.text(text, first, TOP - 9.0, 10.5, Weight::Regular, Anchor::Start, palette::SOFT);
    canvas.png()
}

fn image(canvas: &mut Canvas, image: &Labeled<'_>, left: f32, top: f32, found: Option<(f32, bool)>) {
    let frame = Frame { left, top, right: left + SIDE, bottom: top + SIDE };
    canvas.picture(&image.picture, frame);
    let color = match found {
        None => palette::INK,
        Some((_, true)) => palette::GREEN,
        Some((_, false)) => palette::RED,
    };
    canvas.outline_frame(frame, Pen::solid(color, if found.is_some() { 2.0 } else { 1.0 }));
    let middle = left + SIDE / 2.0;
    // A long name is made to fit.
    let size =
        10.0 * (1.0f32).min((SIDE + GAP - 2.0) / text_width(image.class, 10.0, Weight::Regular).max(1.0));
    canvas.text(image.class, middle, frame.bottom + 12.0, size, Weight::Regular, Anchor::Middle, color);
    if let Some((similarity, _)) = found {
        let text = format!("{similarity:.3}").replace('-', "−");
        canvas.text(&text, middle, frame.bottom + 23.0, 9.5, Weight::Regular, Anchor::Middle, palette::SOFT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_stand_in_rows_with_frames_by_class() {
        let (black, blue) = ([0u8; 12], [[0u8; 4], [0; 4], [200; 4]].concat());
        let labeled =
            |pixels, class| Labeled { picture: Picture { pixels, channels: 3, height: 2, width: 2 }, class };
        let query = |nearest| Query { image: labeled(&black, "cat"), nearest };
        let queries = [
            query(vec![(labeled(&blue, "cat"), 0.9), (labeled(&black, "dog"), -0.1)]),
            query(vec![(labeled(&blue, "a class with a very long name"), 1.0)]),
        ];
        let picture = png("test", &queries).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&picture)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let at = |x: f32, y: f32| {
            let start = 3 * ((2.0 * y) as usize * info.width as usize + (2.0 * x) as usize);
            [pixels[start], pixels[start + 1], pixels[start + 2]]
        };
        let first = MARGIN + SIDE + 3.0 * GAP;
        let second = TOP + SIDE + LINES + GAP;
        let half = SIDE / 2.0;
        let cases = [
            (MARGIN + half, TOP + half, [0, 0, 0]),
            (first + half, TOP + half, [0, 0, 200]),
            (first + half, TOP, [0x0d, 0x94, 0x6e]),
            (first + SIDE + GAP + half, TOP, [0xd0, 0x1f, 0x2f]),
            (first + half, second + half, [0, 0, 200]),
            (first + half, second, [0xd0, 0x1f, 0x2f]),
            (first + SIDE + GAP + half, second + half, [255, 255, 255]),
        ];
        for (x, y, expected) in cases {
            assert_eq!(at(x, y), expected, "{x} {y}");
        }
        assert!(!png("", &[]).unwrap().is_empty());
    }
}
