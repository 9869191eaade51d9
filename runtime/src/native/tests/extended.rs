//! The operators of the feature `extended-operators`, by their definitions in f64.

use super::*;

fn function(function: Function, expected: impl Fn(f64) -> f64 + 'static) -> (Make, Expect) {
    let make: Make = Box::new(move |b, x, e| b.function("f", x, function, e).unwrap());
    (make, Box::new(move |t| t.map(|_, x| expected(x))))
}

/// The function of `scale * x + shift`, for those that are not defined everywhere; x is between -1.75 and 2.
fn of(
    (scale, shift): (f32, f32),
    function: Function,
    expected: impl Fn(f64) -> f64 + 'static,
) -> (Make, Expect) {
    let make: Make = Box::new(move |b, x, e| {
        let (scale, shift) = ([scale; 4], [shift; 4]);
        let identity = Activation::Identity;
        let x = b.elementwise("up", x, Some((&scale, &shift)), identity, None, Element::F32).unwrap();
        b.function("f", x, function, e).unwrap()
    });
    (make, Box::new(move |t| t.map(|_, x| expected(f64::from(scale) * x + f64::from(shift)))))
}

/// The function of a value between 1/4 and 4.
fn of_positive(function: Function, expected: impl Fn(f64) -> f64 + 'static) -> (Make, Expect) {
    of((1.0, 2.0), function, expected)
}

/// `a op b` with the numbers of a constant that is spread over the input.
fn spread(
    binary: Binary,
    extents: [usize; 3],
    expected: impl Fn(f64, f64) -> f64 + 'static,
) -> (Make, Expect) {
    let count: usize = extents.iter().product();
    let values: Vec<f32> = (0..count).map(|n| 0.5 + n as f32 / count as f32).collect();
    let constant = values.clone();
    let make: Make = Box::new(move |b, x, e| {
        let constant = b.constant("numbers", &constant, extents).unwrap();
        b.binary("op", binary, x, constant, Activation::Identity, e).unwrap()
    });
    let expect: Expect = Box::new(move |t| {
        let [_, rows, columns] = extents;
        let at = |n: usize, at: usize| if extents[n] == 1 { 0 } else { at };
        Tensor::new(t.shape, |c, y, x| {
            let other = values[(at(0, c) * rows + at(1, y)) * columns + at(2, x)];
            expected(t.at(c, y as isize, x as isize), other.into())
        })
    });
    (make, expect)
}

/// The elements of the block that holds an element.
fn block_of(t: &Tensor, block: [usize; 3], at: [usize; 3]) -> Vec<f64> {
    let first = [0, 1, 2].map(|n| at[n] / block[n] * block[n]);
    let inside =
        Tensor::new(block, |c, y, x| t.at(first[0] + c, (first[1] + y) as isize, (first[2] + x) as isize));
    inside.data
}

fn normalize(kind: NormalizeKind, block: [usize; 3], epsilon: f32) -> (Make, Expect) {
    let make: Make =
        Box::new(move |b, x, e| b.normalize("norm", x, Normalize { kind, block, epsilon }, e).unwrap());
    let expect: Expect = Box::new(move |t| {
        Tensor::new(t.shape, |c, y, x| {
            let (value, all) = (t.at(c, y as isize, x as isize), block_of(t, block, [c, y, x]));
            let (count, epsilon) = (all.len() as f64, f64::from(epsilon));
            let squares: f64 = all.iter().map(|x| x * x).sum();
            let mean = all.iter().sum::<f64>() / count;
            match kind {
                NormalizeKind::Softmax => value.exp() / all.iter().map(|x| x.exp()).sum::<f64>(),
                NormalizeKind::Euclidean => value / squares.sqrt().max(epsilon),
                NormalizeKind::Absolute => value / all.iter().map(|x| x.abs()).sum::<f64>().max(epsilon),
                NormalizeKind::Standardize => {
                    let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                    (value - mean) / (variance + epsilon).sqrt()
                }
                NormalizeKind::RootMeanSquare => value / (squares / count + epsilon).sqrt(),
            }
        })
    });
    (make, expect)
}

