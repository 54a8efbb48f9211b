"""The images of a captioned split, brought to one size, without those that can't be decoded."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmdl.data.bad_images import BadSamples
from mmdl.data.cache import PixelCache, PixelFiles, Resize, undecodable
from mmdl.data.caption_index import CaptionIndex
from mmdl.data.pixels import ChosenPixels, Pixels
from mmdl.errors import UserError


class CaptionView(NamedTuple):
    """How a model sees the images, and where they are kept.

    Attributes:
        image_size: Height and width in pixels.
        resize: `squash`, `crop` or `pad`.
        cache_pixels: Keep decoded files on disk.
        find_bad: Find the files that can't be decoded before training, whatever it takes.
    """

    image_size: int
    resize: Resize
    cache_pixels: bool
    find_bad: bool


def caption_pixels(
    split: str, index: CaptionIndex, view: CaptionView
) -> tuple[CaptionIndex, Pixels, list[BadSamples]]:
    """The index of the images that can be decoded, their pixels, and what is wrong with the others.

    Args:
        split: Its name, for the progress bar.
        index: All images.
        view: How they are seen.

    Raises:
        UserError: None of them can be decoded.
    """
    if index.decoded is not None:
        return index, index.decoded, []
    files, identity = index.files, index.files.identity()
    pixels: Pixels
    bad: dict[int, tuple[str, str]] = {}
    if view.cache_pixels:
        cache = PixelCache(files, view.image_size, view.resize, f"decoding {split} images", identity)
        pixels, bad = cache, cache.bad
    else:
        pixels = PixelFiles(files, view.image_size, view.resize)
        if view.find_bad:
            bad = undecodable(files, view.image_size, view.resize, f"checking {split} images", identity)
    found = [BadSamples(reason, message) for reason, message in bad.values()]
    if not bad:
        return index, pixels, found
    kept = np.setdiff1d(np.arange(len(index)), np.fromiter(bad, dtype=np.int64))
    if not len(kept):
        raise UserError(f"none of the {len(index):,} {split} images can be used, such as: {found[0].message}")
    return index.select(kept), ChosenPixels(pixels, kept, pixels.key), found
