//! Handwritten-like digits: 28x28, white ink on black, made the way MNIST's images were made.
//!
//! A skeleton (a mixture of the shapes of one way to write the digit) is bent: each point moves a little, the whole is slanted
//! and turned, a smooth field deforms it. It is scaled to fit 20x20 pixels and put with its center of mass in the middle of the
//! 28x28, as in MNIST. The pen's width varies along each stroke, and coverage comes from the distance to the pen's path.

use core::f32::consts::TAU;

use latent_runtime::rng::Rng;
use libm::{cosf, expf, logf, sinf};

use super::super::{Dataset, Split};
use super::skeletons::{DIGITS, Family};
use super::{Shape, dataset as draw_all};

const SIDE: usize = 28;
/// Height or width of the digit itself, whichever is larger, in pixels.
const EXTENT: f32 = 20.0;

const SHAPE: Shape = Shape {
    name: "synth-digits",
    channels: 1,
    side: SIDE,
    class_names: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    default_count: 60_000,
};

/// Draws one split: `count` training images (60 000 if `None`), or 10 000 test images (`count` if that is less).
pub fn dataset(count: Option<usize>, split: Split, seed: u64) -> Dataset {
    draw_all(&SHAPE, count, split, seed, |rng, image| {
        let digit = rng.below(10);
        draw(rng, digit as usize, image);
        digit
    })
}

/// A piece of the pen's path: two ends, each with its radius, in pixels.
#[derive(Clone, Copy)]
struct Segment {
    from: Dot,
    to: Dot,
}

#[derive(Clone, Copy)]
struct Dot {
    x: f32,
    y: f32,
    radius: f32,
}

fn draw(rng: &mut Rng, digit: usize, image: &mut [u8]) {
    let family = choose_family(rng, &DIGITS[digit]);
    let mut path = skeleton(rng, family);
    deform(rng, digit, &mut path);
    // Ink: MNIST's strokes are about 2.5 pixels wide, from hairlines to 5.
    let radius = (1.24 * expf(0.25 * rng.normal())).clamp(0.78, 2.3);
    fit(&mut path, EXTENT - 2.0 * radius);
    let segments = ink(rng, &path, radius);
    render(rng, &segments, image);
}

fn choose_family<'a>(rng: &mut Rng, families: &'a [Family]) -> &'a Family {
    let mut rest = rng.next_f32() * families.iter().map(|f| f.share).sum::<f32>();
    for family in families {
        if rest < family.share {
            return family;
        }
        rest -= family.share;
    }
    &families[0]
}

/// Strokes as polylines, in units of the digit's height.
type Path = Vec<Vec<(f32, f32)>>;

fn skeleton(rng: &mut Rng, family: &Family) -> Path {
    // A random mixture: exponential weights, that is, uniform over the simplex.
    let mut weights: Vec<f32> = family.shapes.iter().map(|_| -logf(1.0 - rng.next_f32())).collect();
    let sum = weights.iter().sum::<f32>().max(1e-6);
    weights.iter_mut().for_each(|w| *w /= sum);
    let width = rng.uniform(family.width.0, family.width.1);
    // Some write with care and some do not.
    let care = rng.next_f32();
    let sloppiness = 0.012 + 0.044 * care * care;
    let mut path = Path::new();
    for (stroke, corners) in family.corners.iter().enumerate() {
        let points: Vec<(f32, f32)> = (0..family.shapes[0].strokes[stroke].len())
            .map(|i| {
                let (mut x, mut y) = (0.0, 0.0);
                for (shape, weight) in family.shapes.iter().zip(&weights) {
                    x += weight * shape.strokes[stroke][i].0;
                    y += weight * shape.strokes[stroke][i].1;
                }
                ((x - 0.5) * width + sloppiness * rng.normal(), y - 0.5 + sloppiness * rng.normal())
            })
            .collect();
        path.push(smooth(&points, corners));
    }
    path
}

