//! Networks as lists of layers, each layer named by its place in the equivalent `torch.nn.Sequential`.

use serde::{Deserialize, Serialize};

use super::describe::within;
use super::{Architecture, Projection, Stage};

/// Learned values of a network at most: 4 GB of them.
pub const MAX_PARAMETERS: u64 = 1 << 30;
/// Channels and values in a row at most.
const MAX_WIDTH: usize = 1 << 30;
/// Sides of kernels, strides and paddings at most.
const MAX_KERNEL: usize = 63;

/// One layer, under PyTorch's name. Its tensors are called after its place: `3.weight`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Layer {
    /// (C, H, W) to (C·H·W).
    Flatten,
    /// (C·H·W) to (C, H, W); images may have that shape already.
    Unflatten {
        /// Channels, height and width.
        shape: [usize; 3],
    },
    /// y = W x + b; `weight` is (outputs, inputs).
    Linear {
        /// Values that come in.
        inputs: usize,
        /// Values that go out.
        outputs: usize,
        /// Whether there is a `bias`.
        bias: bool,
    },
    /// Convolution; `weight` is (outputs, inputs, kernel, kernel).
    Conv2d(Conv),
    /// Transposed convolution; `weight` is (inputs, outputs, kernel, kernel).
    ConvTranspose2d(Conv),
    /// Batch normalization with PyTorch's epsilon, 1e-5.
    BatchNorm {
        /// Channels, or values of a row.
        features: usize,
    },
    /// max(x, 0).
    #[serde(rename = "ReLU")]
    Relu,
    /// x if positive, else `slope` x.
    #[serde(rename = "LeakyReLU")]
    LeakyRelu {
        /// The slope below zero.
        slope: f32,
    },
    /// tanh.
    Tanh,
    /// The maximum of squares that do not overlap; a rest at the border is dropped.
    MaxPool2d {
        /// Side of the square.
        kernel: usize,
    },
    /// Residual blocks at one resolution, torchvision's `layer1` and so on; tensors `3.0.conv1.weight`, ...
    ResidualBlocks(Stage),
    /// The mean of each channel.
    #[serde(rename = "AdaptiveAvgPool2d")]
    GlobalAvgPool,
}

/// The shape of a square convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv {
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros at each border.
    pub padding: usize,
    /// Whether there is a `bias`.
    pub bias: bool,
}

