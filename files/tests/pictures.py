"""Makes the odd pictures of files/tests/pictures, and writes what Pillow reads in them into expected.txt.

Run with Pillow and NumPy: python files/tests/pictures.py. The tests need neither: they read what it wrote.
"""

import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 6, 4
# Decoders of JPEG may differ a little: other integers in the inverse transform and in the conversion from YCbCr.
JPEG_TOLERANCE = 1

y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
gray = (40 * x + 17 * y).astype("u1")
rgb = np.stack([40 * x, 80 * y, 255 - 25 * x - 20 * y], -1).astype("u1")
alpha = (255 - 50 * x + 3 * y).clip(0, 255).astype("u1")
rgba = np.dstack([rgb, alpha])
# Both bytes differ, and the lower one is large: rounding to 8 bits would give other values than dropping it.
deep = lambda values: values.astype("u2") * 256 + 255 - values // 3


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, color, depth, late=b""):
    """A PNG file of a kind that Pillow does not write: 16 bits per sample, or a chunk behind the image."""
    height, width = samples.shape[:2]
    rows = samples.astype(">u2" if depth == 16 else "u1").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(data)) + late + chunk(b"IEND", b"")


def saved(image, format="PNG", **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def pictures():
    def jpeg(image, **options):
        return saved(image, "JPEG", quality=95, **{"subsampling": 0, **options})

    color = Image.fromarray(rgb)
    yield "gray.png", saved(Image.fromarray(gray))
    yield "rgb.png", saved(color)
    yield "gray_1_bit.png", saved(Image.fromarray(gray > 100))
    yield "gray_key.png", saved(Image.fromarray(gray), transparency=int(gray[1, 2]))
    yield "rgb_key.png", saved(color, transparency=tuple(int(v) for v in rgb[1, 2]))
    yield "gray_alpha.png", saved(Image.fromarray(np.dstack([gray, alpha]), "LA"))
    yield "rgba.png", saved(Image.fromarray(rgba))
    palette = color.quantize(16, dither=Image.Dither.NONE)
    yield "palette.png", saved(palette)
    yield "palette_4_bits.png", saved(color.quantize(9, dither=Image.Dither.NONE), bits=4)
    yield "palette_key.png", saved(palette, transparency=3)
    yield "palette_alpha.png", saved(palette, transparency=bytes(range(0, 256, 16)))
    yield "gray_16.png", png(deep(gray), 0, 16)
    yield "rgb_16.png", png(deep(rgb), 2, 16)
    yield "gray_alpha_16.png", png(deep(np.dstack([gray, alpha])), 4, 16)
    yield "rgba_16.png", png(deep(rgba), 6, 16)
    others = [Image.fromarray(255 - rgb), Image.fromarray(rgb // 2)]
    yield "animated.png", saved(color, save_all=True, append_images=others)
    yield "animated_apart.png", saved(color, save_all=True, append_images=others, default_image=True)
    for orientation in range(1, 9):
        yield f"exif_{orientation}.jpg", jpeg(Image.fromarray(gray), exif=exif(orientation))
    yield "exif_color.jpg", jpeg(color, exif=exif(6))
    yield "exif.png", saved(color, exif=exif(5))
    yield "exif_late.png", png(rgb, 2, 8, chunk(b"eXIf", exif(8).tobytes()[6:]))
    yield "gray.jpg", jpeg(Image.fromarray(gray))
    yield "color.jpg", jpeg(color)
    yield "progressive.jpg", jpeg(color, progressive=True)
    yield "png_inside.jpg", saved(color)
    yield "jpeg_inside.png", jpeg(color)
    inks = Image.fromarray(np.dstack([rgb, 255 - alpha]), "CMYK")
    cmyk = jpeg(inks)
    yield "cmyk.jpg", cmyk
    # The same without Adobe's segment, and with one that says YCCK.
    adobe = cmyk.index(b"\xff\xee")
    yield "cmyk_plain.jpg", cmyk[:adobe] + cmyk[adobe + 16 :]
    yield "ycck.jpg", cmyk[: adobe + 15] + b"\2" + cmyk[adobe + 16 :]
    large = np.random.default_rng(0).integers(0, 256, (14, 33, 3), "u1")
    yield "large.png", saved(Image.fromarray(large))


def read(path):
    """The picture in 8 bits, gray (H, W) or color (H, W, 3)."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I;16"):
        # Pillow's convert("L") clips at 255 here; its own reading of 16-bit color keeps the upper byte.
        return (np.asarray(image) >> 8).astype("u1")
    # Gray with alpha of 16 bits has no mode of its own: it is RGBA here.
    is_gray = image.mode in ("1", "L", "LA") or path.name == "gray_alpha_16.png"
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if is_gray:
        return np.asarray(image.convert("L"))
    return np.asarray(image.convert("RGB"))


def fit(pixels, width, height):
    """The largest centered part of these proportions, resized."""
    h, w = pixels.shape[:2]
    crop_w, crop_h = min(w, h * width // height), min(h, w * height // width)
    left, top = (w - crop_w) // 2, (h - crop_h) // 2
    part = Image.fromarray(pixels).crop((left, top, left + crop_w, top + crop_h))
    return np.asarray(part.resize((width, height), Image.Resampling.BICUBIC))


def line(name, pixels, tolerance):
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else 3
    return f"{name} {width} {height} {channels} {tolerance} {pixels.tobytes().hex()}\n"


def main():
    FOLDER.mkdir(exist_ok=True)
    lines = "# file, width, height, channels, largest difference that is allowed, pixels; made by pictures.py\n"
    for name, content in pictures():
        path = FOLDER / name
        path.write_bytes(content)
        pixels = read(path)
        tolerance = JPEG_TOLERANCE if content.startswith(b"\xff\xd8") else 0
        if name == "large.png":
            # Filters may round between their two passes, or not.
            pixels, tolerance = fit(pixels, WIDTH, HEIGHT), 1
        lines += line(name, pixels, tolerance)
        luma = np.asarray(Image.fromarray(pixels).convert("L"))
        if pixels.ndim == 3 and tolerance == 0:
            lines += line(name, luma, 0)
    (FOLDER / "expected.txt").write_text(lines)


main()
