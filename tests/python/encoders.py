"""SimCLR runs with random weights, made by PyTorch: python encoders.py OUT, or python encoders.py check MODEL.onnx...

Each folder of OUT is a run with one checkpoint, and beside it expected.safetensors has what PyTorch computes: `images` in
[0, 1], their `features` and `projections`. The residual blocks are torchvision's. BatchNorm's statistics are those of
random images, and its scales and shifts are random, negative ones included, so that no mistake in them goes unseen.

`check` runs ONNX's checker, with inferred shapes, on exported models.
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1

# Stem, stages (block, width, blocks, stride) and image (channels, height, width).
ENCODERS = {
    "small": ((32, 3, 1), [("basic", 64, 1, 2), ("basic", 128, 1, 2), ("basic", 256, 1, 2)], (3, 32, 32)),
    "resnet18": ((64, 3, 1), [("basic", 64, 2, 1), ("basic", 128, 2, 2), ("basic", 256, 2, 2), ("basic", 512, 2, 2)],
                 (3, 32, 32)),
    # What ResNet-50 consists of; a larger stem; gray images that are not square.
    "bottleneck": ((16, 5, 2), [("bottleneck", 8, 2, 1), ("bottleneck", 16, 2, 2)], (1, 27, 20)),
}
BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}
HIDDEN, OUT = 512, 128


def encoder(stem, stages, channels):
    """f and g, named as the notebook's are."""
    width, kernel, stride = stem
    layers = [nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    inputs = width
    for name, width, blocks, stride in stages:
        block, stage = BLOCKS[name], []
        for index in range(blocks):
            stride = stride if index == 0 else 1
            outputs = width * block.expansion
            downsample = None
            if stride != 1 or inputs != outputs:
                downsample = nn.Sequential(conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))
            stage.append(block(inputs, width, stride, downsample))
            inputs = outputs
        layers.append(nn.Sequential(*stage))
    layers.append(nn.AdaptiveAvgPool2d((1, 1)))
    f = nn.Sequential(*layers)
    g = nn.Sequential(nn.Linear(inputs, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, OUT))
    return nn.ModuleDict({"f": f, "g": g}), inputs


def run(path, name, stem, stages, image):
    channels, height, width = image
    net, features = encoder(stem, stages, channels)
    mean, std = [0.4914, 0.4822, 0.4465][:channels], [0.2023, 0.1994, 0.2010][:channels]

    def forward(images):
        x = (images - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
        h = torch.flatten(net["f"](x), start_dim=1)
        return h, net["g"](h)

    with torch.no_grad():
        norms = [module for module in net.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
        for norm in norms:
            norm.momentum = None
            norm.weight.copy_(torch.empty_like(norm.weight).uniform_(-0.5, 1.5))
            norm.bias.copy_(torch.empty_like(norm.bias).uniform_(-0.5, 0.5))
        forward(torch.rand(16, *image))
        net.eval()
        images = torch.rand(5, *image)
        h, z = forward(images)
        # An output that hardly varies would hide every error.
        assert h.std(dim=0).max() > 0.05 and z.std(dim=0).max() > 0.05, (h.std(dim=0).max(), z.std(dim=0).max())

    checkpoint = os.path.join(path, "checkpoints", "00000040")
    os.makedirs(checkpoint)
    save_file({key: value.contiguous() for key, value in net.state_dict().items()},
              os.path.join(checkpoint, "encoder.safetensors"))
    save_file({"images": images, "features": h, "projections": z}, os.path.join(path, "expected.safetensors"))
    parameters = sum(parameter.numel() for parameter in net["f"].parameters())
    description = {
        "format": 1, "kind": "simclr", "command": "simclr", "latent_version": "0.1.0", "libtorch": "2.11.0", "seed": 1,
        "encoder": name,
        "features": features, "stem": dict(zip(("width", "kernel", "stride"), stem)),
        "stages": [dict(zip(("block", "width", "blocks", "stride"), stage)) for stage in stages],
        "projection": {"hidden": HIDDEN, "out": OUT},
        "image": {"channels": channels, "height": height, "width": width, "low": 0.0, "high": 1.0},
        "normalization": {"mean": mean, "std": std}, "loss": "nt-xent", "temperature": 0.5,
        "data": {"name": "noise", "source": "noise", "images": 16, "crc32c": 0}, "hyperparameters": {},
        "progress": {"iteration": 40, "iterations": 40, "epoch": 2.0, "seconds": 1.0, "finished": True, "stopped_by": None},
        "figures": {"guessing": 0.0, "encoder_parameters": parameters, "projection_parameters": 0, "multiplications": 0},
        "diagnosis": [], "verdict": "",
    }
    with open(os.path.join(path, "run.json"), "w") as file:
        json.dump(description, file)
    print(f"{name}: {parameters} parameters")


def check(models):
    import onnx
    for path in models:
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        names = [node.name for node in model.graph.node]
        assert all(names) and len(set(names)) == len(names), names
        print(f"{path}: {len(names)} nodes")


if sys.argv[1] == "check":
    check(sys.argv[2:])
else:
    torch.manual_seed(0)
    torch.set_num_threads(2)
    for name, what in ENCODERS.items():
        run(os.path.join(sys.argv[1], name), name, *what)
