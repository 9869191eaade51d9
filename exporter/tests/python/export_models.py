"""Exports PyTorch models as others do: python export_models.py OUT [NAME ...]

For each model (all, or those whose names are given), exporter of PyTorch and opset, OUT gets a folder with model.onnx,
input_0.pb, ... and output_0.pb, ... (a batch of 3, PyTorch's own results). The exporter that is based on torch.export
needs the package onnxscript and is left out, with a message, when that is missing. Models of opset 18 keep their weights
in a file of their own. """

import importlib.util
import inspect
import multiprocessing
import os
import sys
import warnings

import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

from families import FAMILIES

warnings.filterwarnings("ignore")


class View(nn.Module):
    """Features as images."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.view(-1, *self.shape)


def vanilla_generator():
    return nn.Sequential(nn.Linear(96, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 784),
                         nn.Tanh(), View(1, 28, 28)), (96,)


def dcgan_generator():
    return nn.Sequential(
        nn.Linear(96, 1024), nn.ReLU(), nn.BatchNorm1d(1024), nn.Linear(1024, 6272), nn.ReLU(), nn.BatchNorm1d(6272),
        View(128, 7, 7), nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(64),
        nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh()), (96,)


def unflattened():
    """Features as images by PyTorch's own module, whose export computes with the shape's length."""
    return nn.Sequential(nn.Linear(96, 128), nn.ReLU(), nn.Unflatten(1, (8, 4, 4)), nn.ConvTranspose2d(8, 3, 4, 2, 1),
                         nn.Tanh()), (96,)


def dcgan_discriminator():
    return nn.Sequential(
        nn.Conv2d(1, 32, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5), nn.LeakyReLU(0.01),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 1024), nn.LeakyReLU(0.01), nn.Linear(1024, 1)), (1, 28, 28)


class Block(nn.Module):
    """ResNet's basic block."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class Encoder(nn.Module):
    """A small ResNet whose features are normalized, as SimCLR's are."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))

    def forward(self, x):
        x = self.blocks(self.stem(x))
        # The size of the batch comes in through the model, as in much code.
        x = F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)
        return F.normalize(x, dim=1)


class Mobile(nn.Module):
    """Depthwise convolutions, groups, HardSwish, a gate, and a mean over the image."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(4, 16, 3, 2, 1)
        self.b = nn.Conv2d(16, 16, 5, 1, 2, groups=16, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.c = nn.Conv2d(16, 24, 3, 1, 1, groups=4)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 8, 1), nn.ReLU(), nn.Conv2d(8, 24, 1),
                                  nn.Sigmoid())
        self.drop = nn.Dropout(0.3)
        self.d = nn.Linear(24, 10)

    def forward(self, x):
        x = F.hardswish(self.a(x))
        x = F.relu6(self.bn(self.b(x)))
        x = self.c(x)
        x = x * self.gate(x)
        x = self.drop(x.mean((2, 3)))
        return self.d(x).softmax(1)


class UNet(nn.Module):
    """Concatenation, padding, resizing both ways, pools, odd transposed convolutions."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3)
        self.b = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.up = nn.ConvTranspose2d(8, 6, 3, 2, 1, output_padding=1)
        self.up2 = nn.ConvTranspose2d(14, 4, (3, 5), (1, 3), (1, 0), groups=2)

    def forward(self, x):
        x = self.a(F.pad(x, (1, 1, 1, 1), mode="reflect"))
        y = F.avg_pool2d(x, 3, 2, 1)
        y = F.leaky_relu(self.b(y), 0.2)
        y = torch.cat([self.up(y), F.interpolate(y, scale_factor=2, mode="nearest")], 1)
        y = self.up2(y) - 0.5
        y = F.interpolate(y, size=(20, 20), mode="bilinear", align_corners=False)
        y = F.max_pool2d(y, 3, 2, ceil_mode=True)
        return torch.clamp(F.pad(y, (0, 1, 2, 0)), -1, 1)


class Permuted(nn.Module):
    """Transposes and matrix products without Gemm."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3)
        self.linear = nn.Linear(5, 7)
        self.last = nn.Linear(7 * 36, 4, bias=False)
        self.scale = nn.Parameter(torch.rand(4))

    def forward(self, x):
        x = self.conv(x).permute(0, 2, 3, 1)
        x = torch.sigmoid(self.linear(x)).permute(0, 3, 1, 2)
        return self.last(torch.flatten(x, 1)) * self.scale + 1


