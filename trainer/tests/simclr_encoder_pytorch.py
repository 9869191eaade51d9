"""Holds SimCLR's encoders and optimizers against PyTorch: run by simclr_encoder_pytorch.rs, which writes the files it reads.

    simclr_encoder_pytorch.py encoder FOLDER NAME         our weights in the notebook's model give our outputs
    simclr_encoder_pytorch.py steps FOLDER OPTIMIZER N    N steps of PyTorch's optimizer give our losses and weights

Several tasks are separated by "--". Prints figures; the exit code says whether all are within tolerance.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18, resnet50
from torchvision.models.resnet import BasicBlock

torch.set_num_threads(2)


class Model(nn.Module):
    """The notebook's: the children of torchvision's network but for the pooling and the last layer."""

    def __init__(self, name):
        super().__init__()
        if name == "small":
            def stage(inputs, width):
                shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1, 2, bias=False), nn.BatchNorm2d(width))
                return nn.Sequential(BasicBlock(inputs, width, 2, shortcut))

            children, features = [nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()], 256
            children += [stage(32, 64), stage(64, 128), stage(128, 256), nn.AdaptiveAvgPool2d(1)]
        else:
            children, features = [], 512 if name == "resnet18" else 2048
            for child, module in {"resnet18": resnet18, "resnet50": resnet50}[name]().named_children():
                if child == "conv1":
                    module = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
                if not isinstance(module, (nn.Linear, nn.MaxPool2d)):
                    children.append(module)
        self.f = nn.Sequential(*children)
        self.g = nn.Sequential(
            nn.Linear(features, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(inplace=True), nn.Linear(512, 128)
        )

    def forward(self, x):
        h = torch.flatten(self.f(x), start_dim=1)
        return h, self.g(h)


def check(figures):
    """figures: name -> (error, tolerance)"""
    print(", ".join(f"{name} {error:.2e} (<= {limit:.0e})" for name, (error, limit) in figures.items()))
    return all(error <= limit for error, limit in figures.values())


def distance(a, b):
    """The largest difference, as a part of the largest value."""
    assert a.shape == b.shape, (a.shape, b.shape)
    a, b = a.double(), b.double()
    return ((a - b).abs().max() / b.abs().max().clamp_min(1e-9)).item()


def encoder(folder, name):
    model = Model(name)
    # Strict: every name must be there, and no other.
    model.load_state_dict(load_file(folder / "encoder.safetensors"))
    given = load_file(folder / "io.safetensors")
    with torch.no_grad():
        h, z = model.eval()(given["images"])
        h_train, z_train = model.train()(given["images"])
    figures = {
        "h": (distance(given["h"], h), 1e-5),
        "z": (distance(given["z"], z), 1e-5),
        "h in training": (distance(given["h_train"], h_train), 1e-3),
        "z in training": (distance(given["z_train"], z_train), 1e-3),
    }
    after, ours = model.state_dict(), load_file(folder / "after.safetensors")
    assert after.keys() == ours.keys()
    figures["statistics"] = (max(distance(ours[name], after[name]) for name in after), 1e-3)
    for part in "fg":
        count = sum(p.numel() for p in getattr(model, part).parameters())
        assert count == given[f"count.{part}"].item(), (part, count)
    return check(figures)


def nt_xent(z, tau):
    z = F.normalize(z, dim=1)
    n = len(z) // 2
    logits = (z @ z.T / tau).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, torch.arange(2 * n).roll(n))


def steps(folder, optimizer, count):
    model = Model("small").train()
    model.load_state_dict(load_file(folder / "start.safetensors"))
    given = load_file(folder / "given.safetensors")
    if optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=1e-2)
    losses = []
    for i in range(int(count)):
        loss = nt_xent(model(given[f"views.{i}"])[1], 0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(abs(loss.item() - given[f"figures.{i}"][0].item()))
    end = load_file(folder / "end.safetensors")
    moved = {n: p for n, p in model.named_parameters()}
    start = load_file(folder / "start.safetensors")
    # Of the whole way that all weights went. Rounding decides where gradients are nearly zero, and batch normalization over
    # channels-last images adds pixels up one by one, so that some per cent are lost in three steps; a wrong rule loses most.
    def way(to, names):
        return torch.cat([(to[n] - start[n]).flatten() for n in names])

    ours, theirs = way(end, moved), way({n: p.detach() for n, p in moved.items()}, moved)
    gap = ((ours - theirs).norm() / theirs.norm()).item()
    return check({"first loss": (losses[0], 1e-5), "last loss": (losses[-1], 2e-3), "way": (gap, 0.1)})


def main():
    tasks, failed = [[]], False
    for argument in sys.argv[1:]:
        if argument == "--":
            tasks.append([])
        else:
            tasks[-1].append(argument)
    for name, folder, *rest in tasks:
        print(name, *rest)
        failed |= not {"encoder": encoder, "steps": steps}[name](Path(folder), *rest)
    sys.exit(failed)


main()
