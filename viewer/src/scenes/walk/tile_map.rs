//! The plane of seeds on the screen: tiles that are made as they come into view, and move with the pointer.

use std::collections::HashMap;

use latent_runtime::onnx::ImageShape;

use super::seed_plane;
use crate::draw::Rect;
use crate::picture::Picture;
use crate::walk::{Interpolation, KeyFrame, LatentSpace};

const MAX_TILES: usize = 4000;
/// The least width of a tile in pixels.
const TILE_WIDTH: usize = 56;
/// How far from the origin one can go.
const LIMIT: f64 = 1e6;

/// A tile: its place in tiles from the origin, and the tiles from seed to seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Columns from the origin.
    pub column: i64,
    /// Rows from the origin.
    pub row: i64,
    /// Tiles from one seed to the next.
    pub per_seed: u32,
}

impl Tile {
    /// The point of the plane that it shows.
    pub fn point(&self) -> (f64, f64) {
        let per_seed = f64::from(self.per_seed);
        (self.column as f64 / per_seed, self.row as f64 / per_seed)
    }
}

/// The view of the plane.
#[derive(Clone, Debug)]
pub struct TileMap {
    /// The point in the middle of the view.
    pub center: (f64, f64),
    /// The point under the pointer.
    pub hover: Option<(f64, f64)>,
    /// Tiles from one seed to the next: a power of 2.
    pub per_seed: u32,
    /// The tiles that are there or asked for.
    tiles: HashMap<Tile, TileState>,
    /// How often the pictures were to be made anew.
    round: u64,
}

#[derive(Clone, Debug)]
struct TileState {
    /// The picture, and the round in which it was made.
    picture: Option<(Picture, u64)>,
    /// The round in which it was last asked for.
    asked: u64,
}

impl Default for TileMap {
    fn default() -> Self {
        Self { center: (0.0, 0.0), hover: None, per_seed: 4, tiles: HashMap::new(), round: 0 }
    }
}

impl TileMap {
    /// The enlargement of a tile's picture.
    pub fn scale(image: ImageShape) -> usize {
        TILE_WIDTH.div_ceil(image.width)
    }

    fn tile_size(image: ImageShape) -> (f64, f64) {
        let scale = Self::scale(image);
        ((image.width * scale) as f64, (image.height * scale) as f64)
    }

    /// The point at a place on the screen.
    pub fn point_at(&self, viewport: Rect, image: ImageShape, x: f32, y: f32) -> (f64, f64) {
        let (w, h) = Self::tile_size(image);
        let per_seed = f64::from(self.per_seed);
        let dx = f64::from(x - viewport.x - viewport.w / 2.0) / (w * per_seed);
        let dy = f64::from(y - viewport.y - viewport.h / 2.0) / (h * per_seed);
        (self.center.0 + dx, self.center.1 + dy)
    }

    /// Moves the view by pixels.
    pub fn pan(&mut self, image: ImageShape, dx: f32, dy: f32) {
        let (w, h) = Self::tile_size(image);
        let per_seed = f64::from(self.per_seed);
        self.center.0 = (self.center.0 - f64::from(dx) / (w * per_seed)).clamp(-LIMIT, LIMIT);
        self.center.1 = (self.center.1 - f64::from(dy) / (h * per_seed)).clamp(-LIMIT, LIMIT);
    }

    /// More tiles from seed to seed, or fewer.
    pub fn zoom(&mut self, steps: i32) {
        let zoomed = f64::from(self.per_seed) * 2f64.powi(steps.clamp(-8, 8));
        self.per_seed = zoomed.clamp(1.0, 64.0) as u32;
        // What was asked for and did not come is asked for again when it is needed.
        self.tiles.retain(|_, made| {
            made.asked = made.picture.as_ref().map_or(0, |&(_, round)| round);
            made.picture.is_some()
        });
    }

    /// The tiles in view, each with the place of its upper left corner: a tile's point is in its middle.
    pub fn visible(&self, viewport: Rect, image: ImageShape) -> Vec<(Tile, i32, i32)> {
        let (w, h) = Self::tile_size(image);
        let per_seed = f64::from(self.per_seed);
        let middle = (self.center.0 * per_seed, self.center.1 * per_seed);
        let half = (f64::from(viewport.w) / (2.0 * w), f64::from(viewport.h) / (2.0 * h));
        let range = |middle: f64, half: f64| {
            (middle - half - 0.5).floor() as i64..=(middle + half + 0.5).ceil() as i64
        };
        let corner = |start: f32, length: f32, index: i64, middle: f64, size: f64| {
            (f64::from(start) + f64::from(length) / 2.0 + (index as f64 - middle - 0.5) * size).round() as i32
        };
        let mut tiles = Vec::new();
        for row in range(middle.1, half.1) {
            for column in range(middle.0, half.0) {
                let x = corner(viewport.x, viewport.w, column, middle.0, w);
                let y = corner(viewport.y, viewport.h, row, middle.1, h);
                tiles.push((Tile { column, row, per_seed: self.per_seed }, x, y));
            }
        }
        tiles
    }

    /// A tile's picture, if it is there.
    pub fn picture(&self, tile: &Tile) -> Option<&Picture> {
        self.tiles.get(tile)?.picture.as_ref().map(|(picture, _)| picture)
    }