impl Layer {
    /// Its name in messages: that of PyTorch.
    pub fn name(&self) -> &'static str {
        match self {
            Layer::Flatten => "Flatten",
            Layer::Unflatten { .. } => "Unflatten",
            Layer::Linear { .. } => "Linear",
            Layer::Conv2d(_) => "Conv2d",
            Layer::ConvTranspose2d(_) => "ConvTranspose2d",
            Layer::BatchNorm { .. } => "BatchNorm",
            Layer::Relu => "ReLU",
            Layer::LeakyRelu { .. } => "LeakyReLU",
            Layer::Tanh => "Tanh",
            Layer::MaxPool2d { .. } => "MaxPool2d",
            Layer::ResidualBlocks(_) => "ResidualBlocks",
            Layer::GlobalAvgPool => "AdaptiveAvgPool2d",
        }
    }

    /// Learned values: weights, biases, and BatchNorm's scale and shift.
    fn parameters(&self, input: &[usize]) -> u64 {
        match self {
            Layer::Linear { inputs, outputs, bias } => {
                product(&[*inputs, *outputs]).saturating_add(if *bias { *outputs as u64 } else { 0 })
            }
            Layer::Conv2d(conv) | Layer::ConvTranspose2d(conv) => {
                product(&[conv.inputs, conv.outputs, conv.kernel, conv.kernel]).saturating_add(if conv.bias {
                    conv.outputs as u64
                } else {
                    0
                })
            }
            Layer::BatchNorm { features } => 2 * *features as u64,
            Layer::ResidualBlocks(stage) => stage.parameters(input.first().copied().unwrap_or(0)),
            _ => 0,
        }
    }

    /// Checks every size, and gives the shape of the output for one example of shape `input`, without the batch axis.
    fn output(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let refuse = |expected: &str| Err(format!("is given {input:?}, expected {expected}"));
        match self {
            Layer::Flatten => match usize::try_from(product(input)) {
                Ok(values) if values <= MAX_WIDTH => Ok(vec![values]),
                _ => refuse(&format!("at most {MAX_WIDTH} values")),
            },
            Layer::Unflatten { shape } => {
                for length in shape {
                    within("a length of its shape", *length, MAX_WIDTH)?;
                }
                if product(input) != product(shape) {
                    return refuse(&format!("as many values as {shape:?} has"));
                }
                Ok(shape.to_vec())
            }
            Layer::Linear { inputs, outputs, .. } => {
                within("the number of its inputs", *inputs, MAX_WIDTH)?;
                within("the number of its outputs", *outputs, MAX_WIDTH)?;
                if input != [*inputs] { refuse(&format!("[{inputs}]")) } else { Ok(vec![*outputs]) }
            }
            Layer::Conv2d(conv) => {
                let [height, width] = conv.plane(input)?;
                let after = |side: usize| {
                    let padded = side + 2 * conv.padding;
                    padded.checked_sub(conv.kernel).map(|rest| rest / conv.stride + 1)
                };
                match (after(height), after(width)) {
                    (Some(height), Some(width)) => Ok(vec![conv.outputs, height, width]),
                    _ => refuse(&format!("images of at least {0}x{0}", conv.kernel)),
                }
            }
            Layer::ConvTranspose2d(conv) => {
                let [height, width] = conv.plane(input)?;
                let after = |side: usize| {
                    let whole = (side - 1).checked_mul(conv.stride)?.checked_add(conv.kernel)?;
                    whole.checked_sub(2 * conv.padding).filter(|side| (1..=MAX_WIDTH).contains(side))
                };
                match (after(height), after(width)) {
                    (Some(height), Some(width)) => Ok(vec![conv.outputs, height, width]),
                    _ => refuse(&format!("images that leave 1 to {MAX_WIDTH} rows and columns")),
                }
            }
            Layer::BatchNorm { features } => {
                within("the number of its features", *features, MAX_WIDTH)?;
                if input.first() != Some(features) {
                    return refuse(&format!("{features} channels"));
                }
                Ok(input.to_vec())
            }
            Layer::Relu | Layer::Tanh => Ok(input.to_vec()),
            Layer::LeakyRelu { slope } if slope.is_finite() => Ok(input.to_vec()),
            Layer::LeakyRelu { slope } => Err(format!("has the slope {slope}, expected a finite number")),
            Layer::MaxPool2d { kernel } => {
                within("its kernel", *kernel, MAX_KERNEL)?;
                match *input {
                    [channels, height, width] if height >= *kernel && width >= *kernel => {
                        Ok(vec![channels, height / kernel, width / kernel])
                    }
                    _ => refuse(&format!("images of at least {kernel}x{kernel}")),
                }
            }
            Layer::ResidualBlocks(stage) => {
                stage.check("its blocks")?;
                match *input {
                    [_, height, width] if height > 0 && width > 0 => {
                        let after = |side: usize| (side - 1) / stage.stride + 1;
                        Ok(vec![stage.outputs(), after(height), after(width)])
                    }
                    _ => refuse("images"),
                }
            }
            Layer::GlobalAvgPool => match *input {
                [channels, _, _] => Ok(vec![channels]),
                _ => refuse("images"),
            },
        }
    }
}

impl Conv {
    /// Checks every size, and that the input has the right channels. Gives the input's height and width.
    fn plane(&self, input: &[usize]) -> Result<[usize; 2], String> {
        within("the number of its inputs", self.inputs, MAX_WIDTH)?;
        within("the number of its outputs", self.outputs, MAX_WIDTH)?;
        within("its kernel", self.kernel, MAX_KERNEL)?;
        within("its stride", self.stride, MAX_KERNEL)?;
        within("1 and its padding", self.padding.saturating_add(1), MAX_KERNEL)?;
        match *input {
            [channels, height, width] if channels == self.inputs && height > 0 && width > 0 => {
                Ok([height, width])
            }
            _ => Err(format!("is given {input:?}, expected images of {} channels", self.inputs)),
        }
    }
}

/// Checks the sizes of a network, that each of its layers fits the one before, and how large it is in all. Gives the shape
/// of its output for one example of shape `input`, both without the batch axis.
///
/// # Errors
/// Which layer of the network `name` does not fit, and why.
pub(super) fn check_layers(name: &str, layers: &[Layer], input: &[usize]) -> Result<Vec<usize>, String> {
    let mut shape = input.to_vec();
    let mut parameters: u64 = 0;
    for (at, layer) in layers.iter().enumerate() {
        parameters = parameters.saturating_add(layer.parameters(&shape));
        let output = layer.output(&shape);
        shape = output.map_err(|what| format!("{name}[{at}], {}, {what}", layer.name()))?;
        if parameters > MAX_PARAMETERS {
            return Err(format!(
                "{name} has more than {MAX_PARAMETERS} weights up to layer {at}, {}; expected fewer",
                layer.name()
            ));
        }
    }
    Ok(shape)
}

