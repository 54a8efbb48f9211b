"""The images of test items inside a page: each content once, as small as an eye allows, within a limit of bytes."""

from __future__ import annotations

import base64
import hashlib
import io
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mmdl.review.images import item_images as kept_images
from mmdl.review.model import Review

LIMIT = 12_000_000
"""Characters of images in a page."""
AS_THEY_ARE = 6_000
"""A file of at most so many bytes is taken as it is; a larger one is made smaller."""
SIDE = 288
"""Pixels of the longer side of an image that is made smaller."""
TYPES = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp", b"GIF8": "gif"}


class ItemImages:
    """Finds images by predictions and key in the run folders, in the order of the runs, and keeps what a page needs.

    Args:
        runs: Run folders; they are only read.
        limit: Characters of data URIs in all.

    Attributes:
        found: Data URIs; `place` points into it.
        damaged: Files that are no image.
        left_out: Images that the limit left no room for.
    """

    def __init__(self, runs: list[Path], limit: int = LIMIT) -> None:
        self.found: list[str] = []
        self.damaged = 0
        self.left_out = 0
        self._left = limit
        self._runs = runs
        self._files: dict[str, dict[str, Path]] = {}
        self._places: dict[tuple[str, str], int] = {}
        self._contents: dict[bytes, int] = {}

    def has(self, name: str, key: str) -> bool:
        """Whether some run has kept an image of an item.

        Args:
            name: Of the predictions, or their split.
            key: Of the image.
        """
        return key in self._of(name)

    def place(self, name: str, key: str) -> int:
        """The image's place in `found`; -1 where there is none, or no room for it."""
        if (name, key) not in self._places:
            path = self._of(name).get(key)
            self._places[name, key] = -1 if path is None else self._take(path)
        return self._places[name, key]

    def _of(self, name: str) -> dict[str, Path]:
        """The images of all runs; of one that several have kept, that of the first."""
        if name not in self._files:
            files: dict[str, Path] = {}
            for run in self._runs:
                files = kept_images(run, name) | files
            self._files[name] = files
        return self._files[name]

    def _take(self, path: Path) -> int:
        try:
            content = path.read_bytes()
        except OSError:
            self.damaged += 1
            return -1
        mark = hashlib.sha1(content, usedforsecurity=False).digest()
        if mark not in self._contents:
            picture = data_uri(content)
            if picture is None:
                self.damaged += 1
                return -1
            if len(picture) > self._left:
                self.left_out += 1
                return -1
            self._left -= len(picture)
            self._contents[mark] = len(self.found)
            self.found.append(picture)
        return self._contents[mark]


def item_images(review: Review) -> ItemImages:
    """The images of a review, one store for all its sections."""
    if "item_images" not in review.shared:
        review.shared["item_images"] = ItemImages([run.path for run in review.runs])
    found: ItemImages = review.shared["item_images"]
    return found


def data_uri(content: bytes, as_they_are: int = AS_THEY_ARE, side: int = SIDE) -> str | None:
    """An image as a page holds it; None where it is none, or a damaged one.

    Args:
        content: A PNG, JPEG, WebP or GIF file.
        as_they_are: Bytes up to which it is not made smaller.
        side: Pixels of the longer side after that.
    """
    kind = next((name for begin, name in TYPES.items() if content.startswith(begin)), None)
    if kind is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                if len(content) <= as_they_are:
                    image.load()  # a damaged file is noticed here, not by the browser
                else:
                    kind, content = "webp", _smaller(image, side)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    except Image.DecompressionBombWarning:
        return None
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()


def _smaller(image: Image.Image, side: int) -> bytes:
    buffer = io.BytesIO()
    small = image.convert("RGBA" if "A" in image.getbands() else "RGB")
    small.thumbnail((side, side))
    small.save(buffer, "WEBP", quality=78, method=2)
    return buffer.getvalue()
