//! Color pictures of ten kinds of things: 32x32, one object each, on a background that does not tell which.
//!
//! The kind decides the shapes only. Colors, patterns, background, light, pose, size and what hides a part of the object are
//! drawn from the same distributions for all kinds, so that a classifier has to look at the shape.

use core::f32::consts::{PI, TAU};

use latent_runtime::rng::Rng;
use libm::{cosf, sinf};

use super::super::{Dataset, Split};
use super::shapes::{self, Ink, Part, Primitive, Relief};
use super::{Shape, dataset as draw_all};

const SIDE: usize = 32;

const SHAPE: Shape = Shape {
    name: "synth-objects",
    channels: 3,
    side: SIDE,
    class_names: &shapes::NAMES,
    default_count: 50_000,
};

/// Draws one split: `count` training images (50 000 if `None`), or 10 000 test images (`count` if that is less).
pub fn dataset(count: Option<usize>, split: Split, seed: u64) -> Dataset {
    draw_all(&SHAPE, count, split, seed, |rng, image| {
        let kind = rng.below(shapes::NAMES.len() as u32);
        draw(rng, kind as usize, image);
        kind
    })
}

/// Red, green, blue, each nominally 0 to 1.
type Color = [f32; 3];

fn draw(rng: &mut Rng, kind: usize, image: &mut [u8]) {
    let noise = Lattice::new(rng);
    let background = Background::new(rng);
    let object = Object::new(rng, kind, background.typical());
    let light = Light::new(rng);
    let occluder = (rng.next_f32() < 0.3).then(|| Occluder::new(rng, &object));
    let grain = 0.05 * rng.next_f32();
    let exposure = rng.uniform(0.85, 1.15);
    let mut speckle = Rng::from_seed(rng.next_u64());
    let plane = SIDE * SIDE;
    for row in 0..SIDE {
        for column in 0..SIDE {
            let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
            let mut color = background.color(x, y, &noise);
            object.paint(x, y, &light, &noise, &mut color);
            if let Some(occluder) = &occluder {
                occluder.paint(x, y, &noise, &mut color);
            }
            let brightness = exposure * light.ambient(x, y);
            // Three values of sensor noise from one draw of 64 bits.
            let bits = speckle.next_u64();
            for (c, value) in color.into_iter().enumerate() {
                let noise = ((bits >> (21 * c)) & 0x1f_ffff) as f32 / 2_097_152.0 - 0.5;
                let value = value * brightness + grain * noise;
                // `as` rounds down and saturates.
                image[c * plane + row * SIDE + column] = (value * 255.0 + 0.5) as u8;
            }
        }
    }
}

fn mix(from: Color, to: Color, t: f32) -> Color {
    [from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1]), from[2] + t * (to[2] - from[2])]
}

fn scale(color: Color, k: f32) -> Color {
    [color[0] * k, color[1] * k, color[2] * k]
}

fn difference(a: Color, b: Color) -> f32 {
    (a[0] - b[0]).abs() + (a[1] - b[1]).abs() + (a[2] - b[2]).abs()
}

/// A color of any hue, from grayish to vivid.
fn any_color(rng: &mut Rng) -> Color {
    let hue = 6.0 * rng.next_f32();
    let saturation = rng.next_f32().sqrt() * 0.85;
    let value = rng.uniform(0.3, 0.97);
    let ramp = |shift: f32| {
        let h = (hue + shift) % 6.0;
        let k = (h - 3.0).abs() - 1.0;
        value * (1.0 - saturation + saturation * k.clamp(0.0, 1.0))
    };
    [ramp(0.0), ramp(4.0), ramp(2.0)]
}

/// A color that stands out against another.
fn color_against(rng: &mut Rng, other: Color, least: f32) -> Color {
    let mut color = any_color(rng);
    for _ in 0..8 {
        if difference(color, other) >= least {
            break;
        }
        color = any_color(rng);
    }
    color
}

/// Random values on a grid, read in between: smooth noise without a hash per pixel.
struct Lattice {
    values: [f32; Self::SIZE * Self::SIZE],
}

impl Lattice {
    const SIZE: usize = 8;

    fn new(rng: &mut Rng) -> Self {
        let mut values = [0.0; Self::SIZE * Self::SIZE];
        for four in values.chunks_exact_mut(4) {
            let bits = rng.next_u64();
            for (i, value) in four.iter_mut().enumerate() {
                *value = ((bits >> (16 * i)) & 0xffff) as f32 / 65_536.0;
            }
        }
        Lattice { values }
    }

