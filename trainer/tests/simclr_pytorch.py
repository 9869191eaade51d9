"""Holds the contrastive loss and the augmentation against PyTorch and torchvision: run by the tests of simclr_pytorch.rs,
which write the files it reads.

    simclr_pytorch.py loss FILE     NT-Xent as a cross-entropy, with its gradients, in f64
    simclr_pytorch.py views FILE    torchvision's functions, step by step, give our views
    simclr_pytorch.py crops FILE    torchvision's RandomResizedCrop draws parts like ours

Several tasks are separated by "--". Prints figures; the exit code says whether all are within tolerance.
"""

import json
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn import functional as F
from torchvision import transforms
from torchvision.transforms import _functional_tensor
from torchvision.transforms import functional as T

torch.set_num_threads(1)


def check(figures):
    """figures: name -> (error, tolerance)"""
    print(", ".join(f"{name} {error:.2e} (<= {limit:.0e})" for name, (error, limit) in figures.items()))
    return all(error <= limit for error, limit in figures.values())


def distance(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    return (a.double() - b.double()).abs().max().item()


def loss(file):
    # Doubles come as the integers of their bits.
    given = {
        name: tensor.view(torch.float64) if tensor.dtype == torch.int64 else tensor
        for name, tensor in load_file(file).items()
    }
    good = True
    for case in sorted({name.split(".")[0] for name in given}):
        z1, z2 = (given[f"{case}.{name}"].double().requires_grad_() for name in ("z1", "z2"))
        tau = given[f"{case}.tau"].item()
        n = len(z1)
        # Each row's class is its partner; itself it cannot be.
        z = F.normalize(torch.cat([z1, z2]), dim=1)
        logits = (z @ z.T / tau).masked_fill(torch.eye(2 * n, dtype=torch.bool), float("-inf"))
        value = F.cross_entropy(logits, torch.arange(2 * n).roll(n))
        value.backward()
        figures = {}
        for form, limit in (("naive", 1e-10), ("fast", 1e-10), ("single", 3e-6)):
            figures[form] = (abs(given[f"{case}.{form}"].item() - value.item()), limit * max(1, value.item()))
        scale = max(1.0, z1.grad.abs().max().item(), z2.grad.abs().max().item())
        for name, z in (("d1", z1), ("d2", z2)):
            figures[name] = (distance(given[f"{case}.{name}"], z.grad), 1e-9 * scale)
            figures[f"{name} single"] = (distance(given[f"{case}.{name}.single"], z.grad), 3e-6 * scale)
        print(case, end=": ")
        good &= check(figures)
    return good


def gray(image, num_output_channels=1):
    """torchvision's, with .299 for its .2989."""
    r, g, b = image.unbind(dim=-3)
    luma = (0.299 * r + 0.587 * g + 0.114 * b).unsqueeze(-3)
    return luma.expand(image.shape) if num_output_channels == 3 else luma


def view(image, p, mean, std):
    x = image.float() / 255
    top, left, height, width = p["crop"]
    x = T.resized_crop(x, top, left, height, width, [p["size"]] * 2, T.InterpolationMode.BILINEAR, antialias=True)
    if p["flip"]:
        x = T.hflip(x)
    for step, amount in p["jitter"]:
        x = {
            "Brightness": T.adjust_brightness,
            "Contrast": T.adjust_contrast,
            "Saturation": T.adjust_saturation,
            "Hue": T.adjust_hue,
        }[step](x, amount)
    if p["grayscale"]:
        x = T.rgb_to_grayscale(x, 3)
    return T.normalize(x, mean, std)


def views(file):
    with safe_open(file, "pt") as given:
        told = json.loads(bytes(given.get_tensor("parameters").tolist()))
        cases = [
            (given.get_tensor(p["image"]), p, given.get_tensor(p["view"]), given.get_tensor(p["view"] + ".device"))
            for p in told["views"]
        ]
    mean, std = told["mean"], told["std"]
    # Untouched, torchvision differs by the .0001 that it cuts from red's share.
    plain = max(distance(ours, view(image, p, mean, std)) for image, p, ours, _ in cases)
    original, _functional_tensor.rgb_to_grayscale = _functional_tensor.rgb_to_grayscale, gray
    exact = [view(image, p, mean, std) for image, p, *_ in cases]
    _functional_tensor.rgb_to_grayscale = original
    return check(
        {
            f"{len(cases)} views": (max(distance(case[2], e) for case, e in zip(cases, exact)), 1e-4),
            "on tensors": (max(distance(case[3], e) for case, e in zip(cases, exact)), 1e-4),
            "with .2989": (plain, 2e-3),
        }
    )


def crops(file):
    """Means and deviations of top, left, height, width: ours and torchvision's agree within five standard errors."""
    good = True
    torch.manual_seed(1)
    for name, ours in load_file(file).items():
        height, width, low, high = (float(v) for v in name.split(" "))
        image = torch.empty(3, int(height), int(width))
        theirs = torch.tensor(
            [transforms.RandomResizedCrop.get_params(image, (low, high), (3 / 4, 4 / 3)) for _ in range(len(ours))]
        )
        a, b = ours.double(), theirs.double()
        n = len(ours)
        # Of the products, too, on which the correlations depend.
        a, b = (torch.cat([t, t[:, 2:3] * t[:, 3:], t[:, :1] * t[:, 2:3], t[:, 1:2] * t[:, 3:]], 1) for t in (a, b))
        error = ((a.var(0) + b.var(0)) / n).sqrt() + 1e-9
        means = ((a.mean(0) - b.mean(0)).abs() / error).max().item()
        squares = (((a**2).var(0) + (b**2).var(0)) / n).sqrt() + 1e-9
        spreads = (((a**2).mean(0) - (b**2).mean(0)).abs() / squares).max().item()
        print(name, end=": ")
        good &= check({"means": (means, 5), "squares": (spreads, 5)})
    return good


def main():
    tasks, good = [[]], True
    for argument in sys.argv[1:]:
        if argument == "--":
            tasks.append([])
        else:
            tasks[-1].append(argument)
    for name, *arguments in tasks:
        good &= {"loss": loss, "views": views, "crops": crops}[name](*arguments)
    sys.exit(not good)


main()
