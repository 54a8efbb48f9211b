"""Images from disk as uint8 RGB tensors: usual files load, broken ones are refused with the reason."""

from __future__ import annotations

import functools
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from mmdl.data.heartbeat import beat
from mmdl.errors import UserError

Resize: TypeAlias = Literal["squash", "crop", "pad"]
"""How an image of another aspect ratio meets the target; see `load_image`."""

Reason: TypeAlias = Literal["missing", "empty file", "not an image", "truncated", "too large", "unreadable"]
"""Why an image was refused; the key under which `on_bad_sample=skip` counts it."""

Source: TypeAlias = str | os.PathLike[str] | IO[bytes]
"""A path, or a binary file that can seek."""

# Left out: formats that run programs (EPS starts Ghostscript) and those that no data set uses.
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
)
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow warns of what is refused here (size) or can't be mended (odd EXIF): neither helps the user.
# A filter by module is safe with threads; `catch_warnings` around each image is not.
warnings.filterwarnings("ignore", module=r"PIL\.")


class BadImage(UserError):
    """An image file that can't be used.

    Args:
        path: The file.
        reason: One of `Reason`.
        detail: What exactly was found; may be empty.

    Attributes:
        path: The file, as a string.
        reason: One of `Reason`; `on_bad_sample=skip` counts by it.

    >>> error = BadImage("a.jpg", "truncated", "12 bytes missing")
    >>> error.reason, error.given
    ('truncated', "bad image 'a.jpg': truncated (12 bytes missing)")
    """

    def __init__(self, path: str, reason: Reason, detail: str = "") -> None:
        self.path = path
        self.reason: Reason = reason
        self.detail = detail
        super().__init__(
            f"bad image {path!r}: {reason}" + (f" ({detail})" if detail else ""),
            fix="mend or remove the file, or set data.on_bad_sample=skip",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # loader workers send exceptions as pickles; Exception would rebuild this one from its message alone
        return type(self), (self.path, self.reason, self.detail)


def load_image(
    source: Source, size: int | tuple[int, int], resize: Resize = "squash", max_pixels: int = 64_000_000
) -> torch.Tensor:
    """Decode one image to 8-bit RGB at a fixed size.

    Greyscale, palette, CMYK, 16-bit and EXIF-rotated images load; transparency is laid on white. Large JPEGs
    are decoded at a fraction of their size (still at least twice the target). Of an animation the first frame
    is taken.

    Args:
        source: Path or binary file.
        size: Height and width of the result, or one number for a square.
        resize: `squash` ignores the aspect ratio; `crop` fills the target and cuts what sticks out, evenly on
            both sides; `pad` fits the whole image in and fills the borders with black.
        max_pixels: Images with more pixels are refused from their header, before anything is decoded.

    Returns:
        `(3, H, W)` uint8 in [0, 255], contiguous.

    Raises:
        BadImage: The file is missing, empty, not an image, truncated, too large or unreadable.

    >>> import io
    >>> file = io.BytesIO()
    >>> Image.new("L", (40, 20), 9).save(file, "PNG")
    >>> load_image(file, size=(8, 16)).shape
    torch.Size([3, 8, 16])
    """
    beat()
    target = (size, size) if isinstance(size, int) else size
    if not isinstance(source, str | os.PathLike):
        return _load(source, str(getattr(source, "name", "(bytes)")), target, resize, max_pixels)
    name = os.fspath(source)
    try:
        with Path(name).open("rb") as file:
            return _load(file, name, target, resize, max_pixels)
    except FileNotFoundError:
        raise BadImage(name, "missing") from None
    except IsADirectoryError:
        raise BadImage(name, "not an image", "a folder") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise BadImage(name, "unreadable", str(error)) from None


def upright_size(source: Source) -> tuple[int, int]:
    """Height and width in pixels of an image file as it is shown, its EXIF orientation applied.

    Args:
        source: A path, or a binary file; of most formats only the header is read.

    Raises:
        BadImage: It is missing, or its header can't be read.
    """
    name = (
        os.fspath(source)
        if isinstance(source, str | os.PathLike)
        else str(getattr(source, "name", "(bytes)"))
    )
    try:
        with Image.open(source, formats=_formats()) as image:
            width, height = image.size
            return (width, height) if _orientation(image) >= 5 else (height, width)
    except FileNotFoundError:
        raise BadImage(name, "missing") from None
    except Image.DecompressionBombError as error:
        raise BadImage(name, "too large", str(error)) from None
    except UnidentifiedImageError:
        raise BadImage(name, "not an image") from None
    except _DECODE_ERRORS as error:
        raise BadImage(name, "unreadable", str(error)) from None


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _load(
    file: IO[bytes], name: str, target: tuple[int, int], resize: Resize, max_pixels: int
) -> torch.Tensor:
    file.seek(0)
    head = file.read(16)
    if not head:
        raise BadImage(name, "empty file")
    file.seek(0)
    try:
        image = Image.open(file, formats=_formats())
        width, height = image.size
        if width * height > max_pixels:
            raise BadImage(
                name, "too large", f"{width} x {height} pixels, at most {max_pixels:,} are decoded"
            )
        image.draft(None, (2 * max(target), 2 * max(target)))
        image.load()  # before EXIF: Pillow reads a PNG's by decoding it, and a second `load` hides its error
        orientation = _orientation(image)
        if orientation >= 5:  # the axes swap: resize first, turn the small image afterwards
            target = target[::-1]
        pixels = _resize(_to_rgb(image), target, resize)
    except Image.DecompressionBombError as error:
        raise BadImage(name, "too large", str(error)) from None
    except UnidentifiedImageError:
        if head.startswith(_MAGIC):
            raise BadImage(name, "truncated", "the header is cut off or damaged") from None
        raise BadImage(name, "not an image", f"begins with {head!r}") from None
    except _DECODE_ERRORS as error:
        raise BadImage(name, _decode_reason(error), str(error)) from None
    if orientation in _TURNS:
        pixels = pixels.transpose(_TURNS[orientation])
    array = np.array(pixels)  # (H, W, 3)
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()  # (3, H, W)


def _decode_reason(error: BaseException) -> Reason:
    text = str(error).lower()
    # "could not create decoder object" is all that Pillow says of a WebP or AVIF file that was cut off
    if any(word in text for word in ("truncated", "eof", "decoder object", "end of file")):
        return "truncated"
    return "unreadable"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 (upright) where the tag is absent or broken."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DECODE_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of any Pillow mode; transparency on white."""
    if image.mode.startswith(("I", "F")):
        return _deep_grey_to_8_bit(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _deep_grey_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own `convert` clips everything above 255 to white.

    Raises:
        ValueError: 32-bit or floating-point values, whose white level the file does not say.
    """
    if image.mode == "F":
        raise ValueError("floating-point pixels; save as 8 or 16 bits")
    values = np.asarray(image).astype(np.int64)  # (H, W)
    if values.min() < 0 or values.max() > 65_535:
        raise ValueError("pixel values beyond 16 bits; save as 8 or 16 bits")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _resize(image: Image.Image, target: tuple[int, int], resize: Resize) -> Image.Image:
    """Antialiased bicubic resize of an RGB image to `target` (height, width)."""
    height, width = target
    if resize == "squash":
        return image.resize((width, height), Image.Resampling.BICUBIC)
    if resize == "crop":
        # one step: resize only the box that remains, so no pixel is resampled twice
        scale = min(image.width / width, image.height / height)
        box_width, box_height = width * scale, height * scale
        left, top = (image.width - box_width) / 2, (image.height - box_height) / 2
        box = (left, top, min(left + box_width, image.width), min(top + box_height, image.height))
        return image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    if resize == "pad":
        scale = min(width / image.width, height / image.height)
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        canvas = Image.new("RGB", (width, height))  # black
        canvas.paste(
            image.resize(inner, Image.Resampling.BICUBIC),
            ((width - inner[0]) // 2, (height - inner[1]) // 2),
        )
        return canvas
    raise UserError(f"unknown resize {resize!r}", valid="squash, crop, pad")
