//! Images beside those that are nearest to them: what an encoder takes for alike.

use super::draw::{Anchor, Canvas, Color, Frame, Pen, Picture, Weight, palette, text_width};

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
    let all =
        queries.iter().flat_map(|query| query.nearest.iter().map(|near| near.0.class == query.image.class));
    let (alike, all) = all.fold((0, 0), |(alike, all), same| (alike + usize::from(same), all + 1));
    let told = match all {
        0 => "nothing found".to_owned(),
        all => format!("{alike} of {all} neighbors are of the image’s class"),
    };
    let text = "nearest, with the cosine of the angle between the embeddings";
    draw([title, &told, text], queries, |same, value| {
        let color = if same { palette::GREEN } else { palette::RED };
        (color, format!("{value:.3}").replace('-', "−"))
    })
}

/// The same for images that are near by their pixels: with distances in place of similarities, and places in the data set in
/// place of classes.
///
/// # Errors
/// If the encoder fails.
pub fn distances_png(title: &str, queries: &[Query<'_>]) -> Result<Vec<u8>, png::EncodingError> {
    let told = "a copy would have the distance 0";
    let text = "nearest training images: place in the data set, Euclidean distance of pixels (0 to 255)";
    draw([title, told, text], queries, |_, value| (palette::BLUE, format!("{value:.0}")))
}

fn draw(
    [title, told, text]: [&str; 3],
    queries: &[Query<'_>],
    look: impl Fn(bool, f32) -> (Color, String),
) -> Result<Vec<u8>, png::EncodingError> {
    let columns = queries.iter().map(|query| query.nearest.len()).max().unwrap_or(0);
    let first = MARGIN + SIDE + 3.0 * GAP;
    let images = first + columns as f32 * (SIDE + GAP) - GAP;
    let title_ends = MARGIN + text_width(title, 17.0, Weight::SemiBold);
    let text_ends = first + text_width(text, 10.5, Weight::Regular);
    let width = images.max(title_ends).max(text_ends).ceil() + MARGIN;
    let width = width.max(420.0);
    let height = TOP + queries.len() as f32 * (SIDE + LINES + GAP) - GAP + MARGIN;
    let mut canvas = Canvas::new(width, height, palette::PAPER);
    canvas.text(title, MARGIN, 32.0, 17.0, Weight::SemiBold, Anchor::Start, palette::INK);
    for (row, query) in queries.iter().enumerate() {
        let top = TOP + row as f32 * (SIDE + LINES + GAP);
        image(&mut canvas, &query.image, MARGIN, top, None);
        for (column, (found, similarity)) in query.nearest.iter().enumerate() {
            let look = look(found.class == query.image.class, *similarity);
            image(&mut canvas, found, first + column as f32 * (SIDE + GAP), top, Some(look));
        }
    }
    canvas.text(told, MARGIN, 52.0, 11.0, Weight::Regular, Anchor::Start, palette::SOFT);
    canvas.text("image", MARGIN, TOP - 9.0, 10.5, Weight::Regular, Anchor::Start, palette::SOFT);
    canvas.text(text, first, TOP - 9.0, 10.5, Weight::Regular, Anchor::Start, palette::SOFT);
    canvas.png()
}

fn image(canvas: &mut Canvas, image: &Labeled<'_>, left: f32, top: f32, found: Option<(Color, String)>) {
    let frame = Frame { left, top, right: left + SIDE, bottom: top + SIDE };
    canvas.picture(&image.picture, frame);
    let color = found.as_ref().map_or(palette::INK, |found| found.0);
    canvas.outline_frame(frame, Pen::solid(color, if found.is_some() { 2.0 } else { 1.0 }));
    let middle = left + SIDE / 2.0;
    // A long name is made to fit.
    let size =
        10.0 * (1.0f32).min((SIDE + GAP - 2.0) / text_width(image.class, 10.0, Weight::Regular).max(1.0));
    canvas.text(image.class, middle, frame.bottom + 12.0, size, Weight::Regular, Anchor::Middle, color);
    if let Some((_, text)) = found {
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
