"""What stands where an augmentation leaves nothing of the image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmdl.errors import UserError, nearest


class Fill:
    """A way to fill, with the mean of the training images, which the data module tells.

    Args:
        kind: One of `kinds`.
        kinds: What the augmentation offers.
        key: Of the configuration, below `data.augment`, for the error.
        mean: Mean of each channel in [0, 1]; None waits for that of the training images.

    Raises:
        UserError: if the augmentation does not offer it.
    """

    def __init__(
        self, kind: str, kinds: Sequence[str], key: str, mean: Sequence[float] | None = None
    ) -> None:
        if kind not in kinds:
            raise UserError(f"data.augment.{key}={kind!r} is unknown", valid=nearest(kind, kinds))
        self.kind = kind
        self.mean = list(mean) if mean is not None else None
        self._made: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def take_mean(self, mean: Sequence[float]) -> None:
        """Use the mean of the training images where none was given."""
        if self.mean is None:
            self.mean = list(mean)

    def value(self, images: Tensor) -> Tensor:
        """Color to fill with: `(1, C, 1, 1)` in [0, 255], of the images' dtype; zeros for all kinds but `mean`."""
        place = (images.device, images.dtype)
        if place not in self._made:  # made once: a tensor from numbers would make an accelerator wait
            channels = [0.0] * images.shape[1]
            if self.kind == "mean":
                assert self.mean is not None, "the data module tells the mean in its setup()"
                channels = [255 * share for share in self.mean]
                if images.dtype == torch.uint8:
                    channels = [round(level) for level in channels]
            self._made[place] = torch.tensor(channels, device=place[0]).to(place[1]).view(1, -1, 1, 1)
        return self._made[place]


def tell_mean(steps: Sequence[object], mean: Sequence[float]) -> None:
    """Tell the mean of the training images, in [0, 1], to the augmentations that fill with it."""
    for step in steps:
        fill = getattr(step, "fill", None)
        if isinstance(fill, Fill):
            fill.take_mean(mean)
