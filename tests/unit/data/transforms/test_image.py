"""`load_image`: which images load, with which pixels, and how each broken file is refused."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdl.data.transforms.image import BadImage, load_image
from mmdl.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore")  # pytest replaces the filter that the module installs
DATA = Path(os.environ.get("MMDL_TEST_DATA", "../shared/data"))


def photo(height: int = 48, width: int = 64) -> Image.Image:
    """Smooth colour gradients, so that lossy formats stay close."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) % 256], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    image_data = chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + image_data + chunk(b"IEND", b"")


def refused(path: Path | io.BytesIO, **options: object) -> BadImage:
    with pytest.raises(BadImage) as caught:
        load_image(path, 16, **options)
    assert isinstance(caught.value, UserError)
    return caught.value


def test_same_size_gives_the_pixels_themselves() -> None:
    image = photo()
    out = load_image(io.BytesIO(encoded(image, "PNG")), (48, 64))
    assert out.dtype == torch.uint8
    assert out.is_contiguous()
    assert torch.equal(out, torch.from_numpy(np.array(image)).permute(2, 0, 1))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_formats(file_format: str) -> None:
    out = load_image(io.BytesIO(encoded(photo(), file_format)), (48, 64))
    expected = np.array(photo()).transpose(2, 0, 1).astype(int)
    assert abs(out.numpy().astype(int) - expected).mean() < 6


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK", "YCbCr"])
def test_modes_become_rgb(mode: str) -> None:
    white = Image.new("RGB", (20, 10), (255, 255, 255)).convert(mode)
    file_format = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
    assert load_image(io.BytesIO(encoded(white, file_format)), 8).float().mean() > 253


def test_cmyk_jpeg_colours() -> None:
    red = Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK")
    out = load_image(io.BytesIO(encoded(red, "JPEG", quality=95)), 8).float().mean(dim=(1, 2))
    assert out[0] > 240
    assert out[1:].max() < 20


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    values = np.array([[0, 257, 128 * 257, 65_535]], dtype=np.uint16).repeat(4, axis=0)
    for file_format in ("PNG", "TIFF"):
        out = load_image(io.BytesIO(encoded(Image.fromarray(values), file_format)), 4)
        assert out[:, 0].tolist() == [[0, 1, 128, 255]] * 3, file_format


def test_16_bit_pgm() -> None:
    data = b"P5 2 1 65535\n" + struct.pack(">HH", 0, 128 * 257)
    assert load_image(io.BytesIO(data), (1, 2))[0].tolist() == [[0, 128]]


def test_float_pixels_are_refused() -> None:
    data = encoded(Image.fromarray(np.ones((4, 4), dtype=np.float32)), "TIFF")
    assert refused(io.BytesIO(data)).reason == "unreadable"


def test_transparency_is_laid_on_white() -> None:
    rgba = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    assert load_image(io.BytesIO(encoded(rgba, "PNG")), 4).min() == 255
    half = Image.new("LA", (4, 4), (0, 128))
    assert load_image(io.BytesIO(encoded(half, "PNG")), 4).unique().tolist() == [127]
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert load_image(io.BytesIO(encoded(palette, "PNG")), 4)[:, 0, 0].tolist() == [10, 20, 30]
    assert load_image(io.BytesIO(encoded(palette, "PNG", transparency=1)), 4).min() == 255


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, file_format: str) -> None:
    upright = photo(48, 64)
    turn = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }.get(orientation, [])
    stored = upright.transpose(turn[0]) if turn else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = load_image(io.BytesIO(encoded(stored, file_format, exif=exif)), (48, 64))
    expected = np.array(upright).transpose(2, 0, 1).astype(int)
    assert abs(out.numpy().astype(int) - expected).mean() < 6


def test_resize_modes() -> None:
    wide = Image.new("RGB", (90, 30), (0, 0, 0))
    wide.paste((255, 255, 255), (30, 0, 60, 30))  # the middle third is white
    file = io.BytesIO(encoded(wide, "PNG"))
    assert load_image(file, 30, "crop").min() == 255
    squashed = load_image(file, 30, "squash")
    assert squashed[0, 15].tolist()[:8] == [0] * 8
    assert squashed[0, 15, 12:18].min() == 255
    padded = load_image(file, 30, "pad")
    assert padded[:, :10].max() == padded[:, 20:].max() == 0
    assert padded[0, 15, 12:18].min() == 255
    with pytest.raises(UserError, match="unknown resize 'stretch'"):
        load_image(file, 30, "stretch")  # type: ignore[arg-type]


