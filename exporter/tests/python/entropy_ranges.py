"""The ranges of the entropy calibrator for distributions in closed form, by its definition, interval by interval.

    python entropy_ranges.py

prints the table of `src/quantize/entropy.rs`. The definition is that of `_compute_amax_entropy` in NVIDIA's
pytorch-quantization toolkit (calib/histogram.py), for 256 levels and for both sides of zero; intervals that hold only
values from beyond count as filled, as in ONNX Runtime's `get_entropy_threshold`.
"""

import numpy as np

LEVELS = 256
SHORTEST = 128
BINS = 4096


def distribution(name):
    at = np.arange(-BINS // 2, BINS // 2)
    x = at / 256.0
    bell = lambda x: np.floor(1e6 * np.exp(-x * x / 2)).astype(np.int64)
    tails = lambda x: np.floor(1e5 * np.exp(-np.abs(x))).astype(np.int64)
    return {
        "normal": bell(x),
        "rectified": np.where(at > 0, bell(x), np.where(at == 0, 50_000_000, 0)),
        "exponential": tails(x),
        "rectified exponential": np.where(at >= 0, tails(x), 0),
        "leaky": np.where(at >= 0, bell(x), 5 * bell(5.0 * x)),
        "outliers": bell(2.0 * x) + 3 * (np.fmod(at, 97) == 5),
        "uniform": np.full(BINS, 1000),
        "uniform within": np.where((at >= -300) & (at < 500), 1000, 0),
        "below": np.where(at < 0, tails(2.0 * x), 0),
        "narrow": np.where((at >= 0) & (at < 100), 7 + at, 0),
    }[name]


def divergence(counts, start, end):
    inside = counts[start:end]
    p = inside.astype(np.float64)
    p[0] += counts[:start].sum()
    p[-1] += counts[end:].sum()
    filled = p > 0
    level = np.array([index * LEVELS // len(inside) for index in range(len(inside))])
    mass = np.bincount(level, weights=inside, minlength=LEVELS)
    share = np.bincount(level, weights=filled, minlength=LEVELS)
    q = np.where(filled, mass[level] / np.maximum(share[level], 1), 0.0)
    if np.any(filled & (q == 0)):
        return np.inf
    p, q = p[filled] / p.sum(), q[filled] / q.sum()
    return np.sum(p * np.log(p / q))


def best(counts):
    counts = counts.astype(np.int64).copy()
    zero = BINS // 2
    counts[zero] = counts[zero + 1]
    held = np.flatnonzero(counts)
    first, last = min(held[0], zero), max(held[-1], zero - 1)
    farthest = max(zero - first, last + 1 - zero)
    ranges = [
        (max(first, zero - reach), min(last + 1, zero + reach))
        for reach in range(min(SHORTEST, farthest), farthest + 1)
    ]
    found = np.array([divergence(counts, *both) for both in ranges])
    least = len(found) - 1 - int(np.argmin(found[::-1]))
    # How clear it is: the next best that is not its neighbor.
    others = np.delete(found, range(max(least - 1, 0), min(least + 2, len(found))))
    return ranges[least], found[least], others.min(initial=np.inf)


for name in [
    "normal", "rectified", "exponential", "rectified exponential", "leaky", "outliers", "uniform", "uniform within",
    "below", "narrow",
]:
    (start, end), least, next_best = best(distribution(name))
    print(f'        ("{name}", {start}..{end}), // {least:.9g}, next {next_best:.9g}')
