"""The figures of latent-quality by numpy, from their definitions.

    python figures.py FOLDER
reads real.npy and generated.npy (features), probabilities.npy and expected.npy (shares), and prints JSON.
"""
import json
import sys

import numpy as np

folder = sys.argv[1]
real, generated, probabilities, expected = (
    np.load(f"{folder}/{name}.npy").astype(np.float64) for name in ("real", "generated", "probabilities", "expected"))

a, b = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
# The trace of the root of a product of two positive semidefinite matrices is the sum of the roots of its eigenvalues.
root = np.sqrt(np.clip(np.linalg.eigvals(a @ b).real, 0, None)).sum()
frechet = ((real.mean(0) - generated.mean(0)) ** 2).sum() + np.trace(a + b) - 2 * root


def discrepancy(x, y):
    kernel = lambda u, v: (u @ v.T / u.shape[1] + 1) ** 3
    n = len(x)
    own = sum(k.sum() - np.trace(k) for k in (kernel(x, x), kernel(y, y))) / (n * (n - 1))
    return own - 2 * kernel(x, y).mean()


kid = [discrepancy(real[at:at + 1000], generated[at:at + 1000]) for at in range(0, len(real) - 999, 1000)]

k = 5
distance = lambda x, y: np.sqrt(((x[:, None] - y[None]) ** 2).sum(2))
# The nearest is the vector itself.
radius = lambda x: np.sort(distance(x, x), axis=1)[:, k]
distances = distance(real, generated)
of_real, of_generated = radius(real), radius(generated)
within = distances <= of_real[:, None]

divergence = lambda p, q: np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / q), 0).sum(-1)
score = np.exp(divergence(probabilities, probabilities.mean(0)).mean())
shares = np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1]) / len(probabilities)
print(json.dumps({
    "frechet": frechet,
    "kid": float(np.mean(kid)),
    "kid_deviation": float(np.std(kid)),
    "precision": within.any(0).mean(),
    "recall": (distances <= of_generated[None, :]).any(1).mean(),
    "density": within.sum() / (k * len(generated)),
    "coverage": within.any(1).mean(),
    "score": float(score),
    "divergence": float(divergence(shares, expected)),
    "confident": (probabilities.max(1) > 0.9).mean(),
}))
