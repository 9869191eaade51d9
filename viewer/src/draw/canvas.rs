//! A buffer of pixels to draw in.

use tiny_skia::{FillRule, Paint, Path, PathBuilder, PixmapMut, Stroke, Transform};

use super::font::{Fonts, Weight};
use super::theme::Color;
use crate::picture::Picture;

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// The left edge.
    pub x: f32,
    /// The upper edge.
    pub y: f32,
    /// The width.
    pub w: f32,
    /// The height.
    pub h: f32,
}

impl Rect {
    /// A rectangle.
    pub const fn new(x: f32, y: f32, w: f32, h: f32) -> Self {
        Self { x, y, w, h }
    }

    /// Whether a point is in it.
    pub fn contains(&self, x: f32, y: f32) -> bool {
        x >= self.x && x < self.x + self.w && y >= self.y && y < self.y + self.h
    }

    /// The same, larger by `by` on every side.
    pub fn grown(&self, by: f32) -> Self {
        Self::new(self.x - by, self.y - by, self.w + 2.0 * by, self.h + 2.0 * by)
    }
}

/// Where text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// It starts there.
    Left,
    Center,
    /// It ends there.
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextStyle {
    /// The em in pixels.
    pub size: f32,
    pub weight: Weight,
    pub color: Color,
    /// Where it stands.
    pub align: Align,
}

/// A picture to draw in, which a window shows.
///
/// A pixel's bytes in memory are blue, green, red, 255: read as a little-endian number this is 0xffRRGGBB, which
/// windows want. tiny-skia writes red first, so it is given colors with red and blue exchanged.
#[derive(Default)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u32>,
}

impl Canvas {
    /// A black canvas.
    pub fn new(width: usize, height: usize) -> Self {
        let mut canvas = Self::default();
        canvas.resize(width, height);
        canvas
    }

    /// Changes the size; the contents are lost.
    pub fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.pixels.clear();
        self.pixels.resize(width * height, packed([0, 0, 0]));
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels as windows want them: numbers 0xffRRGGBB, rows from the top.
    pub fn pixels(&mut self) -> &[u32] {
        if cfg!(target_endian = "big") {
            self.pixels.iter_mut().for_each(|pixel| *pixel = pixel.swap_bytes());
        }
        &self.pixels
    }

    pub fn to_picture(&self) -> Picture {
        let rgb = |pixel: &u32| {
            let [b, g, r, _] = pixel.to_ne_bytes();
            [r, g, b]
        };
        let pixels = self.pixels.iter().flat_map(rgb).collect();
        Picture { width: self.width, height: self.height, channels: 3, pixels }
    }

    /// Fills everything.
    pub fn clear(&mut self, color: Color) {
        let [r, g, b, _] = color.channels();
        self.pixels.fill(packed([r, g, b]));
    }

    /// Fills whole pixels; edges are rounded to them.
    pub fn fill(&mut self, rect: Rect, color: Color) {
        let [r, g, b, alpha] = color.channels();
        let (columns, rows) = self.pixel_range(rect);
        for y in rows {
            let row = &mut self.pixels[y * self.width..][columns.clone()];
            match alpha {
                255 => row.fill(packed([r, g, b])),
                alpha => row.iter_mut().for_each(|pixel| *pixel = blended(*pixel, [r, g, b], alpha)),
            }
        }
    }

