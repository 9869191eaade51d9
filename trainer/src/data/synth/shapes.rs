//! Flat shapes by their signed distance, and the ten kinds of objects built of them.
//!
//! An object lives in coordinates where it fits the circle of radius 1 about (0, 0); x runs to the right and y down.
//! Distances are negative inside.

use core::f32::consts::{PI, TAU};

use latent_runtime::rng::Rng;
use libm::{atan2f, cosf, sinf};

/// The kinds of objects, in order of label.
pub(super) const NAMES: [&str; 10] =
    ["ball", "ring", "box", "star", "flower", "mushroom", "fish", "tree", "house", "car"];

/// Which of an object's paints a part has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// The main paint, with its pattern.
    Main,
    /// The second paint, with its pattern.
    Second,
    /// The main paint, darker: a face turned from the light.
    Shade,
    /// Almost white.
    Light,
    /// Almost black.
    Dark,
}

/// How a part's surface catches the light.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Relief {
    /// Rounded towards its edge.
    Soft,
    /// A sphere about the origin.
    Sphere,
    /// None.
    Flat,
}

/// A shape with its paint. Later parts lie on top of earlier ones.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) primitive: Primitive,
    pub(super) ink: Ink,
    pub(super) relief: Relief,
}

#[derive(Clone, Copy)]
pub(super) enum Primitive {
    Ellipse {
        x: f32,
        y: f32,
        rx: f32,
        ry: f32,
    },
    /// The part of an ellipse above the horizontal through its middle.
    Dome {
        x: f32,
        y: f32,
        rx: f32,
        ry: f32,
    },
    Ring {
        outer: f32,
        inner: f32,
    },
    /// A rectangle with rounded corners.
    Slab {
        x: f32,
        y: f32,
        half_width: f32,
        half_height: f32,
        round: f32,
    },
    /// A line with a width at each end.
    Limb {
        ax: f32,
        ay: f32,
        bx: f32,
        by: f32,
        a: f32,
        b: f32,
    },
    /// A convex quadrilateral, corners in clockwise order as seen; a triangle repeats one.
    Quad([(f32, f32); 4]),
    /// A star, or the petals of a flower if `petals`.
    Star {
        x: f32,
        y: f32,
        points: f32,
        outer: f32,
        inner: f32,
        turn: f32,
        petals: bool,
    },
}

impl Primitive {
    /// Signed distance, near enough to it close to the edge.
    pub(super) fn distance(&self, x: f32, y: f32) -> f32 {
        match *self {
            Primitive::Ellipse { x: cx, y: cy, rx, ry } => ellipse(x - cx, y - cy, rx, ry),
            Primitive::Dome { x: cx, y: cy, rx, ry } => ellipse(x - cx, y - cy, rx, ry).max(y - cy),
            Primitive::Ring { outer, inner } => {
                let r = (x * x + y * y).sqrt();
                (r - outer).max(inner - r)
            }
            Primitive::Slab { x: cx, y: cy, half_width, half_height, round } => {
                let dx = (x - cx).abs() - (half_width - round);
                let dy = (y - cy).abs() - (half_height - round);
                let (ox, oy) = (dx.max(0.0), dy.max(0.0));
                (ox * ox + oy * oy).sqrt() + dx.max(dy).min(0.0) - round
            }
            Primitive::Limb { ax, ay, bx, by, a, b } => {
                let (dx, dy) = (bx - ax, by - ay);
                let t = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).max(1e-6)).clamp(0.0, 1.0);
                let (ex, ey) = (x - ax - t * dx, y - ay - t * dy);
                (ex * ex + ey * ey).sqrt() - (a + t * (b - a))
            }
            Primitive::Quad(corners) => {
                let mut distance = f32::MIN;
                for i in 0..4 {
                    let (p, q) = (corners[i], corners[(i + 1) % 4]);
                    let (dx, dy) = (q.0 - p.0, q.1 - p.1);
                    let length = (dx * dx + dy * dy).sqrt();
                    if length > 1e-6 {
                        distance = distance.max(((x - p.0) * dy - (y - p.1) * dx) / length);
                    }
                }
                distance
            }
            Primitive::Star { x: cx, y: cy, points, outer, inner, turn, petals } => {
                let (x, y) = (x - cx, y - cy);
                let r = (x * x + y * y).sqrt();
                // Position within one point: 0 at its tip, 1 in the valley.
                let angle = (atan2f(y, x) - turn) * points / TAU;
                let fraction = ((angle - angle.floor()) * 2.0 - 1.0).abs();
                let valley = 1.0 - fraction;
                if petals {
                    let edge = inner + (outer - inner) * (1.0 - valley * valley * valley);
                    (r - edge) * 0.8
                } else {
                    // The straight edge from tip to valley, in polar form.
                    let theta = valley * PI / points;
                    let (px, py) = (r * cosf(theta), r * sinf(theta));
                    let end = PI / points;
                    let (qx, qy) = (inner * cosf(end), inner * sinf(end));
                    let (dx, dy) = (qx - outer, qy);
                    let length = (dx * dx + dy * dy).sqrt().max(1e-6);
                    ((px - outer) * dy - py * dx) / length
                }
            }
        }
    }
}

fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> f32 {
    let (ux, uy) = (x / rx, y / ry);
    let k = (ux * ux + uy * uy).sqrt();
    let (gx, gy) = (ux / rx, uy / ry);
    let slope = (gx * gx + gy * gy).sqrt();
    if slope < 1e-6 { -rx.min(ry) } else { k * (k - 1.0) / slope }
}

/// Largest turn of an object to either side; things that stand do not fall over.
pub(super) fn largest_turn(kind: usize) -> f32 {
    match kind {
        0 | 1 | 3 => PI,
        2 => 0.6,
        4 | 6 => 0.6,
        _ => 0.3,
    }
}

/// Builds an object of a kind, with proportions drawn anew.
pub(super) fn build(rng: &mut Rng, kind: usize) -> Vec<Part> {
    match kind {
        0 => ball(rng),
        1 => ring(rng),
        2 => cuboid(rng),
        3 => star(rng),
        4 => flower(rng),
        5 => mushroom(rng),
        6 => fish(rng),
        7 => tree(rng),
        8 => house(rng),
        _ => car(rng),
    }
}

fn soft(primitive: Primitive, ink: Ink) -> Part {
    Part { primitive, ink, relief: Relief::Soft }
}

fn flat(primitive: Primitive, ink: Ink) -> Part {
    Part { primitive, ink, relief: Relief::Flat }
}

fn ball(rng: &mut Rng) -> Vec<Part> {
    let sphere = |primitive, ink| Part { primitive, ink, relief: Relief::Sphere };
    let mut parts = vec![sphere(Primitive::Ellipse { x: 0.0, y: 0.0, rx: 0.95, ry: 0.95 }, Ink::Main)];
    match rng.below(4) {
        // A band, a spot, or the bare pattern.
        0 => {
            let half = rng.uniform(0.14, 0.3);
            let y = rng.uniform(-0.2, 0.2);
            let half_width = (0.9 - y * y).max(0.0).sqrt() - 0.02;
            parts.push(sphere(
                Primitive::Slab { x: 0.0, y, half_width, half_height: half, round: half * 0.9 },
                Ink::Second,
            ));
        }
        1 => {
            let (x, y, r) = (rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.uniform(0.25, 0.45));
            parts.push(sphere(Primitive::Ellipse { x, y, rx: r, ry: r }, Ink::Second));
        }
        _ => {}
    }
    parts
}

fn ring(rng: &mut Rng) -> Vec<Part> {
    let inner = rng.uniform(0.42, 0.70);
    let mut parts = vec![soft(Primitive::Ring { outer: 0.95, inner }, Ink::Main)];
    if rng.below(3) == 0 {
        // A stone, or the knot of a wreath.
        let r = rng.uniform(0.16, 0.28);
        parts.push(soft(Primitive::Ellipse { x: 0.0, y: -(0.95 + inner) / 2.0, rx: r, ry: r }, Ink::Second));
    }
    parts
}

