//! Times the CS231n generators, a ResNet-18 encoder and a small one in every precision, with random weights: only the architectures count.
//!
//! `cargo bench -p latent-runtime --features std --bench native -- [seconds] [ops] [MODEL or PRECISION...]`
//! prints, for one and two threads, the least and the median time of a run at batch 1, and the rate at which weights
//! stream by; `ops` adds each operator's share. `ISA=scalar` (or another name) chooses the instruction set.

use std::error::Error;
use std::time::{Duration, Instant};

use latent_runtime::backend::Backend;
use latent_runtime::format::{
    Activation, Builder, Element, LayerSpec, ModelInfo, ModelKind, PlainBias, PlainWeights, Precision,
    ValueId, Window,
};
use latent_runtime::native::{NativeBackend, NativeOptions, instruction_set};
use latent_runtime::rng::Rng;

/// Random weights of a layer in some precision.
struct Random {
    rng: Rng,
    precision: Precision,
}

struct Layer {
    floats: Vec<f32>,
    int8: Vec<i8>,
    scales: Vec<f32>,
    bias: Vec<f32>,
    precision: Precision,
}

impl Random {
    fn layer(&mut self, weights: usize, inputs: usize, outputs: usize) -> Layer {
        let bound = (1.0 / inputs as f32).sqrt();
        let floats: Vec<f32> = (0..weights).map(|_| self.rng.uniform(-bound, bound)).collect();
        Layer {
            int8: floats.iter().map(|weight| (weight / bound * 127.0) as i8).collect(),
            scales: vec![bound / 127.0; outputs],
            bias: (0..outputs).map(|_| self.rng.uniform(-bound, bound)).collect(),
            floats,
            precision: self.precision,
        }
    }

    fn quantized(&self, scale: f32, zero_point: u8) -> Element {
        match self.precision {
            Precision::Int8 | Precision::Int4 => Element::U8 { scale, zero_point },
            _ => Element::F32,
        }
    }
}

impl Layer {
    fn spec(&self, activation: Activation, output: Element) -> LayerSpec<'_> {
        let weights = match self.precision {
            Precision::F32 => PlainWeights::F32(&self.floats),
            Precision::F16 => PlainWeights::F16(&self.floats),
            Precision::Bf16 => PlainWeights::Bf16(&self.floats),
            Precision::Int8 | Precision::Int4 => {
                PlainWeights::I8 { values: &self.int8, scales: &self.scales }
            }
        };
        LayerSpec { activation, output, ..LayerSpec::new(weights, PlainBias::F32(&self.bias)) }
    }
}

fn dense(
    builder: &mut Builder,
    random: &mut Random,
    input: ValueId,
    outputs: usize,
    activation: Activation,
    output: Element,
) -> Result<ValueId, Box<dyn Error>> {
    let inputs: usize = builder.extents(input).iter().product();
    let layer = random.layer(inputs * outputs, inputs, outputs);
    Ok(builder.fully_connected(&format!("fc{outputs}"), input, layer.spec(activation, output))?)
}

fn vanilla(precision: Precision) -> Result<Vec<u8>, Box<dyn Error>> {
    let info = ModelInfo { kind: ModelKind::Generator, precision, latent_size: 96, ..Default::default() };
    let (mut builder, mut random) = (Builder::new(info), Random { rng: Rng::from_seed(1), precision });
    let hidden = random.quantized(0.02, 0);
    let z = builder.input("z", &[96], random.quantized(1.0 / 128.0, 128))?;
    let a = dense(&mut builder, &mut random, z, 1024, Activation::Relu, hidden)?;
    let b = dense(&mut builder, &mut random, a, 1024, Activation::Relu, hidden)?;
    let image = dense(&mut builder, &mut random, b, 784, Activation::Tanh, Element::F32)?;
    builder.output(image, "image", &[1, 28, 28])?;
    Ok(builder.finish()?)
}

fn dcgan(precision: Precision) -> Result<Vec<u8>, Box<dyn Error>> {
    let info = ModelInfo { kind: ModelKind::Generator, precision, latent_size: 96, ..Default::default() };
    let (mut builder, mut random) = (Builder::new(info), Random { rng: Rng::from_seed(1), precision });
    let hidden = random.quantized(0.02, 0);
    let normalized = random.quantized(0.03, 120);
    let z = builder.input("z", &[96], random.quantized(1.0 / 128.0, 128))?;
    let a = dense(&mut builder, &mut random, z, 1024, Activation::Relu, hidden)?;
    let layer = random.layer(1024 * 6272, 1024, 6272);
    let affine = [vec![1.5; 6272], vec![-0.3; 6272]];
    let mut spec = layer.spec(Activation::Relu, normalized);
    spec.after = Some((&affine[0], &affine[1]));
    let b = builder.fully_connected("fc6272", a, spec)?;
    let b = builder.reshape("image", b, [128, 7, 7])?;
    let layer = random.layer(128 * 64 * 16, 128 * 16, 64);
    let mut spec = layer.spec(Activation::Relu, normalized);
    spec.after = Some((&affine[0][..64], &affine[1][..64]));
    let c = builder.transposed("up1", b, Window::square(4, 2, 1), [14, 14], 1, spec)?;
    let layer = random.layer(64 * 16, 64 * 16, 1);
    let spec = layer.spec(Activation::Tanh, Element::F32);
    let image = builder.transposed("up2", c, Window::square(4, 2, 1), [28, 28], 1, spec)?;
    builder.output(image, "image", &[1, 28, 28])?;
    Ok(builder.finish()?)
}

