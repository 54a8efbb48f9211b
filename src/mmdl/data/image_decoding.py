"""From a split to its data set: images are decoded, brought to one size and kept where they are read fastest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmdl.data.bad_images import BadSamples
from mmdl.data.cache import PixelCache, PixelFiles, Resize, undecodable
from mmdl.data.image_dataset import (
    CHUNK,
    ImageDataset,
    Pixels,
    ResidentPixels,
    SelectedPixels,
    with_channels,
)
from mmdl.data.image_split import ImageSplit
from mmdl.data.memory import available_memory
from mmdl.errors import UserError

RESIDENT_SHARE = 0.4
"""Images live in a memory where they take at most this share of what is free."""


class ImageView(NamedTuple):
    """How a model sees images, and where they are kept.

    Attributes:
        image_size: Height and width in pixels; None keeps those of the images.
        channels: 1 or 3; None keeps those of the images.
        resize: `squash`, `crop` or `pad`.
        cache_pixels: Keep decoded files on disk.
        on_device: Keep all images in memory; None: where they fit.
        find_bad: Find the files that can't be decoded before training, whatever it takes.
    """

    image_size: int | None = None
    channels: int | None = None
    resize: Resize = "squash"
    cache_pixels: bool = True
    on_device: bool | None = None
    find_bad: bool = False


def decoded_dataset(name: str, split: ImageSplit, view: ImageView) -> tuple[ImageDataset, list[BadSamples]]:
    """The data set of a split without the images that can't be decoded, and what is wrong with those.

    Args:
        name: Of the split, for the progress bar.
        split: Its images.
        view: How they are seen.

    Raises:
        UserError: if files are to keep their own sizes, or none of them is an image.
    """
    if split.pixels is not None:
        pixels = resized(with_channels(torch.from_numpy(split.pixels), view.channels), view.image_size)
        return ImageDataset(split, ResidentPixels(pixels)), []
    if split.decoded is not None:
        return ImageDataset(split, _in_memory(split.decoded, view), view.channels), []
    if view.image_size is None:
        raise UserError(
            "image files have sizes of their own, and data.image_size=null",
            valid="pixels",
            fix="data.image_size=128",
        )
    return _from_files(name, split, view, view.image_size)


def _from_files(
    name: str, split: ImageSplit, view: ImageView, size: int
) -> tuple[ImageDataset, list[BadSamples]]:
    assert split.files is not None
    pixels: PixelCache | PixelFiles
    if view.cache_pixels:
        pixels = PixelCache(split.files, size, view.resize, f"decoding {name} images", split.files.identity())
        bad = pixels.bad
    else:
        pixels = PixelFiles(split.files, size, view.resize)
        bad = {}
        if view.find_bad:
            bad = undecodable(
                split.files, size, view.resize, f"checking {name} images", split.files.identity()
            )
    found = [BadSamples(reason, message) for reason, message in bad.values()]
    chosen: Pixels = pixels
    if bad:
        keep = np.setdiff1d(np.arange(len(split)), np.fromiter(bad, dtype=np.int64))
        if not len(keep):
            raise UserError(
                f"none of the {len(split):,} {name} images can be used, such as: {found[0].message}"
            )
        split, chosen = split.select(keep), SelectedPixels(pixels, keep)
    if view.cache_pixels:
        chosen = _in_memory(chosen, view)
    return ImageDataset(split, chosen, view.channels), found


def _in_memory(pixels: Pixels, view: ImageView) -> Pixels:
    """Memory-mapped images as one tensor, where they fit."""
    if view.on_device is False or not len(pixels):
        return pixels
    first = pixels[np.zeros(1, dtype=np.int64)]
    if not view.on_device and len(pixels) * first.nbytes >= RESIDENT_SHARE * available_memory():
        return pixels
    return ResidentPixels(pixels[np.arange(len(pixels), dtype=np.int64)])


def resized(images: Tensor, size: int | None) -> Tensor:
    """Images in memory, brought to `size`; `(N, C, size, size)` uint8. The filter is that of `load_image`."""
    if size is None or images.shape[-2:] == (size, size):
        return images
    from torch.nn.functional import interpolate

    parts = [
        interpolate(part.float(), (size, size), mode="bicubic", antialias=True)
        .round()
        .clamp(0, 255)
        .to(torch.uint8)
        for part in images.split(CHUNK)
    ]
    return torch.cat(parts)