fn cuboid(rng: &mut Rng) -> Vec<Part> {
    // Oblique projection: a front, a top and one side.
    let (w, h) = (rng.uniform(0.5, 0.68), rng.uniform(0.45, 0.66));
    let (mut dx, dy) = (rng.uniform(0.18, 0.42), rng.uniform(0.18, 0.38));
    if rng.below(2) == 0 {
        dx = -dx;
    }
    let (ox, oy) = (-dx / 2.0, dy / 2.0);
    let (left, right, top, bottom) = (ox - w, ox + w, oy - h, oy + h);
    let lid = Primitive::Quad([(left, top), (left + dx, top - dy), (right + dx, top - dy), (right, top)]);
    let side = if dx > 0.0 {
        Primitive::Quad([(right, top), (right + dx, top - dy), (right + dx, bottom - dy), (right, bottom)])
    } else {
        Primitive::Quad([(left + dx, top - dy), (left, top), (left, bottom), (left + dx, bottom - dy)])
    };
    let front = Primitive::Slab { x: ox, y: oy, half_width: w, half_height: h, round: 0.01 };
    let lid_ink = if rng.below(2) == 0 { Ink::Second } else { Ink::Main };
    let mut parts = vec![flat(lid, lid_ink), flat(side, Ink::Shade), flat(front, Ink::Main)];
    match rng.below(4) {
        // A ribbon, a label, or nothing.
        0 => parts.push(flat(
            Primitive::Slab { x: ox, y: oy, half_width: 0.12, half_height: h, round: 0.01 },
            Ink::Second,
        )),
        1 => {
            let (half_width, half_height) = (w * rng.uniform(0.35, 0.6), h * rng.uniform(0.2, 0.5));
            parts.push(flat(
                Primitive::Slab { x: ox, y: oy, half_width, half_height, round: 0.04 },
                Ink::Light,
            ));
        }
        _ => {}
    }
    parts
}

fn star(rng: &mut Rng) -> Vec<Part> {
    let points = (4 + rng.below(5)) as f32;
    let inner = rng.uniform(0.34, 0.52);
    let primitive = |outer: f32, inner: f32| Primitive::Star {
        x: 0.0,
        y: 0.0,
        points,
        outer,
        inner,
        turn: -PI / 2.0,
        petals: false,
    };
    let mut parts = vec![soft(primitive(0.98, inner), Ink::Main)];
    if rng.below(3) == 0 {
        parts.push(soft(primitive(0.6, inner * 0.6), Ink::Second));
    }
    parts
}

fn flower(rng: &mut Rng) -> Vec<Part> {
    let mut parts = Vec::new();
    let stem = rng.below(5) < 3;
    let (y, size) = if stem { (-0.32, rng.uniform(0.52, 0.64)) } else { (0.0, rng.uniform(0.85, 0.98)) };
    if stem {
        let bend = rng.uniform(-0.25, 0.25);
        parts
            .push(soft(Primitive::Limb { ax: 0.0, ay: y, bx: bend, by: 0.95, a: 0.06, b: 0.08 }, Ink::Shade));
        for side in [-1.0, 1.0] {
            if rng.below(3) != 0 {
                let (at, reach) = (rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.45));
                let ax = bend * at;
                parts.push(soft(
                    Primitive::Limb { ax, ay: at, bx: ax + side * reach, by: at - 0.2, a: 0.12, b: 0.03 },
                    Ink::Shade,
                ));
            }
        }
    }
    let points = (5 + rng.below(5)) as f32;
    let inner = size * rng.uniform(0.35, 0.6);
    let turn = TAU * rng.next_f32();
    parts
        .push(soft(Primitive::Star { x: 0.0, y, points, outer: size, inner, turn, petals: true }, Ink::Main));
    let heart = size * rng.uniform(0.22, 0.38);
    parts.push(soft(Primitive::Ellipse { x: 0.0, y, rx: heart, ry: heart }, Ink::Second));
    parts
}