MODELS = {
    "vanilla_generator": vanilla_generator,
    "dcgan_generator": dcgan_generator,
    "dcgan_discriminator": dcgan_discriminator,
    "unflattened": unflattened,
    "encoder": lambda: (Encoder(), (3, 32, 32)),
    "mobile": lambda: (Mobile(), (4, 16, 16)),
    "unet": lambda: (UNet(), (3, 16, 16)),
    "permuted": lambda: (Permuted(), (3, 8, 8)),
}

# What an exporter of PyTorch 2.11 refuses to write: a model, whether by torch.export, the first opset that it can.
UNWRITTEN = {("unflattened", False): 13, ("diffusion_unet", False): 14, ("diffusion_einsum", False): 12}


def randomize(model):
    """Running statistics and scales that matter."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            if module.affine:
                nn.init.uniform_(module.weight, -0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, 0, 1)
            nn.init.uniform_(module.running_var, 0.1, 2)
        elif isinstance(module, (nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm1d)) and module.weight is not None:
            nn.init.uniform_(module.weight, 0.3, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
        elif isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.2, 0.5)


def made(name):
    """A model and its inputs."""
    torch.manual_seed(0)
    if name in FAMILIES:
        model, inputs = FAMILIES[name]()
        randomize(model)
        return model, inputs
    model, shape = MODELS[name]()
    randomize(model)
    return model, (torch.rand(3, *shape) * 2 - 1,)


def write(path, model, inputs, outputs, opset, program):
    """Writes a model: `program`, what torch.export made of it, or if that is None by script."""
    names = list(inspect.signature(model.forward).parameters) if len(inputs) > 1 else ["x"]
    results = [f"y{i}" for i in range(len(outputs))] if len(outputs) > 1 else ["y"]
    if program is not None:
        torch.onnx.export(program, inputs, path, dynamo=True, opset_version=opset, verbose=False, external_data=True)
        return
    torch.onnx.export(model, inputs, path, dynamo=False, opset_version=opset, do_constant_folding=opset != 13,
                      input_names=names, output_names=results,
                      dynamic_axes={name: {0: "batch"} for name in names + results})
    if opset == 18:
        # The weights in a file of their own, as large models have them.
        onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)


def write_all(name, out, dynamo):
    """Writes one model in all ways."""
    torch.set_num_threads(1)
    model, inputs = made(name)
    model.eval()
    with torch.no_grad():
        outputs = model(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    program = None
    if dynamo:
        batch = torch.export.Dim("batch", min=1, max=64)
        program = torch.export.export(model, inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    # HardSwish is an operator from opset 14 on, and made of others before.
    ways = [(False, opset) for opset in (11, 13, 17, 18)] + [(True, opset) for opset in (18, 21) if dynamo]
    for is_dynamo, opset in ways:
        if opset < UNWRITTEN.get((name, is_dynamo), 0):
            continue
        folder = os.path.join(out, f"{name}-{'export' if is_dynamo else 'script'}-{opset}")
        os.makedirs(folder)
        path = os.path.join(folder, "model.onnx")
        write(path, model, inputs, outputs, opset, program if is_dynamo else None)
        for role, tensors in (("input", inputs), ("output", outputs)):
            for i, tensor in enumerate(tensors):
                with open(os.path.join(folder, f"{role}_{i}.pb"), "wb") as file:
                    file.write(numpy_helper.from_array(tensor.numpy(), role).SerializeToString())


def main():
    dynamo = importlib.util.find_spec("onnxscript") is not None
    if not dynamo:
        print("onnxscript is not installed: the exporter based on torch.export is left out")
    names = sys.argv[2:] or [*MODELS, *FAMILIES]
    # An export is Python's work, a few seconds on one core.
    with multiprocessing.Pool(min(os.cpu_count(), 4)) as pool:
        pool.starmap(write_all, [(name, sys.argv[1], dynamo) for name in names], chunksize=1)


if __name__ == "__main__":
    main()
