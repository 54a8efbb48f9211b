"""Trains on small images first, which is faster, and on full ones at the end (Howard 2018; Tan and Le 2021)."""

from __future__ import annotations

from torch.nn.functional import interpolate

from mmdl.batch import ImageBatch
from mmdl.data.augment.draws import Draws
from mmdl.data.augment.length import check_range
from mmdl.errors import UserError


class ProgressiveResize:
    """Resizes the whole batch to a share of its side that grows in a line with the progress of the training.

    The model must take images of any size. Put it last: the steps before it see full images.

    Args:
        start: Share of the side at first, in (0, 1].
        begin: Progress at which the images begin to grow, in [0, 1).
        until: Progress from which on they are full, in (begin, 1].
        multiple: Sides are multiples of so many pixels: each further size costs a compilation or a search for the
            fastest kernels.

    Raises:
        UserError: if a setting is not valid.
    """

    def __init__(self, start: float = 0.5, begin: float = 0.0, until: float = 0.8, multiple: int = 4) -> None:
        check_range("progressive_resize.start", start, 0.01, 1)
        if not 0 <= begin < until <= 1:
            raise UserError(
                f"data.augment.progressive_resize: begin={begin}, until={until}",
                valid="0 <= begin < until <= 1, shares of the training",
            )
        if multiple < 1:
            raise UserError(f"data.augment.progressive_resize.multiple={multiple}", valid="pixels from 1 on")
        self.start = start
        self.begin = begin
        self.until = until
        self.multiple = multiple

    def __call__(self, batch: ImageBatch, draws: Draws, progress: float, num_classes: int) -> ImageBatch:
        """Resize the batch (bilinear, antialiased); float in [0, 255] where the size changes."""
        images = batch["images"]
        height, width = (self.side(side, progress) for side in images.shape[-2:])
        if (height, width) == tuple(images.shape[-2:]):
            return batch
        small = interpolate(images.float(), (height, width), mode="bilinear", antialias=True)
        return {**batch, "images": small.clamp_(0, 255)}

    def side(self, full: int, progress: float) -> int:
        """Side in pixels at some progress; at least `multiple` pixels, at most the full side.

        >>> [ProgressiveResize(start=0.5, until=0.8).side(32, share) for share in (0, 0.2, 0.4, 0.6, 0.8)]
        [16, 20, 24, 28, 32]
        """
        done = min(1.0, max(0.0, (progress - self.begin) / (self.until - self.begin)))
        share = self.start + (1 - self.start) * done
        if share == 1:
            return full
        return min(full, max(1, round(share * full / self.multiple)) * self.multiple)
