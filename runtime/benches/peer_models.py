"""Writes the networks of the inference benchmark as ONNX files, in every form that ONNX Runtime may be fastest in.

    python runtime/benches/peer_models.py FOLDER

The weights are random: only the architectures count. For each network NAME there are

    NAME.fp32.onnx           as PyTorch exports it
    NAME.phases.fp32.onnx    with each transposed convolution as Conv + DepthToSpace + Slice, where there are some
    NAME[.phases].int8-tensor.onnx, NAME[.phases].int8-channel.onnx
                             quantized by ONNX Runtime's own tool (QDQ, unsigned activations, signed weights)
    NAME.inputs.npy          what activations were observed on: random inputs (64, ...)
"""

import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime.quantization as quantization
import torch
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn


class Affine(nn.Module):
    """A BatchNorm in evaluation: a scale and a shift for each channel."""

    def __init__(self, channels, axes):
        super().__init__()
        shape = (channels,) + (1,) * (axes - 1)
        self.scale = nn.Parameter(torch.rand(shape) + 0.5)
        self.shift = nn.Parameter(torch.randn(shape) * 0.1)

    def forward(self, x):
        return x * self.scale + self.shift


class Image(nn.Module):
    """The hidden vector as an image."""

    def forward(self, x):
        return x.reshape(-1, 128, 7, 7)


class Phases(nn.Module):
    """A 4x4 transposed convolution of stride 2 and padding 1 as an ordinary one that computes its four phases."""

    def __init__(self, layer):
        super().__init__()
        inputs, outputs = layer.weight.shape[:2]
        self.outputs = outputs
        self.convolution = nn.Conv2d(inputs, 4 * outputs, 2, padding=1)
        weight = torch.zeros(outputs, 2, 2, inputs, 2, 2)
        for row in range(2):
            for column in range(2):
                for a in range(2):
                    for b in range(2):
                        # Window position a sees input m - 1 + a, whose tap for output phase `row` is row + 2 - 2 a.
                        tap = layer.weight[:, :, row + 2 - 2 * a, column + 2 - 2 * b]
                        weight[:, row, column, :, a, b] = tap.T
        self.convolution.weight = nn.Parameter(weight.reshape(4 * outputs, inputs, 2, 2))
        self.convolution.bias = nn.Parameter(layer.bias.repeat_interleave(4))

    def forward(self, x):
        # PixelShuffle exports as DepthToSpace.
        return nn.functional.pixel_shuffle(self.convolution(x), 2)[:, :, 1:-1, 1:-1]


class Block(nn.Module):
    """A basic residual block."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, 1, 1)
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x):
        return torch.relu(self.body(x) + self.shortcut(x))


class Residual(nn.Module):
    """A residual network with a 3x3 stem, BatchNorm folded: (channels, blocks) of each stage."""

    def __init__(self, stages):
        super().__init__()
        channels = stages[0][0]
        layers = [nn.Conv2d(3, channels, 3, 1, 1), nn.ReLU()]
        for stage, (outputs, blocks) in enumerate(stages):
            for block in range(blocks):
                layers.append(Block(channels, outputs, 2 if stage > 0 and block == 0 else 1))
                channels = outputs
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x).mean((2, 3))


def vanilla():
    return nn.Sequential(
        nn.Linear(96, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 784), nn.Tanh()
    )


def dcgan(phases):
    # The BatchNorm after the first layer is folded into the second.
    layers = [
        nn.Linear(96, 1024), nn.ReLU(), nn.Linear(1024, 6272), nn.ReLU(), Affine(6272, 1),
        Image(), nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), Affine(64, 3),
        nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh(),
    ]
    if phases:
        layers = [Phases(layer) if isinstance(layer, nn.ConvTranspose2d) else layer for layer in layers]
    return nn.Sequential(*layers)


NETWORKS = {
    "vanilla": (vanilla, (96,)),
    "dcgan": (lambda: dcgan(False), (96,)),
    "dcgan.phases": (lambda: dcgan(True), (96,)),
    "resnet18": (lambda: Residual([(64, 2), (128, 2), (256, 2), (512, 2)]), (3, 32, 32)),
    "small": (lambda: Residual([(32, 1), (64, 1), (128, 1), (256, 1)]), (3, 32, 32)),
}


class Inputs(quantization.CalibrationDataReader):
    """Inputs for calibration, in batches of four."""

    def __init__(self, name, inputs):
        self.rest = iter([{name: batch} for batch in np.split(inputs, len(inputs) // 4)])

    def get_next(self):
        return next(self.rest, None)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {}
    for name, (make, shape) in NETWORKS.items():
        torch.manual_seed(1)
        network = make().eval()
        given = "z" if len(shape) == 1 else "image"
        x = torch.linspace(-1, 1, 2 * int(np.prod(shape))).reshape(2, *shape)
        # The forms of one network must be one network.
        with torch.no_grad():
            y = network(x)
        other = outputs.setdefault(name.split(".")[0], y)
        assert torch.allclose(y, other, atol=1e-5), name
        inputs = np.random.default_rng(0).uniform(-1, 1, (64, *shape)).astype(np.float32)
        np.save(folder / f"{name}.inputs.npy", inputs)
        plain = folder / f"{name}.fp32.onnx"
        torch.onnx.export(
            network, (x,), str(plain), input_names=[given], output_names=["image" if given == "z" else "h"],
            dynamic_axes={given: {0: "N"}, "image" if given == "z" else "h": {0: "N"}}, opset_version=17,
            dynamo=False,
        )
        with tempfile.TemporaryDirectory() as scratch:
            prepared = str(pathlib.Path(scratch) / "prepared.onnx")
            quant_pre_process(str(plain), prepared, skip_symbolic_shape=True)
            for kind, per_channel in (("tensor", False), ("channel", True)):
                quantization.quantize_static(
                    prepared, str(folder / f"{name}.int8-{kind}.onnx"), Inputs(given, inputs),
                    quant_format=quantization.QuantFormat.QDQ, per_channel=per_channel,
                    activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
                )
        print(name, file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