/// A centripetal Catmull-Rom curve through the points, broken at the corners, as a polyline.
fn smooth(points: &[(f32, f32)], corners: &[usize]) -> Vec<(f32, f32)> {
    const STEPS: usize = 6;
    let mut out = vec![points[0]];
    let mut start = 0;
    for end in corners.iter().copied().chain([points.len() - 1]) {
        let run = &points[start..=end];
        for i in 0..run.len() - 1 {
            let (p1, p2) = (run[i], run[i + 1]);
            let p0 = if i == 0 { mirror(p1, p2) } else { run[i - 1] };
            let p3 = if i + 2 < run.len() { run[i + 2] } else { mirror(p2, p1) };
            // Knots grow with the square root of the distance, so that uneven points make no loops (Yuksel et al., 2011).
            let (d1, d2, d3) = (knot(p0, p1), knot(p1, p2), knot(p2, p3));
            let m1 = tangent(p0, p1, p2, d1, d2);
            let m2 = tangent(p1, p2, p3, d2, d3);
            for step in 1..=STEPS {
                let t = step as f32 / STEPS as f32;
                let (t2, t3) = (t * t, t * t * t);
                let (h1, h2) = (2.0 * t3 - 3.0 * t2 + 1.0, t3 - 2.0 * t2 + t);
                let (h3, h4) = (-2.0 * t3 + 3.0 * t2, t3 - t2);
                out.push((
                    h1 * p1.0 + h2 * d2 * m1.0 + h3 * p2.0 + h4 * d2 * m2.0,
                    h1 * p1.1 + h2 * d2 * m1.1 + h3 * p2.1 + h4 * d2 * m2.1,
                ));
            }
        }
        start = end;
    }
    out
}

/// The reflection of `q` about `p`.
fn mirror(p: (f32, f32), q: (f32, f32)) -> (f32, f32) {
    (2.0 * p.0 - q.0, 2.0 * p.1 - q.1)
}

fn knot(p: (f32, f32), q: (f32, f32)) -> f32 {
    let (x, y) = (q.0 - p.0, q.1 - p.1);
    (x * x + y * y).sqrt().sqrt().max(1e-4)
}

fn tangent(p: (f32, f32), q: (f32, f32), r: (f32, f32), before: f32, after: f32) -> (f32, f32) {
    let one = |p: f32, q: f32, r: f32| (q - p) / before - (r - p) / (before + after) + (r - q) / after;
    (one(p.0, q.0, r.0), one(p.1, q.1, r.1))
}

/// Slant, rotation, and a smooth field of displacements: a sum of a few plane waves.
fn deform(rng: &mut Rng, digit: usize, path: &mut Path) {
    // People slant to the right, a one most of all.
    let (mean, spread) = if digit == 1 { (0.26, 0.30) } else { (0.16, 0.27) };
    let slant = (mean + spread * rng.normal()).clamp(-0.5, 0.85);
    let angle = (0.12 * rng.normal()).clamp(-0.35, 0.35);
    let (sin, cos) = (sinf(angle), cosf(angle));
    struct Wave {
        kx: f32,
        ky: f32,
        phase: f32,
        dx: f32,
        dy: f32,
    }
    let waves: [Wave; 3] = core::array::from_fn(|i| {
        let frequency = (0.5 + 0.5 * i as f32) * TAU * rng.uniform(0.7, 1.3);
        let direction = TAU * rng.next_f32();
        let strength = 0.058 / (1.0 + i as f32);
        Wave {
            kx: frequency * cosf(direction),
            ky: frequency * sinf(direction),
            phase: TAU * rng.next_f32(),
            dx: strength * rng.normal(),
            dy: strength * rng.normal(),
        }
    });
    for point in path.iter_mut().flatten() {
        let (mut x, mut y) = *point;
        for wave in &waves {
            let s = sinf(wave.kx * point.0 + wave.ky * point.1 + wave.phase);
            x += wave.dx * s;
            y += wave.dy * s;
        }
        x -= slant * y;
        *point = (cos * x - sin * y, sin * x + cos * y);
    }
}

/// Scales the path so that its larger side is `extent`, and moves its middle to (0, 0).
fn fit(path: &mut Path, extent: f32) {
    let (mut low, mut high) = ((f32::MAX, f32::MAX), (f32::MIN, f32::MIN));
    for &(x, y) in path.iter().flatten() {
        low = (low.0.min(x), low.1.min(y));
        high = (high.0.max(x), high.1.max(y));
    }
    let scale = extent / (high.0 - low.0).max(high.1 - low.1).max(1e-3);
    let middle = ((low.0 + high.0) / 2.0, (low.1 + high.1) / 2.0);
    for point in path.iter_mut().flatten() {
        *point = ((point.0 - middle.0) * scale, (point.1 - middle.1) * scale);
    }
}

