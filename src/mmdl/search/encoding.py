"""Encodes image files batch by batch; the next ones are decoded by threads while the model runs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmdl.data.bad_images import BadSamples
from mmdl.search.encoder import Encoder, FloatArray

if TYPE_CHECKING:
    from torch import Tensor

AHEAD = 3
"""Batches that are decoded or being decoded before the model asks for them."""


class Encoded(NamedTuple):
    """One batch.

    Attributes:
        rows: Positions of its good files.
        embeddings: `(len(rows), D)` float32.
        bad: The files that can't be decoded.
    """

    rows: list[int]
    embeddings: FloatArray
    bad: list[BadSamples]


def encode_files(encoder: Encoder, paths: Sequence[Path], batch_size: int) -> Iterator[Encoded]:
    """Encode image files in their order, with a progress bar.

    Args:
        encoder: Of a run.
        paths: The files.
        batch_size: How many at once.
    """
    import torch

    from mmdl.data.transforms.image import BadImage, load_image
    from mmdl.progress_bar import ProgressBar

    def decode(path: Path) -> Tensor | BadSamples:
        try:
            return load_image(path, encoder.size, encoder.resize)
        except BadImage as error:
            return BadSamples(error.reason, error.given)

    starts = deque(range(0, len(paths), batch_size))
    waiting: deque[tuple[int, list[Future[Tensor | BadSamples]]]] = deque()
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    bar = ProgressBar(total=len(paths), desc="encoding", unit="image", disable=len(paths) < 2)
    try:
        while starts or waiting:
            while starts and len(waiting) < AHEAD:
                start = starts.popleft()
                waiting.append((start, [pool.submit(decode, p) for p in paths[start : start + batch_size]]))
            start, decoded = waiting.popleft()
            found = [future.result() for future in decoded]
            good = {start + n: image for n, image in enumerate(found) if not isinstance(image, BadSamples)}
            embeddings = (
                encoder.images(torch.stack(list(good.values()))) if good else np.zeros((0, 0), np.float32)
            )
            yield Encoded(list(good), embeddings, [one for one in found if isinstance(one, BadSamples)])
            bar.update(len(found))
    finally:
        bar.close()
        pool.shutdown(cancel_futures=True)
