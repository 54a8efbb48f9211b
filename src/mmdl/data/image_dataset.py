"""The classification data set: maps an array of rows to a whole batch, gathered where the pixels live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmdl.batch import ImageBatch

if TYPE_CHECKING:
    from mmdl.data.image_split import ImageSplit

IntArray = npt.NDArray[np.int64]

STATISTICS_IMAGES = 4096
"""Images, evenly spread, over which mean and deviation are taken where not all are in memory."""

CHUNK = 4096
"""Images that are worked on at once, where a copy of all of them would not fit."""


class Pixels(Protocol):
    """`N` decoded images, in memory, memory-mapped or decoded when asked."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: IntArray) -> Tensor:
        """`(len(rows), C, H, W)` uint8."""


class ResidentPixels:
    """Images as one tensor in the memory of a device.

    Args:
        tensor: `(N, C, H, W)` uint8.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, rows: IntArray) -> Tensor:
        """`(len(rows), C, H, W)` uint8, on the device of the images."""
        return self.tensor[torch.from_numpy(rows).to(self.tensor.device, non_blocking=True)]

    def to(self, device: torch.device) -> ResidentPixels:
        """The same images on a device."""
        return ResidentPixels(self.tensor.to(device))


class MappedPixels:
    """Images as an array that lies in a file.

    Args:
        array: `(N, C, H, W)` uint8, memory-mapped.
    """

    def __init__(self, array: npt.NDArray[np.uint8]) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: IntArray) -> Tensor:
        """`(len(rows), C, H, W)` uint8."""
        return torch.from_numpy(self.array[rows])


class SelectedPixels:
    """Some rows of other pixels.

    Args:
        pixels: All of them.
        rows: `(N,)` int64, which ones.
    """

    def __init__(self, pixels: Pixels, rows: IntArray) -> None:
        self.pixels: Pixels = pixels
        self.rows = rows
        if isinstance(pixels, SelectedPixels):  # a choice of a choice is one choice
            self.pixels, self.rows = pixels.pixels, pixels.rows[rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: IntArray) -> Tensor:
        """`(len(rows), C, H, W)` uint8."""
        return self.pixels[self.rows[rows]]


class JoinedPixels:
    """The images of one split and then those of another.

    Args:
        first: Images.
        second: Those that follow, of the same size.
    """

    def __init__(self, first: Pixels, second: Pixels) -> None:
        self.first = first
        self.second = second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, rows: IntArray) -> Tensor:
        """`(len(rows), C, H, W)` uint8."""
        early = rows < len(self.first)
        parts = torch.cat([self.first[rows[early]], self.second[rows[~early] - len(self.first)]])
        back = np.argsort(np.concatenate([np.flatnonzero(early), np.flatnonzero(~early)]))
        return parts[torch.from_numpy(back)]


class ImageDataset(Dataset[ImageBatch]):
    """Maps an array of rows to a whole `ImageBatch`.

    Args:
        split: Ids and labels.
        pixels: The images, row for row.
        channels: 1 or 3: grey images are repeated, RGB images become luminance (ITU-R 601-2, as in Pillow); None leaves
            them.
    """

    def __init__(self, split: ImageSplit, pixels: Pixels, channels: int | None = None) -> None:
        self.split = split
        self.pixels = pixels
        self.channels = channels
        self.labels = torch.from_numpy(split.labels) if len(split) and split.labels[0] >= 0 else None

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, rows: IntArray) -> ImageBatch:
        index = torch.from_numpy(rows)
        images = with_channels(self.pixels[rows], self.channels)
        batch: ImageBatch = {"rows": index, "images": images}
        if self.labels is not None:
            batch["labels"] = self.labels[index]
        return batch


def with_channels(images: Tensor, channels: int | None) -> Tensor:
    """Grey to RGB and back; `(N, C, H, W)` uint8.

    >>> with_channels(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), 3).shape
    torch.Size([2, 3, 4, 4])
    """
    if channels is None or images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    # Pillow's `convert("L")` in its own fixed-point numbers, so that a file gives the same bits either way
    parts = []
    for part in images.split(CHUNK):
        red, green, blue = part.int().unbind(1)
        grey = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
        parts.append(grey.to(torch.uint8).unsqueeze(1))  # (n, 1, H, W)
    return torch.cat(parts) if parts else images[:, :1]


def mean_and_std(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in [0, 1], rounded to four digits.

    Args:
        images: `(N, C, H, W)` uint8.
    """
    counts = torch.zeros(images.shape[1], 256, dtype=torch.float64)
    for part in images.split(CHUNK):
        for channel, pixels in enumerate(part.cpu().unbind(1)):
            counts[channel] += torch.bincount(pixels.reshape(-1).int(), minlength=256)
    levels = torch.arange(256, dtype=torch.float64) / 255
    share = counts / counts.sum(1, keepdim=True)
    mean = (share * levels).sum(1)
    std = ((share * levels**2).sum(1) - mean**2).clamp(min=0).sqrt().clamp(min=1 / 255)
    return np.round(mean.numpy(), 4).tolist(), np.round(std.numpy(), 4).tolist()


def statistics_of(dataset: ImageDataset) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the images of a data set, as the model sees them.

    Args:
        dataset: Images in memory are all measured, of others `STATISTICS_IMAGES`.
    """
    if isinstance(dataset.pixels, ResidentPixels) and dataset.channels is None:
        return mean_and_std(dataset.pixels.tensor)
    last = len(dataset) - 1
    rows = np.unique(np.linspace(0, last, min(len(dataset), STATISTICS_IMAGES)).astype(np.int64))
    return mean_and_std(dataset[rows]["images"])
