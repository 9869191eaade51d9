"""Holds the trainer against PyTorch: run by the tests of gan_pytorch.rs, which write the files it reads.

    gan_pytorch.py forward FOLDER NET CLASSES    our weights in the notebook's nn.Sequential give our outputs
    gan_pytorch.py steps FOLDER NET CLASSES LOSS COUNT R1    COUNT iterations of the notebook's loop give our losses and weights;
        with R1's weight, if it is not 0, at the first iteration, and step sizes that fall along half a cosine
    gan_pytorch.py adam FOLDER STEPS     torch.optim.Adam on our gradients gives our parameters

CLASSES is 0 for networks that are not conditional. Several tasks are separated by "--". Prints figures; the exit code says whether all are within tolerance.
"""

import copy
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)


def networks(net, classes):
    """Conditional: G of (z, one-hot label), D with a score and a row of the projection (Miyato & Koyama 2018) for each class."""
    latent, scores = 96 + classes, 1 + classes
    if net == "vanilla":
        d = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 256), nn.LeakyReLU(0.01), nn.Linear(256, 256), nn.LeakyReLU(0.01),
            nn.Linear(256, scores),
        )
        g = nn.Sequential(
            nn.Linear(latent, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 784), nn.Tanh()
        )
    else:
        d = nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 32, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2, 2),
            nn.Conv2d(32, 64, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2, 2), nn.Flatten(), nn.Linear(1024, 1024),
            nn.LeakyReLU(0.01), nn.Linear(1024, scores),
        )
        g = nn.Sequential(
            nn.Linear(latent, 1024), nn.ReLU(), nn.BatchNorm1d(1024), nn.Linear(1024, 6272), nn.ReLU(),
            nn.BatchNorm1d(6272), nn.Unflatten(1, (128, 7, 7)), nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(),
            nn.BatchNorm2d(64), nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh(), nn.Flatten(),
        )
    return d, g


def generate(g, z, y):
    return g(z) if y is None else g(torch.cat([z, y.to(z.dtype)], dim=1))


def score(d, x, y):
    return d(x) if y is None else d(x)[:, :1] + (d(x)[:, 1:] * y.to(x.dtype)).sum(dim=1, keepdim=True)


def check(figures):
    """figures: name -> (error, tolerance)"""
    print(", ".join(f"{name} {error:.2e} (<= {limit:.0e})" for name, (error, limit) in figures.items()))
    return all(error <= limit for error, limit in figures.values())


def distance(a, b):
    assert a.shape == b.shape, (a.shape, b.shape)
    return (a.double() - b.double()).abs().max().item()


def forward(folder, net, classes):
    d, g = networks(net, classes)
    # Strict: every name must be there, and no other.
    d.load_state_dict(load_file(folder / "discriminator.safetensors"))
    g.load_state_dict(load_file(folder / "generator.safetensors"))
    io = load_file(folder / "io.safetensors")
    y = io.get("label")
    figures = {}
    exact_d, exact_g = copy.deepcopy(d).double(), copy.deepcopy(g).double()
    with torch.no_grad():

        def hold(name, ours, way, network, exact, x):
            exact = way(exact, x.double(), y)
            # A feature that hardly varies within the batch is divided by a tiny deviation, which enlarges rounding errors in
            # every implementation: what PyTorch itself is off in f32, against f64, is allowed to us twice over.
            theirs = distance(way(network, x, y), exact)
            print(f"{name}: PyTorch is {theirs:.1e} off")
            figures[name] = (distance(ours, exact), max(1e-5, 2 * theirs))

        hold("D", io["score"], score, d, exact_d, io["image"].flatten(1))
        g.eval(), exact_g.eval()
        hold("G eval", io["eval"], generate, g, exact_g, io["z"])
        g.train(), exact_g.train()
        hold("G train", io["train"], generate, g, exact_g, io["z"])
    after = load_file(folder / "after.safetensors")
    figures["state after"] = (max(distance(v, after[k]) for k, v in g.state_dict().items()), 1e-5)
    return check(figures)


def losses(loss, d, real, fake_d, fake_g):
    if loss == "bce":
        one, zero = torch.ones_like(fake_g), torch.zeros_like(fake_g)
        bce = F.binary_cross_entropy_with_logits
        return (bce(real, one) + bce(fake_d, zero)) if d else bce(fake_g, one)
    if loss == "ls":
        return 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake_d**2).mean() if d else 0.5 * ((fake_g - 1) ** 2).mean()
    if loss == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake_d).mean() if d else -fake_g.mean()
    return fake_d.mean() - real.mean() if d else -fake_g.mean()


