"""Fréchet distances of features in closed form, with numpy: the table of `src/gaussian.rs`.

    python frechet_distances.py
"""

import numpy as np


def features(examples, dimension, turn):
    example, at = np.arange(examples)[:, None], np.arange(dimension)[None, :]
    return np.sin(example * (at + 1.0) * 0.37 + turn) + 0.5 * np.cos(example * 0.11 * (at + turn)) + 0.1 * at * turn


def distance(a, b):
    mean = a.mean(axis=0) - b.mean(axis=0)
    s, t = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    # The eigenvalues of a product of two positive semidefinite matrices are real and not negative.
    roots = np.sqrt(np.clip(np.linalg.eigvals(s @ t).real, 0, None))
    return mean @ mean + np.trace(s) + np.trace(t) - 2 * roots.sum()


for examples, dimension, a, b in [
    (50, 1, 0.0, 1.0),
    (200, 3, 0.2, 0.7),
    (400, 16, 0.0, 0.3),
    (1000, 49, 0.1, 0.4),
    (300, 64, 1.0, 0.9),
    (40, 48, 0.0, 2.0),
]:
    print(f"            ({examples}, {dimension}, {a}, {b}, {distance(features(examples, dimension, a), features(examples, dimension, b)):.12g}),")
