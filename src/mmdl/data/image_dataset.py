"""The classification data set: maps an array of rows to a whole batch, gathered where the pixels live."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmdl.batch import ImageBatch
from mmdl.data.image_split import ImageSplit, IntArray


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


class ImageDataset(Dataset[ImageBatch]):
    """Maps an array of rows to a whole `ImageBatch`.

    Args:
        split: Ids and labels.
        pixels: The images, row for row.
        channels: 1 or 3: grey images are repeated, RGB images become luminance (ITU-R 601-2); None leaves them.
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
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True).round().to(torch.uint8)


def mean_and_std(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel in [0, 1], rounded to four digits.

    Args:
        images: `(N, C, H, W)` uint8.
    """
    counts = torch.stack(
        [torch.bincount(channel.reshape(-1).int(), minlength=256) for channel in images.cpu().unbind(1)]
    ).double()
    levels = torch.arange(256, dtype=torch.float64) / 255
    share = counts / counts.sum(1, keepdim=True)
    mean = (share * levels).sum(1)
    std = ((share * levels**2).sum(1) - mean**2).clamp(min=0).sqrt().clamp(min=1 / 255)
    return np.round(mean.numpy(), 4).tolist(), np.round(std.numpy(), 4).tolist()