def test_a_large_jpeg_stays_close_to_a_full_decode() -> None:
    data = encoded(photo(1200, 1600), "JPEG", quality=95)
    full = Image.open(io.BytesIO(data)).resize((64, 64), Image.Resampling.BICUBIC)
    out = load_image(io.BytesIO(data), 64).numpy().astype(int)
    assert abs(out - np.array(full).transpose(2, 0, 1).astype(int)).mean() < 2


def test_refusals_name_path_and_reason(tmp_path: Path) -> None:
    def put(name: str, data: bytes) -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    jpeg = encoded(photo(), "JPEG")
    cases = {
        "missing": tmp_path / "none.jpg",
        "empty file": put("empty.jpg", b""),
        "not an image": put("text.jpg", b"hello, this is text"),
        "truncated": put("cut.jpg", jpeg[: len(jpeg) // 2]),
        "too large": put("bomb.png", png_header(10_000, 10_000)),
        "unreadable": put("damaged.png", png_header(10, 10)[:60] + b"garbage" * 9),
    }
    for reason, path in cases.items():
        error = refused(path)
        assert error.path == str(path)
        assert error.given.startswith(f"bad image {str(path)!r}: ")
        if reason != "unreadable":
            assert error.reason == reason
        again = pickle.loads(pickle.dumps(error))
        assert (again.reason, again.path, str(again)) == (error.reason, error.path, str(error))
    assert refused(tmp_path).reason == "not an image"
    assert refused(cases["truncated"]).fix


def test_the_limit_of_pixels_is_a_parameter() -> None:
    data = io.BytesIO(encoded(photo(48, 64), "PNG"))
    assert load_image(data, 16, max_pixels=48 * 64).shape == (3, 16, 16)
    assert refused(data, max_pixels=48 * 64 - 1).reason == "too large"


@pytest.mark.parametrize(
    ("file_format", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("GIF", {}), ("TIFF", {})],
)
def test_no_cut_passes_with_other_pixels(file_format: str, options: dict[str, object]) -> None:
    """A file cut off anywhere is refused, or nothing but its trailer was lost."""
    data = encoded(photo(24, 32), file_format, **options)
    whole = load_image(io.BytesIO(data), (24, 32))
    refused: dict[int, str] = {}
    for length in {*range(1, len(data), 7), *range(len(data) - 60, len(data))}:
        try:
            cut = load_image(io.BytesIO(data[:length]), (24, 32))
        except BadImage as error:
            refused[length] = error.reason
            continue
        assert torch.equal(cut, whole), length
    assert len(refused) > len(data) // 14
    assert {reason for length, reason in refused.items() if length > 40} <= {"truncated", "unreadable"}


def test_nothing_reaches_the_console(tmp_path: Path) -> None:
    """In a process of its own: pytest swaps the warning filters."""
    (tmp_path / "bomb.png").write_bytes(png_header(10_000, 10_000))
    cut = encoded(photo(), "TIFF")
    (tmp_path / "cut.tif").write_bytes(cut[: len(cut) // 2])
    script = (
        "import sys; from mmdl.data.transforms.image import *\n"
        "for path in sys.argv[1:]:\n"
        "    try: load_image(path, 8)\n"
        "    except BadImage as error: print(error.reason)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "bomb.png", tmp_path / "cut.tif"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["too large", "truncated"]
    assert done.stderr == ""


@pytest.mark.skipif(not (DATA / "coco/images/val2014").is_dir(), reason=f"no real COCO images under {DATA}")
def test_real_images() -> None:
    paths = sorted((DATA / "coco/images/val2014").iterdir())[:20]
    stack = torch.stack([load_image(path, 64) for path in paths])
    assert stack.shape == (20, 3, 64, 64)
    assert 60 < stack.float().mean() < 180