/// The weights of a network, and the values that its layers make of one example of shape `input`; as far as its layers fit
/// and 64 bits hold them.
pub(super) fn network_size(layers: &[Layer], input: &[usize]) -> (u64, u64) {
    let (mut shape, mut weights, mut values) = (input.to_vec(), 0u64, 0u64);
    for layer in layers {
        weights = weights.saturating_add(layer.parameters(&shape));
        shape = layer.output(&shape).unwrap_or_default();
        values = values.saturating_add(product(&shape));
    }
    (weights, values)
}

/// The product of lengths, as far as 64 bits hold it.
fn product(lengths: &[usize]) -> u64 {
    lengths.iter().fold(1, |product: u64, &length| product.saturating_mul(length as u64))
}

impl Architecture {
    /// f: images of this many channels to features.
    pub fn layers(&self, channels: usize) -> Vec<Layer> {
        let stem = self.stem;
        let conv = Conv {
            inputs: channels,
            outputs: stem.width,
            kernel: stem.kernel,
            stride: stem.stride,
            padding: stem.kernel / 2,
            bias: false,
        };
        let mut layers = vec![Layer::Conv2d(conv), Layer::BatchNorm { features: stem.width }, Layer::Relu];
        layers.extend(self.stages.iter().map(|stage| Layer::ResidualBlocks(*stage)));
        layers.push(Layer::GlobalAvgPool);
        layers
    }
}

impl Projection {
    /// g: features to projections.
    pub fn layers(&self, features: usize) -> Vec<Layer> {
        let Projection { hidden, out } = *self;
        vec![
            Layer::Linear { inputs: features, outputs: hidden, bias: false },
            Layer::BatchNorm { features: hidden },
            Layer::Relu,
            Layer::Linear { inputs: hidden, outputs: out, bias: true },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conv(kernel: usize, stride: usize, padding: usize) -> Conv {
        Conv { inputs: 2, outputs: 3, kernel, stride, padding, bias: true }
    }

    #[test]
    fn shapes_follow_from_layers() {
        let cases: [(Layer, &[usize], &[usize]); 9] = [
            (Layer::Flatten, &[2, 5, 4], &[40]),
            (Layer::Unflatten { shape: [2, 5, 4] }, &[40], &[2, 5, 4]),
            (Layer::Linear { inputs: 4, outputs: 7, bias: true }, &[4], &[7]),
            (Layer::Conv2d(conv(3, 2, 1)), &[2, 9, 8], &[3, 5, 4]),
            (Layer::ConvTranspose2d(conv(4, 2, 1)), &[2, 7, 5], &[3, 14, 10]),
            (Layer::BatchNorm { features: 2 }, &[2, 3, 3], &[2, 3, 3]),
            (Layer::MaxPool2d { kernel: 2 }, &[2, 9, 8], &[2, 4, 4]),
            (Layer::LeakyRelu { slope: 0.01 }, &[4], &[4]),
            (Layer::GlobalAvgPool, &[2, 9, 8], &[2]),
        ];
        for (layer, input, output) in cases {
            assert_eq!(
                check_layers("net", std::slice::from_ref(&layer), input).unwrap(),
                output,
                "{layer:?}"
            );
            let json = serde_json::to_string(&layer).unwrap();
            assert!(json.contains(&format!("\"type\":\"{}\"", layer.name())), "{json}");
            assert_eq!(serde_json::from_str::<Layer>(&json).unwrap(), layer);
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let linear = |inputs, outputs| Layer::Linear { inputs, outputs, bias: true };
        let cases: [(Layer, &[usize], &str); 9] = [
            (linear(4, 7), &[5], "net[0], Linear, is given [5], expected [4]"),
            (linear(4, 0), &[4], "the number of its outputs is 0"),
            (linear(1 << 20, 1 << 20), &[1 << 20], "net has more than 1073741824 weights"),
            (Layer::Flatten, &[1 << 20, 1 << 20, 1 << 20], "expected at most"),
            (Layer::Unflatten { shape: [2, 5, 4] }, &[41], "as many values as [2, 5, 4]"),
            (Layer::Conv2d(conv(usize::MAX, 1, 0)), &[2, 9, 9], "its kernel is 18446744073709551615"),
            (Layer::Conv2d(conv(11, 1, 0)), &[2, 9, 9], "images of at least 11x11"),
            (Layer::ConvTranspose2d(conv(4, 2, 1)), &[1, 9, 9], "images of 2 channels"),
            (Layer::MaxPool2d { kernel: 2 }, &[2, 1, 9], "at least 2x2"),
        ];
        for (layer, input, expected) in cases {
            let error = check_layers("net", &[layer], input).unwrap_err();
            assert!(error.contains(expected), "{error} does not say {expected}");
        }
    }
}
