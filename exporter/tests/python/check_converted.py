"""Runs converted models in ONNX Runtime beside the one they come from: python check_converted.py MODEL [PSNR CONVERTED]...

Runs ONNX's checker on each. Exits with 1 when a model's outputs are less than PSNR dB from the given model's. What a model
gives is written beside it as CONVERTED.npy, and the inputs as MODEL.npy.
"""

import sys

import numpy as np
import onnx
import onnxruntime


def run(path, latents):
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    # Without VNNI, products of bytes saturate unless exact ones are asked for.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert given.type == "tensor(float)", (path, given.type)
    (found,) = session.run(None, {given.name: latents})
    assert found.dtype == np.float32, (path, found.dtype)
    return found


def main():
    model, *converted = sys.argv[1:]
    latents = np.random.default_rng(0).uniform(-1, 1, (8, 96)).astype(np.float32)
    expected = run(model, latents)
    np.save(f"{model}.npy", latents)
    for least, path in zip(converted[::2], converted[1::2], strict=True):
        found = run(path, latents)
        np.save(f"{path}.npy", found)
        error = np.sqrt(np.mean((found.astype(np.float64) - expected) ** 2))
        psnr = 20 * np.log10(np.ptp(expected) / max(error, 1e-30))
        assert psnr >= float(least), f"{path}: {psnr:.1f} dB in ONNX Runtime, expected at least {least}"
        print(f"{path}: {psnr:.1f} dB in ONNX Runtime")


main()