fn mushroom(rng: &mut Rng) -> Vec<Part> {
    let (foot, top) = (rng.uniform(0.16, 0.34), rng.uniform(0.14, 0.28));
    let y = rng.uniform(-0.05, 0.25);
    let bend = rng.uniform(-0.12, 0.12);
    let stem_ink = if rng.below(3) == 0 { Ink::Second } else { Ink::Light };
    let mut parts = vec![soft(
        Primitive::Limb { ax: 0.0, ay: y - 0.1, bx: bend, by: 0.95 - foot, a: top, b: foot },
        stem_ink,
    )];
    let (rx, ry) = (rng.uniform(0.7, 0.97), rng.uniform(0.55, 0.95));
    parts.push(soft(Primitive::Dome { x: 0.0, y, rx, ry }, Ink::Main));
    if rng.below(3) != 0 {
        for i in 0..2 + rng.below(3) {
            let x = rx * (-0.55 + 0.5 * i as f32 + rng.uniform(-0.1, 0.1));
            let r = rng.uniform(0.09, 0.17);
            let at = y - ry * rng.uniform(0.22, 0.5);
            if ellipse(x, at - y, rx, ry) < -r {
                parts.push(flat(Primitive::Ellipse { x, y: at, rx: r, ry: r * 0.85 }, Ink::Second));
            }
        }
    }
    parts
}

fn fish(rng: &mut Rng) -> Vec<Part> {
    let ry = rng.uniform(0.30, 0.58);
    let rx = rng.uniform(0.58, 0.7);
    let x = -0.25;
    let tail = rng.uniform(0.28, 0.5);
    let start = x + rx * 0.8;
    let mut parts = vec![
        soft(Primitive::Quad([(start, 0.0), (0.95, -tail), (0.82, 0.0), (0.82, 0.0)]), Ink::Second),
        soft(Primitive::Quad([(start, 0.0), (0.82, 0.0), (0.95, tail), (0.95, tail)]), Ink::Second),
    ];
    let fin = ry + rng.uniform(0.12, 0.35);
    let back = rng.uniform(0.05, 0.35);
    parts.push(soft(
        Primitive::Quad([(x - 0.3, -ry * 0.7), (back, -fin), (0.2, -ry * 0.6), (0.2, -ry * 0.6)]),
        Ink::Second,
    ));
    if rng.below(2) == 0 {
        parts.push(soft(
            Primitive::Quad([(x - 0.1, ry * 0.7), (0.1, ry * 0.7), (0.15, fin), (0.15, fin)]),
            Ink::Second,
        ));
    }
    parts.push(soft(Primitive::Ellipse { x, y: 0.0, rx, ry }, Ink::Main));
    let (ex, ey, r) = (x - rx * 0.55, -ry * 0.25, rng.uniform(0.10, 0.15));
    parts.push(flat(Primitive::Ellipse { x: ex, y: ey, rx: r, ry: r }, Ink::Light));
    parts.push(flat(Primitive::Ellipse { x: ex - 0.02, y: ey, rx: r * 0.55, ry: r * 0.55 }, Ink::Dark));
    parts
}

fn tree(rng: &mut Rng) -> Vec<Part> {
    let width = rng.uniform(0.09, 0.17);
    let mut parts = vec![soft(
        Primitive::Limb { ax: 0.0, ay: -0.1, bx: 0.0, by: 0.9, a: width * 0.7, b: width },
        Ink::Second,
    )];
    match rng.below(3) {
        // A fir.
        0 => {
            let tiers = 2 + rng.below(2);
            let base = rng.uniform(0.5, 0.72);
            for i in (0..tiers).rev() {
                let t = i as f32 / tiers as f32;
                let (top, bottom) = (-0.98 + 0.9 * t, -0.98 + 0.9 * t + 1.5 / tiers as f32);
                let half = base * (0.55 + 0.45 * (i + 1) as f32 / tiers as f32);
                parts.push(soft(
                    Primitive::Quad([(0.0, top), (half, bottom), (-half, bottom), (-half, bottom)]),
                    Ink::Main,
                ));
            }
        }
        // A crown of several balls.
        1 => {
            let n = 4 + rng.below(3);
            let reach = rng.uniform(0.28, 0.42);
            for i in 0..n {
                let angle = TAU * i as f32 / n as f32 + rng.uniform(-0.3, 0.3);
                let (x, y) = (reach * cosf(angle), -0.35 + reach * 0.8 * sinf(angle));
                let r = rng.uniform(0.28, 0.4);
                parts.push(soft(Primitive::Ellipse { x, y, rx: r, ry: r }, Ink::Main));
            }
        }
        // A round or a slender crown.
        _ => {
            let (rx, ry) = (rng.uniform(0.34, 0.72), rng.uniform(0.52, 0.66));
            parts.push(soft(Primitive::Ellipse { x: 0.0, y: -0.34, rx, ry }, Ink::Main));
        }
    }
    parts
}

