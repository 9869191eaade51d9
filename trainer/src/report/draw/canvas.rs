//! The canvas: lines, areas, text, and the finished PNG.

use tiny_skia::{
    FillRule, FilterQuality, IntSize, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, PixmapPaint,
    Rect, Stroke, StrokeDash, Transform,
};

use super::font::{self, Anchor, Weight};

/// Pixels a point.
const DENSITY: f32 = 2.0;
/// Largest side of a picture in points.
const MAX_SIDE: f32 = 8192.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color {
    red: u8,
    green: u8,
    blue: u8,
    opacity: u8,
}

impl Color {
    /// An opaque color.
    pub const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self { red, green, blue, opacity: 255 }
    }

    /// The same color with an opacity between 0 and 1.
    #[must_use]
    pub fn faded(self, opacity: f32) -> Self {
        // The cast saturates.
        Self { opacity: (opacity * 255.0).round() as u8, ..self }
    }

    /// The color between this one (0) and another (1).
    #[must_use]
    pub fn mixed(self, other: Self, part: f32) -> Self {
        let mix = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * part).round() as u8;
        Self {
            red: mix(self.red, other.red),
            green: mix(self.green, other.green),
            blue: mix(self.blue, other.blue),
            opacity: mix(self.opacity, other.opacity),
        }
    }

    fn paint(self) -> Paint<'static> {
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color_rgba8(self.red, self.green, self.blue, self.opacity);
        paint
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pen {
    pub color: Color,
    /// Its width in points.
    pub width: f32,
    /// Lengths of dashes and gaps in points, if it is dashed.
    pub dash: Option<[f32; 2]>,
}

impl Pen {
    pub const fn solid(color: Color, width: f32) -> Self {
        Self { color, width, dash: None }
    }

    pub const fn dashed(color: Color, width: f32, on: f32, off: f32) -> Self {
        Self { color, width, dash: Some([on, off]) }
    }
}

/// A rectangle in points: left, top, right, bottom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

impl Frame {
    pub fn width(&self) -> f32 {
        self.right - self.left
    }

    pub fn height(&self) -> f32 {
        self.bottom - self.top
    }

    fn rect(&self) -> Option<Rect> {
        Rect::from_ltrb(self.left, self.top, self.right, self.bottom)
    }
}

/// A small picture to be put into a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture<'a> {
    /// Its values, planar: channels x height x width.
    pub pixels: &'a [u8],
    /// 1 for gray, 3 for red, green, blue.
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Picture<'_> {
    /// As premultiplied RGBA; `None` if the number of values does not fit the shape.
    fn pixmap(&self) -> Option<Pixmap> {
        let area = self.height.checked_mul(self.width)?;
        if !matches!(self.channels, 1 | 3) || self.pixels.len() != area.checked_mul(self.channels)? {
            return None;
        }
        let plane = |channel: usize| &self.pixels[channel * area..][..area];
        let [red, green, blue] = if self.channels == 1 { [0; 3] } else { [0, 1, 2] }.map(plane);
        let pixels = red.iter().zip(green).zip(blue).flat_map(|((r, g), b)| [*r, *g, *b, 255]).collect();
        let size = IntSize::from_wh(self.width.try_into().ok()?, self.height.try_into().ok()?)?;
        Pixmap::from_vec(pixels, size)
    }
}

/// A picture in the making.
pub struct Canvas {
    pixmap: Pixmap,
    clip: Option<Mask>,
}

impl Canvas {
    /// A canvas of a color. Sides in points, at most 8192 and brought into that range.
    pub fn new(width: f32, height: f32, paper: Color) -> Self {
        let side = |points: f32| (points.clamp(1.0, MAX_SIDE) * DENSITY).round() as u32;
        // Sides are between 2 and 16384, so that only the allocation itself could fail, which aborts by itself.
        let mut pixmap = Pixmap::new(side(width), side(height)).expect("sides are in range");
        pixmap.fill(tiny_skia::Color::from_rgba8(paper.red, paper.green, paper.blue, paper.opacity));
        Self { pixmap, clip: None }
    }

    /// From now on draws inside a frame only; `None` ends it.
    pub fn clip(&mut self, frame: Option<Frame>) {
        self.clip = frame.and_then(|frame| {
            let mut mask = Mask::new(self.pixmap.width(), self.pixmap.height())?;
            let path = PathBuilder::from_rect(frame.rect()?);
            mask.fill_path(&path, FillRule::Winding, false, density());
            Some(mask)
        });
    }