def steps(folder, net, classes, loss, count, r1):
    d, g = networks(net, classes)
    d.load_state_dict(load_file(folder / "start/discriminator.safetensors"))
    g.load_state_dict(load_file(folder / "start/generator.safetensors"))
    given = load_file(folder / "given.safetensors")
    options = dict(lr=1e-3, betas=(0.5, 0.999))
    d_adam, g_adam = torch.optim.Adam(d.parameters(), **options), torch.optim.Adam(g.parameters(), **options)
    schedules = [
        torch.optim.lr_scheduler.CosineAnnealingLR(solver, count) for solver in (d_adam, g_adam) if r1
    ]
    d_error = g_error = 0.0
    for i in range(count):
        real = given[f"real.{i}"].flatten(1)
        y = given.get(f"yd.{i}")
        fake = generate(g, given[f"zd.{i}"], y).detach()
        on_fake = score(d, fake, y)
        d_loss = losses(loss, True, score(d, real, y), on_fake, on_fake)
        if loss == "wgan-gp":
            t = given[f"t.{i}"][:, None]
            between = (t * real + (1 - t) * fake).requires_grad_(True)
            (gradient,) = torch.autograd.grad(score(d, between, y).sum(), between, create_graph=True)
            d_loss = d_loss + 10.0 * ((gradient.norm(dim=1) - 1) ** 2).mean()
        penalty = 0.0
        if r1 and i == 0:
            images = real.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(score(d, images, y).sum(), images, create_graph=True)
            penalty = 16 * r1 / 2 * (gradient**2).sum(dim=1).mean()
        d_adam.zero_grad()
        (d_loss + penalty).backward()
        d_adam.step()
        y = given.get(f"yg.{i}")
        g_loss = losses(loss, False, None, None, score(d, generate(g, given[f"zg.{i}"], y), y))
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        for schedule in schedules:
            schedule.step()
        ours = given[f"losses.{i}"]
        print(f"iteration {i}: D {d_loss.item():.7f} {ours[0].item():.7f}  G {g_loss.item():.7f} {ours[1].item():.7f}")
        d_error = max(d_error, abs(d_loss.item() - ours[0].item()))
        g_error = max(g_error, abs(g_loss.item() - ours[1].item()))
        # D's loss is measured before its step, G's after.
        first = d_error if i == 0 else first
    end_d, end_g = load_file(folder / "end/discriminator.safetensors"), load_file(folder / "end/generator.safetensors")
    # Adam's first steps are lr * sign(gradient), so where a gradient is rounding noise, single weights go the other way. The
    # mean over weights is held, which such weights hardly move; the largest is bounded by the way all steps together make.
    # With wgan-gp the bias of the last layer has no gradient but noise, so all scores and with them the losses shift.
    # Batch normalization enlarges rounding errors.
    loose = 200 if loss == "wgan-gp" or net == "dcgan" else 1
    apart = torch.cat([
        (value - end[name]).abs().flatten().double()
        for model, end in ((d, end_d), (g, end_g))
        for name, value in model.state_dict().items()
        if value.is_floating_point() and "running" not in name
    ])
    return check({
        "first D loss": (first, 1e-5),
        "D loss": (d_error, 1e-4 * loose),
        "G loss": (g_error, 1e-4 * loose),
        "weights, mean": (apart.mean().item(), 1e-6 * loose),
        "weights, max": (apart.max().item(), 2.1e-3 * count),
    })


def adam(folder, count):
    given = load_file(folder / "adam.safetensors")
    names = sorted(name[6:] for name in given if name.startswith("start."))
    values = {name: nn.Parameter(given[f"start.{name}"].clone()) for name in names}
    solver = torch.optim.Adam(values.values(), lr=1e-3, betas=(0.5, 0.999))
    error = 0.0
    for i in range(count):
        for name, value in values.items():
            value.grad = given[f"gradient.{name}.{i}"]
        solver.step()
        for name, value in values.items():
            error = max(error, distance(value.detach(), given[f"value.{name}.{i}"]))
    state = max(
        distance(solver.state[values[name]][theirs], given[f"state.{name}.{ours}"])
        for name in names
        for theirs, ours in (("exp_avg", "mean"), ("exp_avg_sq", "square"))
    )
    return check({"trajectory": (error, 1e-6), "state": (state, 1e-6)})


def run(task, folder, *rest):
    folder = Path(folder)
    if task == "forward":
        return forward(folder, rest[0], int(rest[1]))
    if task == "steps":
        return steps(folder, rest[0], int(rest[1]), rest[2], int(rest[3]), float(rest[4]))
    return adam(folder, int(rest[0]))


def main():
    tasks = " ".join(sys.argv[1:]).split(" -- ")
    results = []
    for task in tasks:
        print(task)
        results.append(run(*task.split()))
    sys.exit(0 if all(results) else 1)


main()
