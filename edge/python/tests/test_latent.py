"""The module against NumPy, and against the program `runtime` where LATENT_RUNTIME names it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import latent
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
DIGITS = ROOT / "models/dcgan-mnist.int8.lat"
ENCODER = ROOT / "edge/models/encoder.lat"


@pytest.fixture(scope="module")
def digits():
    return latent.open(DIGITS)


def test_a_model_says_what_it_is(digits):
    assert (digits.kind, digits.precision, digits.value_range) == ("generator", "int8", (-1.0, 1.0))
    (z,), (image,) = digits.inputs, digits.outputs
    assert (z.name, z.shape, z.dtype) == ("z", (96,), "float32")
    assert (image.name, image.shape, image.dtype) == ("image", (1, 28, 28), "float32")
    assert digits.metadata["latent.distribution"] == "uniform"
    assert (digits.label, digits.classes, digits.threads) == (None, None, 1)


def test_images_are_those_of_the_program(digits, tmp_path):
    program = os.environ.get("LATENT_RUNTIME")
    if program is None:
        pytest.skip("LATENT_RUNTIME does not name the program `runtime`")
    out = tmp_path / "images.npy"
    command = [program, "run", DIGITS, "--backend", "native", "--seed", "11", "--count", "5", "--save-output", out]
    subprocess.run(command, check=True)
    assert digits.run(digits.sample(5, seed=11)).tobytes() == np.load(out).tobytes()


def test_slerp_is_that_of_numpy():
    a, b = (np.random.default_rng(seed).normal(size=96).astype(np.float32) for seed in (1, 2))
    t = np.linspace(0, 1, 7, dtype=np.float32)
    wide_a, wide_b, wide_t = a.astype(float), b.astype(float), t.astype(float)[:, None]
    angle = np.arccos(wide_a @ wide_b / np.linalg.norm(wide_a) / np.linalg.norm(wide_b))
    expected = (np.sin((1 - wide_t) * angle) * wide_a + np.sin(wide_t * angle) * wide_b) / np.sin(angle)
    np.testing.assert_allclose(latent.slerp(a, b, t), expected, atol=1e-6)
    assert latent.slerp(a, b, 0.5).shape == (96,)
    np.testing.assert_allclose(latent.lerp(a, b, t), (1 - wide_t) * wide_a + wide_t * wide_b, atol=1e-6)


def test_the_layout_of_an_array_does_not_matter(digits):
    z = digits.sample(4, seed=3)
    expected = digits.run(z)
    assert expected.shape == (4, 1, 28, 28) and expected.dtype == np.float32
    np.testing.assert_array_equal(digits.run(np.asfortranarray(z)), expected)
    np.testing.assert_array_equal(digits.run(z=z[::-1]), expected[::-1])


@pytest.mark.parametrize(
    ("z", "sentence"),
    [
        (np.zeros((2, 96)), "float64"),
        (np.zeros(96, np.float32), r"\(N, 96\)"),
        (np.zeros((2, 95), np.float32), r"\(2, 95\)"),
        (np.zeros((0, 96), np.float32), "batch of 0"),
        ("noise", "the input z takes float32"),
    ],
)
def test_what_does_not_fit_is_a_value_error(digits, z, sentence):
    with pytest.raises(ValueError, match=sentence):
        digits.run(z)


def test_errors_have_the_runtimes_codes(digits, tmp_path):
    damaged = tmp_path / "damaged.lat"
    damaged.write_bytes(DIGITS.read_bytes()[:-4])
    z = digits.sample(1)
    for work, code in [
        (lambda: latent.open(damaged), 103),
        (lambda: digits.run(np.zeros((0, 96), np.float32)), 300),
        (lambda: digits.run(z, z), 305),
        (lambda: digits.run(y=z), 306),
        (lambda: digits.run(), 307),
    ]:
        with pytest.raises(latent.Error) as error:
            work()
        assert error.value.code == code, error.value
    with pytest.raises(FileNotFoundError):
        latent.open(tmp_path / "nothing.lat")


def test_pictures_go_in_and_out(digits):
    encoder = latent.open(ENCODER)
    (taken,) = encoder.inputs
    height, width = taken.shape[1:]
    pixels = np.random.default_rng(5).integers(0, 256, (3, height, width), dtype=np.uint8)
    values = encoder.from_pixels(pixels, value_range=(0.0, 1.0))
    assert values.shape == (3, *taken.shape)
    assert encoder.run(values).shape == (3, *encoder.outputs[0].shape)
    images = digits.run(digits.sample(3))
    expected = np.clip(np.rint((images[:, 0] + 1) * np.float32(127.5)), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(digits.to_pixels(images), expected)


def test_threads_run_one_model_at_once(digits):
    z = digits.sample(64, seed=9)
    expected = digits.run(z)
    found = {}

    def work(index):
        found[index] = all(np.array_equal(digits.run(z), expected) for _ in range(5))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), True)


def test_a_run_lets_other_threads_go_on(digits):
    z = np.repeat(digits.sample(64), 256, axis=0)
    interval = sys.getswitchinterval()
    done, seen = threading.Event(), []
    # So long that nobody has to give the lock away.
    sys.setswitchinterval(1000)
    try:
        started = threading.Event()

        def run():
            started.set()
            digits.run(z)
            done.set()

        thread = threading.Thread(target=run)
        thread.start()
        started.wait()
        seen.append(done.is_set())
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen == [False]


def test_the_stub_says_what_is_there():
    subprocess.run([sys.executable, "-m", "mypy.stubtest", "latent"], check=True)


def test_ten_lines_save_a_picture(tmp_path):
    out = tmp_path / "seed-7.pgm"
    example = Path(__file__).parents[1] / "examples/ten_lines.py"
    subprocess.run([sys.executable, example, DIGITS, out], check=True)
    model = latent.open(DIGITS)
    pixels = model.to_pixels(model.run(model.sample(1, seed=7)))
    assert out.read_bytes() == b"P5\n28 28\n255\n" + pixels.tobytes()