    /// Draws a line through points. Points that are not finite interrupt it.
    pub fn line(&mut self, points: &[(f32, f32)], pen: Pen) {
        let mut builder = PathBuilder::new();
        let mut down = false;
        for (x, y) in points {
            if !x.is_finite() || !y.is_finite() {
                down = false;
            } else if down {
                builder.line_to(*x, *y);
            } else {
                builder.move_to(*x, *y);
                down = true;
            }
        }
        if let Some(path) = builder.finish() {
            self.stroke(&path, pen);
        }
    }

    pub fn fill(&mut self, frame: Frame, color: Color) {
        if let Some(rect) = frame.rect() {
            self.fill_path(&PathBuilder::from_rect(rect), color);
        }
    }

    /// Puts a small picture into a frame, its pixels as sharp squares; nothing if it has no pixels, or not as many values as it
    /// says.
    pub fn picture(&mut self, picture: &Picture<'_>, frame: Frame) {
        let Some(pixmap) = picture.pixmap() else { return };
        let paint = PixmapPaint { quality: FilterQuality::Nearest, ..PixmapPaint::default() };
        let place = Transform::from_translate(frame.left, frame.top).pre_concat(Transform::from_scale(
            frame.width() / picture.width as f32,
            frame.height() / picture.height as f32,
        ));
        self.pixmap.draw_pixmap(
            0,
            0,
            pixmap.as_ref(),
            &paint,
            density().pre_concat(place),
            self.clip.as_ref(),
        );
    }

    /// Draws the edge of a frame, the pen's middle on it.
    pub fn outline_frame(&mut self, frame: Frame, pen: Pen) {
        if let Some(rect) = frame.rect() {
            self.stroke(&PathBuilder::from_rect(rect), pen);
        }
    }

    /// Fills a circle.
    pub fn dot(&mut self, x: f32, y: f32, radius: f32, color: Color) {
        if let Some(path) = PathBuilder::from_circle(x, y, radius) {
            self.fill_path(&path, color);
        }
    }

    /// Writes a line of text with its base line at `y`.
    #[expect(clippy::too_many_arguments, reason = "each says one plain thing about the text")]
    pub fn text(
        &mut self,
        text: &str,
        x: f32,
        y: f32,
        size: f32,
        weight: Weight,
        anchor: Anchor,
        color: Color,
    ) {
        let shift = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -0.5,
            Anchor::End => -1.0,
        } * font::text_width(text, size, weight);
        self.outline(text, size, weight, color, Transform::from_translate(x + shift, y));
    }

    /// Writes a line of text upwards, its middle at `y` and its base line at `x`.
    pub fn text_upwards(&mut self, text: &str, x: f32, y: f32, size: f32, weight: Weight, color: Color) {
        let half = font::text_width(text, size, weight) / 2.0;
        let place = Transform::from_translate(x, y + half).pre_concat(Transform::from_rotate(-90.0));
        self.outline(text, size, weight, color, place);
    }

    fn outline(&mut self, text: &str, size: f32, weight: Weight, color: Color, place: Transform) {
        if let Some(path) = font::outline(text, size, weight).and_then(|path| path.transform(place)) {
            self.fill_path(&path, color);
        }
    }

    fn stroke(&mut self, path: &Path, pen: Pen) {
        let stroke = Stroke {
            width: pen.width,
            line_cap: if pen.dash.is_some() { LineCap::Butt } else { LineCap::Round },
            line_join: LineJoin::Round,
            dash: pen.dash.and_then(|dash| StrokeDash::new(dash.to_vec(), 0.0)),
            ..Stroke::default()
        };
        self.pixmap.stroke_path(path, &pen.color.paint(), &stroke, density(), self.clip.as_ref());
    }

    fn fill_path(&mut self, path: &Path, color: Color) {
        self.pixmap.fill_path(path, &color.paint(), FillRule::Winding, density(), self.clip.as_ref());
    }

    /// The picture as a PNG (RGB, two pixels a point).
    ///
    /// # Errors
    /// If the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let (width, height) = (self.pixmap.width(), self.pixmap.height());
        // The paper is opaque, so that premultiplied colors are the colors.
        let pixels: Vec<u8> = self
            .pixmap
            .pixels()
            .iter()
            .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
            .collect();
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::Balanced);
        encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: 5669, yppu: 5669, unit: png::Unit::Meter }));
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        writer.finish()?;
        Ok(out)
    }
}

fn density() -> Transform {
    Transform::from_scale(DENSITY, DENSITY)
}
