#!/usr/bin/env python3
"""The three reference GANs in idiomatic PyTorch: what `trainer bench-step` is measured against.

The same networks, losses, optimizer and order of work as the notebook, with the best ordinary settings of
today's PyTorch: fused Adam, gradients set to none, data resident in memory as one tensor, no synchronization
but at the end. Pixels are random: the arithmetic does not depend on them.

    pytorch_gan.py --net dcgan --loss bce --iterations 30 --json
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional as F


class Unflatten(nn.Module):
    def __init__(self, c, h, w):
        super().__init__()
        self.shape = (c, h, w)

    def forward(self, x):
        return x.view(x.shape[0], *self.shape)


def networks(net, latent):
    if net == "vanilla":
        d = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 256), nn.LeakyReLU(0.01), nn.Linear(256, 256), nn.LeakyReLU(0.01),
            nn.Linear(256, 1),
        )
        g = nn.Sequential(
            nn.Linear(latent, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 784), nn.Tanh()
        )
        return d, g
    d = nn.Sequential(
        Unflatten(1, 28, 28), nn.Conv2d(1, 32, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5),
        nn.LeakyReLU(0.01), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1024, 1024), nn.LeakyReLU(0.01),
        nn.Linear(1024, 1),
    )
    g = nn.Sequential(
        nn.Linear(latent, 1024), nn.ReLU(), nn.BatchNorm1d(1024), nn.Linear(1024, 6272), nn.ReLU(),
        nn.BatchNorm1d(6272), Unflatten(128, 7, 7), nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(),
        nn.BatchNorm2d(64), nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh(), nn.Flatten(),
    )
    for m in [*d.modules(), *g.modules()]:
        if isinstance(m, (nn.Linear, nn.ConvTranspose2d)):
            nn.init.xavier_uniform_(m.weight)
    return d, g


def d_loss_fn(loss, real, fake):
    if loss == "bce":
        return F.binary_cross_entropy_with_logits(real, torch.ones_like(real)) + F.binary_cross_entropy_with_logits(
            fake, torch.zeros_like(fake)
        )
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def g_loss_fn(loss, fake):
    if loss == "bce":
        return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    return 0.5 * (fake - 1).square().mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=["vanilla", "dcgan"], default="vanilla")
    parser.add_argument("--loss", choices=["bce", "ls"], default="bce")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--latent-size", type=int, default=96)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--warmup", type=int, default=10)
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--amp", choices=["bf16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = torch.device(args.device)
    d, g = networks(args.net, args.latent_size)
    d, g = d.to(device), g.to(device)
    if args.channels_last:
        d, g = d.to(memory_format=torch.channels_last), g.to(memory_format=torch.channels_last)
    d_solver = torch.optim.Adam(d.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)
    g_solver = torch.optim.Adam(g.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)
    images = torch.rand(100 * args.batch, 784, device=device)
    amp = torch.autocast(device.type, dtype=torch.bfloat16, enabled=args.amp == "bf16")

    def noise():
        return torch.rand(args.batch, args.latent_size, device=device) * 2 - 1

    def step(i):
        k = (i % 100) * args.batch
        real = images[k : k + args.batch]
        d_solver.zero_grad(set_to_none=True)
        with amp:
            scores_real = d(2 * real - 1)
            fake = g(noise()).detach()
            scores_fake = d(fake.view(args.batch, 1, 28, 28))
        d_loss = d_loss_fn(args.loss, scores_real.float(), scores_fake.float())
        d_loss.backward()
        d_solver.step()
        g_solver.zero_grad(set_to_none=True)
        with amp:
            fake = g(noise())
            scores = d(fake.view(args.batch, 1, 28, 28))
        g_loss = g_loss_fn(args.loss, scores.float())
        g_loss.backward()
        g_solver.step()
        return d_loss, g_loss

    def synchronize():
        if device.type == "cuda":
            torch.cuda.synchronize()

    for i in range(args.warmup):
        step(i)
    if args.profile:
        with torch.profiler.profile() as prof:
            for i in range(args.iterations):
                step(i)
        print(prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=30))
        return
    synchronize()
    start, cpu = time.perf_counter(), time.process_time()
    for i in range(args.iterations):
        losses = step(i)
    synchronize()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    result = {
        "engine": f"PyTorch {torch.__version__}",
        "net": args.net,
        "loss": args.loss,
        "amp": args.amp,
        "channels_last": args.channels_last,
        "threads": torch.get_num_threads(),
        "iterations": args.iterations,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "iterations_per_second": args.iterations / seconds,
        "d_loss": losses[0].item(),
        "g_loss": losses[1].item(),
    }
    if args.json:
        print(json.dumps(result))
    else:
        print(f"{args.net} {args.loss}: {result['iterations_per_second']:.2f} it/s ({args.iterations} in {seconds:.2f} s)")


if __name__ == "__main__":
    main()