    fn pixel_range(&self, rect: Rect) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let range = |start: f32, length: f32, limit: usize| {
            let end = ((start + length).round().max(0.0) as usize).min(limit);
            (start.round().max(0.0) as usize).min(end)..end
        };
        (range(rect.x, rect.w, self.width), range(rect.y, rect.h, self.height))
    }

    /// A line around whole pixels, one pixel wide, inside the rectangle.
    pub fn frame(&mut self, rect: Rect, color: Color) {
        let Rect { x, y, w, h } = rect;
        self.fill(Rect::new(x, y, w, 1.0), color);
        self.fill(Rect::new(x, y + h - 1.0, w, 1.0), color);
        self.fill(Rect::new(x, y + 1.0, 1.0, h - 2.0), color);
        self.fill(Rect::new(x + w - 1.0, y + 1.0, 1.0, h - 2.0), color);
    }

    /// A rectangle with round corners.
    pub fn round(&mut self, rect: Rect, radius: f32, color: Color) {
        let Rect { x, y, w, h } = rect;
        let r = radius.min(w / 2.0).min(h / 2.0).max(0.0);
        // The distance of a cubic's control points for a quarter circle.
        let k = r * 0.447_715_25;
        let mut path = PathBuilder::new();
        path.move_to(x + r, y);
        path.line_to(x + w - r, y);
        path.cubic_to(x + w - k, y, x + w, y + k, x + w, y + r);
        path.line_to(x + w, y + h - r);
        path.cubic_to(x + w, y + h - k, x + w - k, y + h, x + w - r, y + h);
        path.line_to(x + r, y + h);
        path.cubic_to(x + k, y + h, x, y + h - k, x, y + h - r);
        path.line_to(x, y + r);
        path.cubic_to(x, y + k, x + k, y, x + r, y);
        path.close();
        self.fill_path(path.finish(), color);
    }

    pub fn disc(&mut self, x: f32, y: f32, radius: f32, color: Color) {
        self.fill_path(PathBuilder::from_circle(x, y, radius), color);
    }

    /// A filled polygon.
    pub fn polygon(&mut self, points: &[(f32, f32)], color: Color) {
        self.fill_path(polyline(points, true), color);
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, color: Color) {
        let (paint, Some(path)) = (paint(color), polyline(points, false)) else { return };
        let stroke = Stroke { width, line_join: tiny_skia::LineJoin::Round, ..Stroke::default() };
        if let Some(mut pixmap) = self.pixmap() {
            pixmap.stroke_path(&path, &paint, &stroke, Transform::identity(), None);
        }
    }

    fn fill_path(&mut self, path: Option<Path>, color: Color) {
        if let (Some(path), Some(mut pixmap)) = (path, self.pixmap()) {
            pixmap.fill_path(&path, &paint(color), FillRule::Winding, Transform::identity(), None);
        }
    }

    /// `None` for an empty canvas.
    fn pixmap(&mut self) -> Option<PixmapMut<'_>> {
        let (width, height) = (u32::try_from(self.width).ok()?, u32::try_from(self.height).ok()?);
        PixmapMut::from_bytes(bytemuck::cast_slice_mut(&mut self.pixels), width, height)
    }

    /// A line of text, its baseline at `y`.
    pub fn text(&mut self, fonts: &mut Fonts, text: &str, x: f32, y: f32, style: TextStyle) {
        let width = match style.align {
            Align::Left => 0.0,
            _ => fonts.width(text, style.size, style.weight),
        };
        let x = match style.align {
            Align::Left => x,
            Align::Center => x - width / 2.0,
            Align::Right => x - width,
        };
        let [r, g, b, alpha] = style.color.channels();
        let (columns, rows) = (self.width as i32, self.height as i32);
        fonts.lay_out(text, (x, y), style.size, style.weight, |glyph, left, top| {
            for (row, mask) in (top..).zip(glyph.mask.chunks_exact(glyph.width.max(1))) {
                for (column, &coverage) in (left..).zip(mask) {
                    if coverage > 0 && (0..rows).contains(&row) && (0..columns).contains(&column) {
                        let pixel = &mut self.pixels[row as usize * self.width + column as usize];
                        let alpha = u32::from(coverage) * u32::from(alpha) / 255;
                        *pixel = blended(*pixel, [r, g, b], alpha as u8);
                    }
                }
            }
        });
    }

    /// A picture, each of its pixels a square of `scale` by `scale`, cut off at the edges of `clip`.
    pub fn picture(&mut self, picture: &Picture, x: i32, y: i32, scale: usize, clip: Rect) {
        let (columns, rows) = self.pixel_range(clip);
        let (width, height) = (picture.width * scale, picture.height * scale);
        let visible = |start: i32, length: usize, range: &std::ops::Range<usize>| {
            let first = range.start.max(start.max(0) as usize);
            let last = i64::from(start) + length as i64;
            first..range.end.min(last.max(0) as usize).max(first)
        };
        let (columns, rows) = (visible(x, width, &columns), visible(y, height, &rows));
        if columns.is_empty() || rows.is_empty() || scale == 0 {
            return;
        }
        let mut drawn: Option<(usize, usize)> = None;
        for row in rows {
            let source = (row as i64 - i64::from(y)) as usize / scale;
            let at = row * self.width;
            match drawn {
                // The rows of one row of the picture are alike.
                Some((same, from)) if same == source => {
                    let from = from * self.width;
                    self.pixels.copy_within(from + columns.start..from + columns.end, at + columns.start);
                }
                _ => {
                    let mut column = columns.start;
                    while column < columns.end {
                        let offset = (column as i64 - i64::from(x)) as usize;
                        let next = (column + scale - offset % scale).min(columns.end);
                        self.pixels[at + column..at + next].fill(packed(picture.rgb(offset / scale, source)));
                        column = next;
                    }
                    drawn = Some((source, row));
                }
            }
        }
    }

    /// A picture made to fit a rectangle of whole pixels: enlarged by the largest whole number that fits, or, if it is
    /// larger than the rectangle, reduced by taking the mean of the pixels that fall on one.
    pub fn fitted(&mut self, picture: &Picture, rect: Rect) {
        let scale = (rect.w as usize / picture.width.max(1)).min(rect.h as usize / picture.height.max(1));
        if scale >= 1 {
            let (w, h) = ((picture.width * scale) as f32, (picture.height * scale) as f32);
            let (x, y) = (rect.x + ((rect.w - w) / 2.0).floor(), rect.y + ((rect.h - h) / 2.0).floor());
            self.picture(picture, x as i32, y as i32, scale, rect);
        } else if rect.w >= 1.0 && rect.h >= 1.0 && !picture.pixels.is_empty() {
            self.fitted(&picture.reduced(rect.w as usize, rect.h as usize), rect);
        }
    }
}