    /// Between 0 and 1, one grid cell per unit, repeating every eight.
    fn at(&self, x: f32, y: f32) -> f32 {
        let (fx, fy) = (x.floor(), y.floor());
        let (tx, ty) = (x - fx, y - fy);
        let (tx, ty) = (tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty));
        let wrap = |v: i32| v.rem_euclid(Self::SIZE as i32) as usize;
        let (x0, x1) = (wrap(fx as i32), wrap(fx as i32 + 1));
        let (y0, y1) = (wrap(fy as i32) * Self::SIZE, wrap(fy as i32 + 1) * Self::SIZE);
        let top = self.values[y0 + x0] + tx * (self.values[y0 + x1] - self.values[y0 + x0]);
        let bottom = self.values[y1 + x0] + tx * (self.values[y1 + x1] - self.values[y1 + x0]);
        top + ty * (bottom - top)
    }
}

/// How two colors share a surface.
#[derive(Clone, Copy)]
enum Pattern {
    Plain,
    Stripes,
    Checks,
    Dots,
    Clouds,
}

/// Two colors and a pattern.
#[derive(Clone, Copy)]
struct Paint {
    first: Color,
    second: Color,
    pattern: Pattern,
    /// Repeats per unit.
    frequency: f32,
    cos: f32,
    sin: f32,
    /// Pixels per unit, which limits how sharp an edge may be.
    pixels: f32,
}

impl Paint {
    fn new(rng: &mut Rng, first: Color, plain: f32, frequency: (f32, f32), pixels: f32) -> Self {
        let second = if rng.below(2) == 0 {
            scale(first, rng.uniform(0.45, 0.8))
        } else {
            color_against(rng, first, 0.4)
        };
        let pattern = if rng.next_f32() < plain {
            Pattern::Plain
        } else {
            [Pattern::Stripes, Pattern::Checks, Pattern::Dots, Pattern::Clouds][rng.below(4) as usize]
        };
        let angle = TAU * rng.next_f32();
        Paint {
            first,
            second,
            pattern,
            frequency: rng.uniform(frequency.0, frequency.1),
            cos: cosf(angle),
            sin: sinf(angle),
            pixels,
        }
    }

    fn color(&self, x: f32, y: f32, noise: &Lattice) -> Color {
        let u = (self.cos * x - self.sin * y) * self.frequency;
        let v = (self.sin * x + self.cos * y) * self.frequency;
        // A triangle wave between -1 and 1 per unit has slope 4: this factor makes its edge one pixel wide.
        let sharp = self.pixels / (4.0 * self.frequency);
        let wave = |u: f32| (u - u.floor() - 0.5).abs() * 4.0 - 1.0;
        let t = match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Stripes => wave(u) * sharp + 0.5,
            Pattern::Checks => {
                let (a, b) = ((wave(u) * sharp).clamp(-0.5, 0.5), (wave(v) * sharp).clamp(-0.5, 0.5));
                0.5 + 2.0 * a * b
            }
            Pattern::Dots => {
                let (a, b) = (u - u.floor() - 0.5, v - v.floor() - 0.5);
                (0.3 - (a * a + b * b).sqrt()) * 4.0 * sharp + 0.5
            }
            Pattern::Clouds => (noise.at(u * 2.0, v * 2.0) - 0.5) * 2.5 + 0.5,
        };
        mix(self.first, self.second, t.clamp(0.0, 1.0))
    }
}

/// What lies behind the object.
struct Background {
    paint: Paint,
    /// Color at the other side of a gradient, and the gradient's direction.
    far: Color,
    direction: (f32, f32),
    strength: f32,
    /// The line below which the ground begins, and its paint.
    ground: Option<(f32, f32, Paint)>,
    /// A few blurred things of no meaning.
    blobs: Vec<(Primitive, Color)>,
    offset: (f32, f32),
    roughness: f32,
}