/// A convolution with BatchNorm folded and ReLU, with a residual or without.
fn convolution(
    builder: &mut Builder,
    random: &mut Random,
    input: ValueId,
    (outputs, kernel, stride): (usize, usize, usize),
    residual: Option<ValueId>,
    activation: Activation,
) -> Result<ValueId, Box<dyn Error>> {
    let inputs = builder.extents(input)[0];
    let layer = random.layer(outputs * inputs * kernel * kernel, inputs * kernel * kernel, outputs);
    let mut spec =
        layer.spec(activation, random.quantized(0.02, if activation == Activation::Relu { 0 } else { 128 }));
    spec.residual = residual;
    let window = Window::square(kernel, stride, kernel / 2);
    Ok(builder.convolution(&format!("conv{kernel} {inputs}-{outputs}"), input, window, 1, spec)?)
}

/// A residual network of basic blocks with a 3x3 stem, for 32 x 32 images: (channels, blocks) of each stage.
fn resnet(precision: Precision, stages: &[(usize, usize)]) -> Result<Vec<u8>, Box<dyn Error>> {
    let info = ModelInfo { kind: ModelKind::Encoder, precision, ..Default::default() };
    let (mut builder, mut random) = (Builder::new(info), Random { rng: Rng::from_seed(1), precision });
    let image = builder.input("image", &[3, 32, 32], random.quantized(1.0 / 64.0, 128))?;
    let mut x = convolution(&mut builder, &mut random, image, (stages[0].0, 3, 1), None, Activation::Relu)?;
    for (stage, &(channels, blocks)) in stages.iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let mut shortcut = x;
            if stride != 1 || builder.extents(x)[0] != channels {
                let form = (channels, 1, stride);
                shortcut = convolution(&mut builder, &mut random, x, form, None, Activation::Identity)?;
                // The shortcut has the type of the block's output.
            }
            let a = convolution(&mut builder, &mut random, x, (channels, 3, stride), None, Activation::Relu)?;
            x = convolution(
                &mut builder,
                &mut random,
                a,
                (channels, 3, 1),
                Some(shortcut),
                Activation::Relu,
            )?;
        }
    }
    let h = builder.global_average_pool("pool", x, Element::F32)?;
    let shape = [builder.extents(h)[0]];
    builder.output(h, "h", &shape)?;
    Ok(builder.finish()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(0.5), |seconds| seconds.parse())?;
    let mut wanted: Vec<String> = arguments.collect();
    let operators = wanted.iter().any(|word| word == "ops");
    wanted.retain(|word| word != "ops");
    println!("{}", instruction_set());
    for precision in [Precision::Int8, Precision::F16, Precision::Bf16, Precision::F32] {
        let models = [
            ("vanilla", vanilla(precision)?),
            ("dcgan", dcgan(precision)?),
            ("resnet18", resnet(precision, &[(64, 2), (128, 2), (256, 2), (512, 2)])?),
            ("small", resnet(precision, &[(32, 1), (64, 1), (128, 1), (256, 1)])?),
        ];
        for (name, bytes) in models {
            let named = |names: &[&str], name| {
                let mut asked = wanted.iter().filter(|word| names.contains(&word.as_str())).peekable();
                asked.peek().is_none() || asked.any(|word| word == name)
            };
            if !named(&["vanilla", "dcgan", "resnet18", "small"], name)
                || !named(&["int8", "f16", "bf16", "f32"], precision.name())
            {
                continue;
            }
            for threads in [1, 2] {
                let options = NativeOptions { threads, instruction_set: std::env::var("ISA").ok() };
                let path = std::env::temp_dir().join(format!("bench.{}.lat", std::process::id()));
                std::fs::write(&path, &bytes)?;
                let began = Instant::now();
                let mut backend = NativeBackend::load(&path, &options)?;
                std::fs::remove_file(&path)?;
                let (input, mut output) =
                    (vec![0.5; backend.input().values()], vec![0.0; backend.output().values()]);
                backend.run(1, &input, &mut output)?;
                let load = began.elapsed();
                let mut times = Vec::new();
                let mut shares: Vec<(String, Duration)> = Vec::new();
                let began = Instant::now();
                while began.elapsed().as_secs_f64() < seconds {
                    let start = Instant::now();
                    if operators {
                        for (index, timing) in
                            backend.run_timed(1, &[&input], &mut [&mut output])?.into_iter().enumerate()
                        {
                            match shares.get_mut(index) {
                                Some((_, least)) => *least = timing.time.min(*least),
                                None => shares.push((timing.name, timing.time)),
                            }
                        }
                    } else {
                        backend.run(1, &input, &mut output)?;
                    }
                    times.push(start.elapsed());
                }
                times.sort();
                let micros = |time: Duration| time.as_secs_f64() * 1e6;
                let (least, median) = (micros(times[0]), micros(times[times.len() / 2]));
                println!(
                    "{name:8} {:5} {threads} threads: least {least:7.1} us, median {median:7.1} us, {:6.1} GB/s, {:.2} ms from the file to the first output",
                    precision.name(),
                    backend.model().data_len() as f64 / median / 1e3,
                    load.as_secs_f64() * 1e3,
                );
                for (name, least) in shares {
                    println!("    {name:16} {:7.2} us", micros(least));
                }
            }
        }
    }
    Ok(())
}