/// Gives the path a pen: its width varies slowly along each stroke and often thins out at the ends.
fn ink(rng: &mut Rng, path: &Path, radius: f32) -> Vec<Segment> {
    let mut segments = Vec::new();
    for stroke in path {
        let amplitude = 0.14 * rng.next_f32();
        let turns = rng.uniform(0.4, 1.6);
        let phase = TAU * rng.next_f32();
        let thin_start = 0.45 * rng.next_f32() * rng.next_f32();
        let thin_end = 0.6 * rng.next_f32() * rng.next_f32();
        let last = (stroke.len() - 1) as f32;
        let dots: Vec<Dot> = stroke
            .iter()
            .enumerate()
            .map(|(i, &(x, y))| {
                let t = i as f32 / last;
                let ends = 1.0 - thin_start * near(t) - thin_end * near(1.0 - t);
                let pressure = 1.0 + amplitude * sinf(TAU * turns * t + phase);
                // A pen on paper is never quite even.
                let grain = 1.0 + rng.uniform(-0.07, 0.07);
                Dot { x, y, radius: (radius * ends * pressure * grain).max(0.45) }
            })
            .collect();
        segments.extend(dots.windows(2).map(|d| Segment { from: d[0], to: d[1] }));
    }
    segments
}

/// 1 at 0, falling to 0 at a quarter.
fn near(t: f32) -> f32 {
    let rest = (1.0 - 4.0 * t).max(0.0);
    rest * rest
}

fn render(rng: &mut Rng, segments: &[Segment], image: &mut [u8]) {
    // Center of mass of the ink, each segment weighing length x width.
    let (mut mass, mut at_x, mut at_y) = (1e-6, 0.0, 0.0);
    for Segment { from, to } in segments {
        let (x, y) = (to.x - from.x, to.y - from.y);
        let weight = (x * x + y * y).sqrt() * (from.radius + to.radius);
        mass += weight;
        at_x += weight * (from.x + to.x) / 2.0;
        at_y += weight * (from.y + to.y) / 2.0;
    }
    // MNIST moves by whole pixels, so the rest is anywhere within one.
    let middle = SIDE as f32 / 2.0;
    let shift_x = middle - at_x / mass + rng.uniform(-0.5, 0.5);
    let shift_y = middle - at_y / mass + rng.uniform(-0.5, 0.5);
    // Width of the gray edge: MNIST's comes from resampling black-and-white scans.
    let edge = rng.uniform(0.9, 1.25);
    let mut coverage = [0f32; SIDE * SIDE];
    for Segment { from, to } in segments {
        let (ax, ay) = (from.x + shift_x, from.y + shift_y);
        let (bx, by) = (to.x + shift_x, to.y + shift_y);
        let (dx, dy) = (bx - ax, by - ay);
        let square = (dx * dx + dy * dy).max(1e-6);
        let reach = from.radius.max(to.radius) + edge / 2.0;
        for row in rows(ay.min(by) - reach, ay.max(by) + reach) {
            let y = row as f32 + 0.5 - ay;
            for column in rows(ax.min(bx) - reach, ax.max(bx) + reach) {
                let x = column as f32 + 0.5 - ax;
                let t = ((x * dx + y * dy) / square).clamp(0.0, 1.0);
                let (ex, ey) = (x - t * dx, y - t * dy);
                let distance = (ex * ex + ey * ey).sqrt();
                let radius = from.radius + t * (to.radius - from.radius);
                let value = (radius - distance) / edge + 0.5;
                let pixel = &mut coverage[row * SIDE + column];
                *pixel = pixel.max(value);
            }
        }
    }
    for (out, value) in image.iter_mut().zip(coverage) {
        // `as` rounds down and saturates; every step is exact or correctly rounded, so the byte is the same everywhere.
        *out = (255.0 * value.min(1.0) + 0.5) as u8;
    }
}

/// The pixels whose centers lie between `low` and `high`.
fn rows(low: f32, high: f32) -> core::ops::Range<usize> {
    let from = (low - 0.5).ceil().clamp(0.0, SIDE as f32) as usize;
    let to = (high + 0.5).floor().clamp(0.0, SIDE as f32) as usize;
    from..to.max(from)
}