impl Background {
    fn new(rng: &mut Rng) -> Self {
        let first = any_color(rng);
        let mut paint = Paint::new(rng, first, 0.5, (0.05, 0.22), 1.0);
        // Backgrounds are quieter than objects, as a rule.
        paint.second = mix(paint.first, paint.second, rng.uniform(0.1, 0.6));
        let angle = TAU * rng.next_f32();
        let ground = (rng.below(4) == 0).then(|| {
            let color = any_color(rng);
            let mut ground = Paint::new(rng, color, 0.5, (0.06, 0.25), 1.0);
            ground.second = mix(ground.first, ground.second, 0.5);
            (rng.uniform(14.0, 27.0), rng.uniform(-0.2, 0.2), ground)
        });
        let blobs = (0..rng.below(3))
            .map(|_| {
                let (x, y) = (rng.uniform(0.0, 32.0), rng.uniform(0.0, 32.0));
                let primitive = match rng.below(3) {
                    0 => Primitive::Ellipse { x, y, rx: rng.uniform(1.5, 7.0), ry: rng.uniform(1.5, 7.0) },
                    1 => Primitive::Slab {
                        x,
                        y,
                        half_width: rng.uniform(1.0, 8.0),
                        half_height: rng.uniform(1.0, 8.0),
                        round: 0.5,
                    },
                    _ => {
                        let (bx, by) = (rng.uniform(0.0, 32.0), rng.uniform(0.0, 32.0));
                        Primitive::Limb {
                            ax: x,
                            ay: y,
                            bx,
                            by,
                            a: rng.uniform(0.5, 2.5),
                            b: rng.uniform(0.5, 2.5),
                        }
                    }
                };
                let color = any_color(rng);
                (primitive, mix(first, color, rng.uniform(0.25, 0.8)))
            })
            .collect();
        Background {
            paint,
            far: any_color(rng),
            direction: (cosf(angle) / 32.0, sinf(angle) / 32.0),
            strength: 0.6 * rng.next_f32(),
            ground,
            blobs,
            offset: (rng.uniform(0.0, 8.0), rng.uniform(0.0, 8.0)),
            roughness: 0.35 * rng.next_f32(),
        }
    }

    /// The color behind most of the picture.
    fn typical(&self) -> Color {
        mix(mix(self.paint.first, self.paint.second, 0.3), self.far, self.strength * 0.5)
    }

    fn color(&self, x: f32, y: f32, noise: &Lattice) -> Color {
        let mut color = self.paint.color(x, y, noise);
        let t = (x - 16.0) * self.direction.0 + (y - 16.0) * self.direction.1 + 0.5;
        color = mix(color, self.far, self.strength * t.clamp(0.0, 1.0));
        if let Some((level, slope, paint)) = &self.ground {
            let below = y - level - slope * (x - 16.0);
            color = mix(color, paint.color(x, y, noise), (below + 0.5).clamp(0.0, 1.0));
        }
        for (primitive, blob) in &self.blobs {
            color = mix(color, *blob, (0.5 - primitive.distance(x, y)).clamp(0.0, 1.0));
        }
        let rough = noise.at(x * 0.45 + self.offset.0, y * 0.45 + self.offset.1) - 0.5;
        scale(color, 1.0 + self.roughness * rough)
    }
}

/// Where the light comes from.
struct Light {
    x: f32,
    y: f32,
    /// Strength of the gradient over the whole picture.
    fall: f32,
}

impl Light {
    fn new(rng: &mut Rng) -> Self {
        // From above, mostly.
        let angle = -PI / 2.0 + rng.normal() * 0.9;
        Light { x: cosf(angle), y: sinf(angle), fall: 0.5 * rng.next_f32() }
    }

    fn ambient(&self, x: f32, y: f32) -> f32 {
        1.0 + self.fall * ((x - 16.0) * self.x + (y - 16.0) * self.y) / 16.0
    }
}

struct Object {
    parts: Vec<Part>,
    main: Paint,
    second: Paint,
    x: f32,
    y: f32,
    /// Pixels per unit of the object's own coordinates.
    size: f32,
    /// From pixels about the center to the object's coordinates.
    inverse: [f32; 4],
    /// Offset of the shadow in pixels, and how dark it is.
    shadow: (f32, f32, f32),
    outline: f32,
}

impl Object {
    fn new(rng: &mut Rng, kind: usize, behind: Color) -> Self {
        let parts = shapes::build(rng, kind);
        let size = rng.uniform(10.0, 15.5);
        // Large objects may reach over the edge a little.
        let room = (16.0 - size).max(0.0) + 2.0;
        let (x, y) = (16.0 + rng.uniform(-room, room), 16.0 + rng.uniform(-room, room));
        let largest = shapes::largest_turn(kind);
        let turn = rng.uniform(-largest, largest);
        let (sin, cos) = (sinf(turn), cosf(turn));
        // Foreshortening, shear, and left or right.
        let narrow = rng.uniform(0.72, 1.0);
        let low = rng.uniform(0.85, 1.0);
        let shear = 0.12 * rng.normal().clamp(-2.0, 2.0);
        let flip = if rng.below(2) == 0 { 1.0 } else { -1.0 };
        let (sx, sy) = (flip / (size * narrow), 1.0 / (size * low));
        let inverse = [(cos + shear * sin) * sx, (sin - shear * cos) * sx, -sin * sy, cos * sy];
        let first = color_against(rng, behind, 0.75);
        let main = Paint::new(rng, first, 0.6, (0.9, 2.4), size * narrow);
        let other = color_against(rng, first, 0.6);
        let other = if difference(other, behind) < 0.3 { scale(other, 0.6) } else { other };
        let second = Paint::new(rng, other, 0.75, (0.9, 2.4), size * narrow);
        let shadow = (rng.uniform(-2.5, 2.5), rng.uniform(0.3, 2.5), 0.5 * rng.next_f32());
        let outline = if rng.below(4) == 0 { 0.6 } else { 0.0 };
        Object { parts, main, second, x, y, size, inverse, shadow, outline }
    }

