//! A scalar evaluation in f64, written from the operators' ONNX definitions, for the operators of [`super::models`].

use std::collections::HashMap;

use latent_runtime::onnx::proto::tensor_proto::DataType;
use latent_runtime::onnx::proto::{ModelProto, NodeProto, TensorProto};

#[derive(Clone, Debug)]
struct Tensor {
    shape: Vec<usize>,
    data: Vec<f64>,
}

impl Tensor {
    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|&x| f(x)).collect() }
    }

    fn new(shape: &[usize], f: impl Fn(&[usize]) -> f64) -> Self {
        let count: usize = shape.iter().product();
        let mut index = vec![0; shape.len()];
        let data = (0..count)
            .map(|flat| {
                let mut rest = flat;
                for axis in (0..shape.len()).rev() {
                    index[axis] = rest % shape[axis];
                    rest /= shape[axis];
                }
                f(&index)
            })
            .collect();
        Self { shape: shape.to_vec(), data }
    }

    fn at(&self, index: &[usize]) -> f64 {
        self.data[index.iter().zip(&self.shape).fold(0, |flat, (i, size)| flat * size + i)]
    }
}

/// Runs a model on `batch` examples.
pub fn evaluate(model: &ModelProto, batch: usize, input: &[f32]) -> Vec<f32> {
    let graph = model.graph.as_ref().unwrap();
    let mut values: HashMap<&str, Tensor> =
        graph.initializer.iter().map(|t| (t.name.as_str(), read(t))).collect();
    let per_example = input.len() / batch;
    let shape = match &latent_runtime::onnx::graph_inputs(graph)[0].shape {
        Some(shape) if shape.len() == 4 => {
            let sizes: Vec<usize> = shape[1..].iter().map(|d| d.to_string().parse().unwrap()).collect();
            vec![batch, sizes[0], sizes[1], sizes[2]]
        }
        _ => vec![batch, per_example],
    };
    let input = Tensor { shape, data: input.iter().map(|&x| f64::from(x)).collect() };
    values.insert(&graph.input[0].name, input);
    for node in &graph.node {
        let inputs: Vec<&Tensor> = node.input.iter().map(|name| &values[name.as_str()]).collect();
        let output = run(node, &inputs);
        values.insert(&node.output[0], output);
    }
    values[graph.output[0].name.as_str()].data.iter().map(|&x| x as f32).collect()
}

fn read(tensor: &TensorProto) -> Tensor {
    let data = if tensor.data_type == DataType::Int64 as i32 {
        tensor.int64_data.iter().map(|&x| x as f64).collect()
    } else {
        let floats = tensor.raw_data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        floats.map(f64::from).collect()
    };
    Tensor { shape: tensor.dims.iter().map(|&d| d as usize).collect(), data }
}

fn run(node: &NodeProto, inputs: &[&Tensor]) -> Tensor {
    let x = inputs[0];
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
    match node.op_type.as_str() {
        "Relu" => x.map(|x| x.max(0.0)),
        "LeakyRelu" => {
            let alpha = f64::from(attribute("alpha").unwrap().f);
            x.map(|x| if x < 0.0 { alpha * x } else { x })
        }
        "Tanh" => x.map(f64::tanh),
        "Gemm" => {
            assert_eq!(attribute("transB").unwrap().i, 1);
            let (w, b) = (inputs[1], inputs[2]);
            Tensor::new(&[x.shape[0], w.shape[0]], |i| {
                b.data[i[1]] + (0..w.shape[1]).map(|k| x.at(&[i[0], k]) * w.at(&[i[1], k])).sum::<f64>()
            })
        }
        "Flatten" => Tensor { shape: vec![x.shape[0], x.shape[1..].iter().product()], data: x.data.clone() },
        "Reshape" => {
            let mut shape = vec![x.shape[0]];
            shape.extend(inputs[1].data[1..].iter().map(|&size| size as usize));
            Tensor { shape, data: x.data.clone() }
        }
        "BatchNormalization" => {
            let eps = f64::from(attribute("epsilon").unwrap().f);
            let [scale, shift, mean, var] = [1, 2, 3, 4].map(|i| &inputs[i].data);
            Tensor::new(&x.shape, |i| {
                let c = i[1];
                (x.at(i) - mean[c]) / (var[c] + eps).sqrt() * scale[c] + shift[c]
            })
        }
        "Conv" => {
            let (w, b) = (inputs[1], inputs[2]);
            let shape = [x.shape[0], w.shape[0], x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1];
            Tensor::new(&shape, |i| {
                let mut sum = b.data[i[1]];
                for c in 0..w.shape[1] {
                    for (r, s) in pairs(w.shape[2], w.shape[3]) {
                        sum += x.at(&[i[0], c, i[2] + r, i[3] + s]) * w.at(&[i[1], c, r, s]);
                    }
                }
                sum
            })
        }
        "ConvTranspose" => {
            // Each input value adds its weighted kernel to the output: row = 2 * input row + kernel row - 1.
            let (w, b) = (inputs[1], inputs[2]);
            let [n, channels, height, width] = [x.shape[0], w.shape[1], x.shape[2] * 2, x.shape[3] * 2];
            let mut out = Tensor::new(&[n, channels, height, width], |i| b.data[i[1]]);
            for example in 0..n {
                for (from, to) in pairs(w.shape[0], channels) {
                    for (y, z) in pairs(x.shape[2], x.shape[3]) {
                        for (r, s) in pairs(4, 4) {
                            let (Some(row), Some(column)) =
                                ((2 * y + r).checked_sub(1), (2 * z + s).checked_sub(1))
                            else {
                                continue;
                            };
                            if row < height && column < width {
                                let flat = ((example * channels + to) * height + row) * width + column;
                                out.data[flat] += x.at(&[example, from, y, z]) * w.at(&[from, to, r, s]);
                            }
                        }
                    }
                }
            }
            out
        }
        "MaxPool" => {
            let shape = [x.shape[0], x.shape[1], x.shape[2] / 2, x.shape[3] / 2];
            Tensor::new(&shape, |i| {
                pairs(2, 2)
                    .map(|(r, s)| x.at(&[i[0], i[1], 2 * i[2] + r, 2 * i[3] + s]))
                    .fold(f64::MIN, f64::max)
            })
        }
        op => panic!("the reference does not know {op}"),
    }
}

fn pairs(a: usize, b: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..a).flat_map(move |i| (0..b).map(move |j| (i, j)))
}