fn reduce(kind: ReduceKind, block: [usize; 3]) -> (Make, Expect) {
    let make: Make = Box::new(move |b, x, e| b.reduce("reduce", x, Reduce { kind, block }, e).unwrap());
    let expect: Expect = Box::new(move |t| {
        let shape = [0, 1, 2].map(|n| t.shape[n] / block[n]);
        Tensor::new(shape, |c, y, x| {
            let all = block_of(t, block, [c * block[0], y * block[1], x * block[2]]);
            let sum: f64 = all.iter().sum();
            match kind {
                ReduceKind::Mean => sum / all.len() as f64,
                ReduceKind::Sum => sum,
                ReduceKind::Maximum => all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                ReduceKind::Minimum => all.iter().copied().fold(f64::INFINITY, f64::min),
                ReduceKind::Euclidean => all.iter().map(|x| x * x).sum::<f64>().sqrt(),
                ReduceKind::Absolute => all.iter().map(|x| x.abs()).sum(),
            }
        })
    });
    (make, expect)
}

/// Axes as pairs of extent and stride.
fn view(start: usize, axes: &'static [(usize, isize)], shape: [usize; 3]) -> (Make, Expect) {
    let make: Make = Box::new(move |b, x, e| {
        let axes: Vec<ViewAxis> = axes.iter().map(|&(extent, stride)| ViewAxis { extent, stride }).collect();
        let y = b.view("view", x, View::new(start, &axes).unwrap(), shape).unwrap();
        b.elementwise("f", y, None, Activation::Identity, None, e).unwrap()
    });
    let expect: Expect = Box::new(move |t| {
        let mut places = vec![start as isize];
        for (extent, stride) in axes {
            places = places
                .iter()
                .flat_map(|place| (0..*extent).map(move |n| place + n as isize * stride))
                .collect();
        }
        Tensor { shape, data: places.into_iter().map(|place| t.data[place as usize]).collect() }
    });
    (make, expect)
}