    fn local(&self, x: f32, y: f32) -> (f32, f32) {
        let (x, y) = (x - self.x, y - self.y);
        (self.inverse[0] * x + self.inverse[1] * y, self.inverse[2] * x + self.inverse[3] * y)
    }

    fn paint(&self, x: f32, y: f32, light: &Light, noise: &Lattice, color: &mut Color) {
        let (u, v) = self.local(x, y);
        // Nothing of the object or its shadow is further than this.
        if u * u + v * v > 3.2 {
            return;
        }
        let (dx, dy, darkness) = self.shadow;
        if darkness > 0.05 {
            let (su, sv) = self.local(x - dx, y - dy);
            let nearest = self.parts.iter().map(|p| p.primitive.distance(su, sv)).fold(f32::MAX, f32::min);
            // A soft edge of about three pixels.
            let t = (0.5 - nearest * self.size / 3.0).clamp(0.0, 1.0);
            *color = scale(*color, 1.0 - darkness * t);
        }
        for part in &self.parts {
            let distance = part.primitive.distance(u, v);
            let coverage = (0.5 - distance * self.size).clamp(0.0, 1.0);
            if coverage <= 0.0 {
                continue;
            }
            let paint = match part.ink {
                Ink::Main => self.main.color(u, v, noise),
                Ink::Second => self.second.color(u, v, noise),
                Ink::Shade => scale(self.main.color(u, v, noise), 0.62),
                Ink::Light => [0.93, 0.93, 0.90],
                Ink::Dark => [0.10, 0.10, 0.13],
            };
            let mut shade = match part.relief {
                Relief::Flat => 1.0,
                // Darker near the edge, and on the side away from the light.
                Relief::Soft => 0.80 + 0.20 * (-distance * 4.0).min(1.0) + 0.14 * (u * light.x + v * light.y),
                Relief::Sphere => {
                    let height = (1.0 - u * u - v * v).max(0.0).sqrt();
                    let facing = 0.62 * (u * light.x + v * light.y) + 0.78 * height;
                    let gloss = (facing - 0.86).max(0.0) * 5.0;
                    0.42 + 0.68 * facing.max(0.0) + gloss * gloss
                }
            };
            if self.outline > 0.0 {
                shade *= 1.0 - self.outline * (1.0 + distance * self.size / 1.2).clamp(0.0, 1.0);
            }
            *color = mix(*color, scale(paint, shade), coverage);
        }
    }
}

/// Something in front that hides a part of the object.
struct Occluder {
    primitive: Primitive,
    paint: Paint,
}

impl Occluder {
    fn new(rng: &mut Rng, object: &Object) -> Self {
        // It comes in from one side and reaches the object's rim, not its middle.
        let angle = TAU * rng.next_f32();
        let (dx, dy) = (cosf(angle), sinf(angle));
        let reach = object.size * rng.uniform(0.45, 0.85);
        let (x, y) = (object.x + dx * reach, object.y + dy * reach);
        let color = any_color(rng);
        let paint = Paint::new(rng, color, 0.6, (0.08, 0.25), 1.0);
        let r = rng.uniform(1.5, 4.0);
        let primitive = match rng.below(3) {
            0 => Primitive::Ellipse { x: x + dx * r, y: y + dy * r, rx: r * rng.uniform(0.8, 1.4), ry: r },
            // A post or a branch across.
            1 => Primitive::Limb {
                ax: x - dy * 40.0,
                ay: y + dx * 40.0,
                bx: x + dy * 40.0,
                by: y - dx * 40.0,
                a: r * 0.5,
                b: r * 0.5,
            },
            // Everything beyond a line.
            _ => Primitive::Limb {
                ax: x + dx * 30.0 - dy * 40.0,
                ay: y + dy * 30.0 + dx * 40.0,
                bx: x + dx * 30.0 + dy * 40.0,
                by: y + dy * 30.0 - dx * 40.0,
                a: 30.0,
                b: 30.0,
            },
        };
        Occluder { primitive, paint }
    }

    fn paint(&self, x: f32, y: f32, noise: &Lattice, color: &mut Color) {
        let coverage = (0.5 - self.primitive.distance(x, y)).clamp(0.0, 1.0);
        if coverage > 0.0 {
            *color = mix(*color, self.paint.color(x, y, noise), coverage);
        }
    }
}