fn packed([r, g, b]: [u8; 3]) -> u32 {
    u32::from_ne_bytes([b, g, r, 255])
}

fn blended(under: u32, [r, g, b]: [u8; 3], alpha: u8) -> u32 {
    let [b0, g0, r0, _] = under.to_ne_bytes();
    let mix = |under: u8, over: u8| {
        let (under, over, alpha) = (u32::from(under), u32::from(over), u32::from(alpha));
        ((under * (255 - alpha) + over * alpha + 127) / 255) as u8
    };
    packed([mix(r0, r), mix(g0, g), mix(b0, b)])
}

fn paint(color: Color) -> Paint<'static> {
    let [r, g, b, alpha] = color.channels();
    let mut paint = Paint::default();
    // Red and blue exchanged: see `Canvas`.
    paint.set_color_rgba8(b, g, r, alpha);
    paint
}

fn polyline(points: &[(f32, f32)], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (&(x, y), rest) = points.split_first()?;
    path.move_to(x, y);
    rest.iter().for_each(|&(x, y)| path.line_to(x, y));
    if closed {
        path.close();
    }
    path.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Color = Color(0xffff_0000);

    fn gray(width: usize, pixels: &[u8]) -> Picture {
        Picture { width, height: pixels.len() / width, channels: 1, pixels: pixels.to_vec() }
    }

    fn reds(canvas: &Canvas) -> Vec<u8> {
        canvas.to_picture().pixels.chunks(3).map(|rgb| rgb[0]).collect()
    }

    #[test]
    fn colors_are_what_windows_want() {
        let mut canvas = Canvas::new(2, 1);
        canvas.fill(Rect::new(0.0, 0.0, 1.0, 1.0), Color(0xff12_3456));
        canvas.round(Rect::new(1.0, 0.0, 1.0, 1.0), 0.0, Color(0xff12_3456));
        assert_eq!(canvas.to_picture().pixels, [0x12, 0x34, 0x56, 0x12, 0x34, 0x56]);
        assert_eq!(canvas.pixels(), [0xff12_3456, 0xff12_3456]);
    }

    #[test]
    fn half_covered_is_half_way() {
        let mut canvas = Canvas::new(1, 1);
        canvas.fill(Rect::new(0.0, 0.0, 1.0, 1.0), RED.with_alpha(128));
        assert_eq!(canvas.to_picture().pixels, [128, 0, 0]);
    }

    #[test]
    fn pictures_are_enlarged_and_cut_off() {
        let picture = gray(2, &[10, 20, 30, 40]);
        let whole = Rect::new(0.0, 0.0, 4.0, 4.0);
        for (x, y, clip, expected) in [
            (0, 0, whole, [10, 10, 20, 20, 10, 10, 20, 20, 30, 30, 40, 40, 30, 30, 40, 40]),
            (-1, -3, whole, [30, 40, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (1, 1, whole, [0, 0, 0, 0, 0, 10, 10, 20, 0, 10, 10, 20, 0, 30, 30, 40]),
            (0, 0, Rect::new(1.0, 1.0, 2.0, 1.0), [0, 0, 0, 0, 0, 10, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (9, -9, whole, [0; 16]),
        ] {
            let mut canvas = Canvas::new(4, 4);
            canvas.picture(&picture, x, y, 2, clip);
            assert_eq!(reds(&canvas), expected, "at {x}, {y}");
        }
    }

    #[test]
    fn pictures_are_fitted_by_whole_numbers_or_means() {
        let mut canvas = Canvas::new(5, 5);
        canvas.fitted(&gray(2, &[10, 20, 30, 40]), Rect::new(0.0, 0.0, 5.0, 5.0));
        assert_eq!(&reds(&canvas)[..10], [10, 10, 20, 20, 0, 10, 10, 20, 20, 0]);
        let mut canvas = Canvas::new(1, 1);
        canvas.fitted(&gray(2, &[10, 20, 30, 40]), Rect::new(0.0, 0.0, 1.0, 1.0));
        assert_eq!(reds(&canvas), [25]);
        // Nothing to draw in, and nothing to draw.
        canvas.fitted(&gray(1, &[9]), Rect::new(0.0, 0.0, 0.0, 0.0));
        canvas.fitted(&Picture::black(0, 0, 1), Rect::new(0.0, 0.0, 1.0, 1.0));
        assert_eq!(reds(&canvas), [25]);
    }

    #[test]
    fn drawing_beyond_the_edges_is_cut_off() {
        let mut canvas = Canvas::new(8, 8);
        let mut fonts = Fonts::new();
        let style = TextStyle { size: 20.0, weight: Weight::Regular, color: RED, align: Align::Center };
        canvas.text(&mut fonts, "wide text", 4.0, 3.0, style);
        canvas.line(&[(-50.0, 3.0), (50.0, 4.0)], 2.0, RED);
        canvas.frame(Rect::new(-2.0, -2.0, 40.0, 5.0), RED);
        canvas.disc(0.0, 100.0, 3.0, RED);
        assert!(reds(&canvas).contains(&255));
        Canvas::new(0, 0).disc(0.0, 0.0, 3.0, RED);
    }

    #[test]
    fn text_is_where_it_is_aligned() {
        let mut fonts = Fonts::new();
        for (align, columns) in [(Align::Left, 20..40), (Align::Center, 0..40), (Align::Right, 0..20)] {
            let mut canvas = Canvas::new(40, 20);
            let style = TextStyle { size: 14.0, weight: Weight::SemiBold, color: RED, align };
            canvas.text(&mut fonts, "HH", 20.0, 15.0, style);
            let inked: Vec<usize> = reds(&canvas)
                .iter()
                .enumerate()
                .filter(|&(_, &red)| red > 128)
                .map(|(at, _)| at % 40)
                .collect();
            assert!(inked.len() > 20, "{align:?}");
            assert!(inked.iter().all(|x| columns.contains(x)), "{align:?}: {inked:?}");
        }
    }
}