/// The product of an input with itself in another view, (channels of it, columns, rows).
fn product(channels: usize) -> (Make, Expect) {
    let make: Make = Box::new(move |b, x, e| {
        let [_, rows, columns] = b.extents(x);
        let axis = |extent, stride| ViewAxis { extent, stride };
        let plane = (rows * columns) as isize;
        let axes = [axis(channels, plane), axis(columns, 1), axis(rows, columns as isize)];
        let turned = b.view("turned", x, View::new(0, &axes).unwrap(), [channels, columns, rows]).unwrap();
        b.product("product", x, turned, e).unwrap()
    });
    let expect: Expect = Box::new(move |t| {
        let [c, rows, columns] = t.shape;
        Tensor::new([c, rows, rows], |c, y, x| {
            let other = if channels == 1 { 0 } else { c };
            (0..columns as isize).map(|k| t.at(c, y as isize, k) * t.at(other, x as isize, k)).sum()
        })
    });
    (make, expect)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |name, shape, (make, expect): (Make, Expect)| cases.push((name, shape, make, expect));
    let softplus = |x: f64| x.exp().ln_1p();
    // Abramowitz and Stegun 7.1.5: the series, exact enough for |x| below 2.
    let erf = |x: f64| {
        let mut term = x;
        let mut sum = x;
        for n in 1..60 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    };
    let gelu_tanh =
        |x: f64| 0.5 * x * (1.0 + (std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044715 * x.powi(3))).tanh());
    let elu = Function::Elu { alpha: 0.75 };
    add("elu", [19, 3, 3], function(elu, |x| if x < 0.0 { 0.75 * x.exp_m1() } else { x }));
    let gelu = move |x: f64| 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
    add("gelu", [19, 3, 3], function(Function::Gelu, gelu));
    add("gelu tanh", [4, 3, 3], function(Function::GeluTanh, gelu_tanh));
    add("softplus", [4, 3, 3], function(Function::Softplus, softplus));
    add("mish", [4, 3, 3], function(Function::Mish, move |x| x * softplus(x).tanh()));
    add("erf", [4, 3, 3], function(Function::Erf, erf));
    add("exp", [4, 3, 3], function(Function::Exp, f64::exp));
    add("log", [4, 3, 3], of_positive(Function::Log, f64::ln));
    add("sqrt", [4, 3, 3], of_positive(Function::Sqrt, f64::sqrt));
    add("reciprocal", [4, 3, 3], of_positive(Function::Reciprocal, f64::recip));
    add("square", [4, 3, 3], function(Function::Power { exponent: 2.0 }, |x| x * x));
    add("power", [4, 3, 3], of_positive(Function::Power { exponent: -0.5 }, |x| x.powf(-0.5)));
    add("absolute", [4, 3, 3], function(Function::Absolute, f64::abs));
    add("sine", [4, 3, 3], function(Function::Sin, f64::sin));
    add("cosine", [4, 3, 3], function(Function::Cos, f64::cos));
    add("tangent", [4, 3, 3], of((0.5, 0.0), Function::Tan, f64::tan));
    add("arcsine", [4, 3, 3], of((0.5, 0.0), Function::Asin, f64::asin));
    add("arccosine", [4, 3, 3], of((0.5, 0.0), Function::Acos, f64::acos));
    add("arctangent", [4, 3, 3], function(Function::Atan, f64::atan));
    add("hyperbolic sine", [4, 3, 3], function(Function::Sinh, f64::sinh));
    add("hyperbolic cosine", [4, 3, 3], function(Function::Cosh, f64::cosh));
    add("its inverse", [4, 3, 3], of((1.0, 3.0), Function::Acosh, f64::acosh));
    add("inverse hyperbolic sine", [4, 3, 3], function(Function::Asinh, f64::asinh));
    add("inverse hyperbolic tangent", [4, 3, 3], of((0.25, 0.0), Function::Atanh, f64::atanh));
    add("floor", [4, 3, 3], function(Function::Floor, f64::floor));
    add("ceil", [4, 3, 3], function(Function::Ceil, f64::ceil));
    add("round", [4, 3, 3], function(Function::Round, f64::round_ties_even));
    let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
    add("sign", [4, 3, 3], function(Function::Sign, sign));
    add("add a mask", [7, 3, 2], spread(Binary::Add, [1, 3, 2], |a, b| a + b));
    add("multiply by a row", [7, 3, 2], spread(Binary::Multiply, [1, 1, 2], |a, b| a * b));
    add("subtract numbers", [7, 3, 2], spread(Binary::Subtract, [7, 3, 2], |a, b| a - b));
    add("divide by pixels", [7, 3, 2], spread(Binary::Divide, [7, 1, 1], |a, b| a / b));
    add("maximum", [7, 3, 2], spread(Binary::Maximum, [7, 3, 1], f64::max));
    add("minimum", [7, 3, 2], spread(Binary::Minimum, [1, 1, 1], f64::min));
    add("prelu", [7, 3, 2], spread(Binary::Prelu, [7, 1, 1], |a, b| if a > 0.0 { a } else { a * b }));
    for (name, kind) in [
        ("softmax of blocks", NormalizeKind::Softmax),
        ("l2 of blocks", NormalizeKind::Euclidean),
        ("l1 of blocks", NormalizeKind::Absolute),
        ("standardize", NormalizeKind::Standardize),
        ("root mean square", NormalizeKind::RootMeanSquare),
    ] {
        for block in [[1, 4, 6], [3, 4, 6], [6, 1, 1], [1, 1, 6], [2, 2, 3], [6, 4, 6]] {
            add(name, [6, 4, 6], normalize(kind, block, 1e-5));
        }
    }
    for (name, kind) in [
        ("mean", ReduceKind::Mean),
        ("sum", ReduceKind::Sum),
        ("greatest", ReduceKind::Maximum),
        ("least", ReduceKind::Minimum),
        ("l2 norm", ReduceKind::Euclidean),
        ("l1 norm", ReduceKind::Absolute),
    ] {
        for block in [[6, 1, 1], [1, 4, 1], [1, 1, 6], [3, 2, 2], [6, 4, 6]] {
            add(name, [6, 4, 6], reduce(kind, block));
        }
    }
    add("view: channels last", [5, 3, 4], view(0, &[(3, 4), (4, 1), (5, 12)], [3, 4, 5]));
    add("view: columns backwards", [5, 3, 4], view(3, &[(15, 4), (4, -1)], [5, 3, 4]));
    add("view: every other channel", [6, 3, 2], view(6, &[(3, 12), (6, 1)], [3, 3, 2]));
    add("view: a part", [5, 4, 6], view(24 + 6 + 2, &[(2, 24), (3, 6), (4, 1)], [2, 3, 4]));
    add("view: channels shuffled", [6, 2, 2], view(0, &[(3, 4), (2, 12), (4, 1)], [6, 2, 2]));
    add("view: depth to space", [8, 3, 2], view(0, &[(2, 24), (3, 2), (2, 12), (2, 1), (2, 6)], [2, 6, 4]));
    add("view: repeated", [3, 1, 4], view(0, &[(3, 4), (5, 0), (4, 1)], [3, 5, 4]));
    add("view: across rows", [3, 4, 5], view(2, &[(7, 7)], [7, 1, 1]));
    add("view: a vector", [12, 1, 1], view(11, &[(12, -1)], [3, 2, 2]));
    add("product", [3, 4, 5], product(3));
    add("product with one", [3, 4, 5], product(1));
    let cubic = |scale: f32, output: usize| {
        let resize = Resize {
            step: [1.0 / scale; 2],
            coordinates: Coordinates::HalfPixel,
            interpolation: Interpolation::Cubic { a: -0.75 },
        };
        let make: Make = Box::new(move |b, x, e| b.resize("cubic", x, [output; 2], resize, e).unwrap());
        let kernel = |x: f64| match x.abs() {
            x if x <= 1.0 => 1.25 * x.powi(3) - 2.25 * x * x + 1.0,
            x if x < 2.0 => -0.75 * x.powi(3) + 3.75 * x * x - 6.0 * x + 3.0,
            _ => 0.0,
        };
        let expect: Expect = Box::new(move |t| {
            Tensor::new([t.shape[0], output, output], |c, y, x| {
                let place = |at: usize| (at as f64 + 0.5) / f64::from(scale) - 0.5;
                let (y, x) = (place(y), place(x));
                let clamp = |at: isize, n: usize| at.clamp(0, t.shape[n] as isize - 1);
                let mut sum = 0.0;
                for dy in -3..12 {
                    for dx in -3..12 {
                        let weight = kernel(y - dy as f64) * kernel(x - dx as f64);
                        sum += weight * t.at(c, clamp(dy, 1), clamp(dx, 2));
                    }
                }
                sum
            })
        });
        (make, expect)
    };
    add("resize cubic", [3, 4, 4], cubic(2.0, 8));
    add("resize cubic down", [3, 6, 6], cubic(0.5, 3));
    add("one-hot", [3, 1, 2], {
        let make: Make = Box::new(|b, x, e| b.one_hot("one-hot", x, 4, e).unwrap());
        let expect: Expect = Box::new(|t| {
            Tensor::new([6, 1, 4], |c, _, x| f64::from(u8::from(t.data[c].round_ties_even() == x as f64)))
        });
        (make, expect)
    });
    cases
}