    /// Up to `count` tiles in view that were not asked for yet, those in the middle first. They count as asked for.
    pub fn missing(&mut self, viewport: Rect, image: ImageShape, count: usize) -> Vec<Tile> {
        let mut missing: Vec<Tile> = self
            .visible(viewport, image)
            .into_iter()
            .map(|(tile, ..)| tile)
            .filter(|tile| self.tiles.get(tile).is_none_or(|made| made.asked != self.round))
            .collect();
        let distance = |tile: &Tile| {
            let (x, y) = tile.point();
            (x - self.center.0).powi(2) + (y - self.center.1).powi(2)
        };
        missing.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        missing.truncate(count);
        if self.tiles.len() + missing.len() > MAX_TILES {
            let visible: Vec<Tile> =
                self.visible(viewport, image).into_iter().map(|(tile, ..)| tile).collect();
            self.tiles.retain(|tile, made| made.picture.is_none() || visible.contains(tile));
        }
        for &tile in &missing {
            let made = self.tiles.entry(tile).or_insert(TileState { picture: None, asked: 0 });
            made.asked = self.round;
        }
        missing
    }

    pub fn receive(&mut self, pictures: impl Iterator<Item = (Tile, Picture)>) {
        let round = self.round;
        let made = |picture| TileState { picture: Some((picture, round)), asked: round };
        self.tiles.extend(pictures.map(|(tile, picture)| (tile, made(picture))));
    }

    /// Lets all pictures be made anew. Until they come, the old ones are shown.
    pub fn renew(&mut self) {
        self.round += 1;
    }

    /// Forgets all pictures.
    pub fn forget(&mut self) {
        self.tiles.clear();
    }

    /// The point that is shown large: under the pointer, else in the middle.
    pub fn point(&self) -> (f64, f64) {
        self.hover.unwrap_or(self.center)
    }

    /// The latent vector of that point.
    pub fn latent(&self, space: &LatentSpace, interpolation: Interpolation) -> Vec<f32> {
        seed_plane::latent(space, self.point(), interpolation)
    }

    /// That point as a key frame.
    pub fn key_frame(&self, space: &LatentSpace, interpolation: Interpolation) -> KeyFrame {
        seed_plane::key_frame(space, self.point(), interpolation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };
    const VIEW: Rect = Rect::new(100.0, 50.0, 560.0, 280.0);

    #[test]
    fn tiles_cover_the_view_and_follow_the_pointer() {
        let mut map = TileMap::default();
        for _ in 0..3 {
            let tiles = map.visible(VIEW, IMAGE);
            let covers = |x: i32, y: i32| {
                tiles.iter().any(|&(_, tx, ty)| (tx..tx + 56).contains(&x) && (ty..ty + 56).contains(&y))
            };
            for (x, y) in [(100, 50), (659, 50), (100, 329), (659, 329), (380, 190)] {
                assert!(covers(x, y), "{x}, {y}");
            }
            map.pan(IMAGE, 33.0, -17.5);
        }
        let before = map.point_at(VIEW, IMAGE, 200.0, 100.0);
        map.pan(IMAGE, 10.0, 20.0);
        let after = map.point_at(VIEW, IMAGE, 210.0, 120.0);
        assert!((before.0 - after.0).abs() < 1e-9 && (before.1 - after.1).abs() < 1e-9);
    }

    #[test]
    fn a_tiles_point_is_in_its_middle() {
        let map = TileMap { center: (2.25, -1.0), ..TileMap::default() };
        for (tile, x, y) in map.visible(VIEW, IMAGE) {
            let (px, py) = map.point_at(VIEW, IMAGE, (x + 28) as f32, (y + 28) as f32);
            let (tx, ty) = tile.point();
            assert!((px - tx).abs() < 0.01 && (py - ty).abs() < 0.01, "{tile:?}: {px}, {py}");
        }
    }

    #[test]
    fn tiles_are_asked_for_once_from_the_middle() {
        let mut map = TileMap::default();
        let first = map.missing(VIEW, IMAGE, 1);
        assert_eq!(first, [Tile { column: 0, row: 0, per_seed: 4 }]);
        let mut all = first.clone();
        loop {
            let next = map.missing(VIEW, IMAGE, 8);
            if next.is_empty() {
                break;
            }
            assert!(next.iter().all(|tile| !all.contains(tile)));
            all.extend(next);
        }
        assert_eq!(all.len(), map.visible(VIEW, IMAGE).len());
        map.receive(first.iter().map(|&tile| (tile, Picture::black(28, 28, 1))));
        assert!(map.picture(&first[0]).is_some() && map.picture(&all[1]).is_none());
        map.renew();
        assert!(map.picture(&first[0]).is_some(), "the old picture stays until the new one comes");
        assert_eq!(map.missing(VIEW, IMAGE, 1), first);
        assert_ne!(map.missing(VIEW, IMAGE, 1), first);
        map.forget();
        assert!(map.picture(&first[0]).is_none());
    }

    #[test]
    fn zoom_and_place_are_bounded() {
        let mut map = TileMap::default();
        for (steps, expected) in [(1, 8), (99, 64), (-2, 16), (-99, 1)] {
            map.zoom(steps);
            assert_eq!(map.per_seed, expected);
        }
        map.pan(IMAGE, f32::MAX, f32::MIN);
        assert_eq!(map.center, (-LIMIT, LIMIT));
        assert!(!map.visible(VIEW, IMAGE).is_empty());
    }
}
