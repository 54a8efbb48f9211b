"""InfoNCE whose memory grows with a tile of the similarity matrix, not with the matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from mmdl.losses.pairs import Pairs
from mmdl.losses.positives import positive_sums
from mmdl.losses.tiled_logsumexp import tiled_logsumexp


def tiled_infonce(
    pairs: Pairs,
    scale: Tensor,
    bias: Tensor | None = None,
    everyone: Pairs | None = None,
    *,
    tile: int,
) -> Tensor:
    """The value and the gradients of `infonce`, in memory of `O(tile ** 2 + (I + T) * D)`.

    A cross-entropy against several positives is a log-sum-exp over the row less the mean logit of the positives. The
    first is taken tile by tile, twice (forward and backward); the second is a product with the mean embedding of the
    positives, and needs no matrix.

    Args:
        pairs: As for `infonce`.
        scale: Likewise.
        bias: Likewise.
        everyone: Likewise.
        tile: Rows and columns of a tile, >= 1.

    Returns:
        Scalar float32 (float64 for float64 embeddings).
    """
    with torch.autocast(pairs.image.device.type, enabled=False):
        whole = pairs if everyone is None else everyone
        images, texts = len(whole.image), len(whole.text)
        if everyone is None:
            over_texts, over_images = tiled_logsumexp(scale * pairs.image, pairs.text, tile, both=True)
            assert over_images is not None
        else:
            over_texts, _ = tiled_logsumexp(scale * pairs.image, whole.text, tile, both=False)
            over_images, _ = tiled_logsumexp(scale * pairs.text, whole.image, tile, both=False)
        to_texts = over_texts - scale * _matched(
            pairs.image, pairs.image_ids, whole.text, whole.caption_ids
        )  # (I,)
        to_images = over_images - scale * _matched(
            pairs.text, pairs.caption_ids, whole.image, whole.image_ids
        )  # (T,)
        return (to_texts.sum() / images + to_images.sum() / texts) / 2


def _matched(rows: Tensor, row_ids: Tensor, columns: Tensor, column_ids: Tensor) -> Tensor:
    """Mean product of each row with its positives, `(N,)`."""
    sums, counts = positive_sums(columns, column_ids, row_ids)
    return torch.linalg.vecdot(rows, sums) / counts