fn house(rng: &mut Rng) -> Vec<Part> {
    let half = rng.uniform(0.5, 0.74);
    let (eaves, top) = (rng.uniform(-0.25, 0.1), rng.uniform(-0.98, -0.7));
    let over = half + rng.uniform(0.05, 0.2);
    let mut parts = Vec::new();
    if rng.below(2) == 0 {
        let x = half * rng.uniform(0.4, 0.6) * if rng.below(2) == 0 { 1.0 } else { -1.0 };
        parts.push(flat(
            Primitive::Slab { x, y: (eaves + top) / 2.0, half_width: 0.1, half_height: 0.36, round: 0.01 },
            Ink::Shade,
        ));
    }
    let middle = (eaves + 0.85) / 2.0;
    parts.push(flat(
        Primitive::Slab { x: 0.0, y: middle, half_width: half, half_height: 0.85 - middle, round: 0.01 },
        Ink::Main,
    ));
    // A gable, or a roof seen from the side.
    let ridge = if rng.below(3) == 0 { rng.uniform(0.2, 0.5) } else { 0.0 };
    parts.push(flat(
        Primitive::Quad([(-ridge, top), (ridge, top), (over, eaves), (-over, eaves)]),
        Ink::Second,
    ));
    let door = rng.uniform(-0.35, 0.35) * half;
    let height = rng.uniform(0.18, 0.26);
    parts.push(flat(
        Primitive::Slab { x: door, y: 0.85 - height, half_width: 0.11, half_height: height, round: 0.02 },
        Ink::Dark,
    ));
    let pane_ink = if rng.below(2) == 0 { Ink::Light } else { Ink::Dark };
    for side in [-1.0, 1.0] {
        let x = side * half * 0.62;
        if (x - door).abs() > 0.26 {
            let size = rng.uniform(0.10, 0.15);
            let y = eaves + 0.28;
            parts.push(flat(
                Primitive::Slab { x, y, half_width: size, half_height: size, round: 0.01 },
                pane_ink,
            ));
        }
    }
    parts
}

fn car(rng: &mut Rng) -> Vec<Part> {
    let (y, height) = (rng.uniform(0.05, 0.15), rng.uniform(0.17, 0.26));
    let body =
        Primitive::Slab { x: 0.0, y, half_width: 0.95, half_height: height, round: rng.uniform(0.05, 0.16) };
    let sill = y - height + 0.03;
    let roof = sill - rng.uniform(0.28, 0.44);
    // A saloon, a coupe or a van, by where the cabin stands.
    let (left, right) = (rng.uniform(-0.85, -0.35), rng.uniform(0.2, 0.75));
    let (lean_left, lean_right) = (rng.uniform(0.05, 0.28), rng.uniform(0.05, 0.28));
    let cabin = |inset: f32| {
        Primitive::Quad([
            (left + lean_left + inset, roof + inset),
            (right - lean_right - inset, roof + inset),
            (right - inset, sill),
            (left + inset, sill),
        ])
    };
    let glass = if rng.below(3) == 0 { Ink::Dark } else { Ink::Light };
    let top = if rng.below(4) == 0 { Ink::Second } else { Ink::Main };
    let mut parts = vec![flat(cabin(0.0), top), flat(cabin(0.09), glass)];
    let pillar = (left + right) / 2.0 + rng.uniform(-0.1, 0.1);
    parts.push(flat(
        Primitive::Slab {
            x: pillar,
            y: (roof + sill) / 2.0,
            half_width: 0.045,
            half_height: (sill - roof) / 2.0,
            round: 0.0,
        },
        top,
    ));
    parts.push(soft(body, Ink::Main));
    let r = rng.uniform(0.19, 0.27);
    let spread = rng.uniform(0.48, 0.6);
    for x in [-spread, spread] {
        parts.push(flat(Primitive::Ellipse { x, y: y + height, rx: r, ry: r }, Ink::Dark));
        parts.push(flat(Primitive::Ellipse { x, y: y + height, rx: r * 0.45, ry: r * 0.45 }, Ink::Light));
    }
    parts
}
