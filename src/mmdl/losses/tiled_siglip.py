"""The sigmoid loss whose memory grows with a tile of the similarity matrix, not with the matrix."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmdl.losses.pairs import Pairs
from mmdl.losses.positives import positive_sums
from mmdl.losses.tiled_logsumexp import tiles


def tiled_siglip(
    pairs: Pairs,
    scale: Tensor,
    bias: Tensor | None = None,
    everyone: Pairs | None = None,
    *,
    tile: int,
) -> Tensor:
    """The value and the gradients of `siglip`, in memory of `O(tile ** 2 + (I + T) * D)`.

    `softplus(-x) = softplus(x) - x`, so the loss is the sum of `softplus(logit)` over all pairs, which is taken tile by
    tile, less the logits of the positives, which need no matrix.

    Args:
        pairs: As for `siglip`.
        scale: Likewise.
        bias: Likewise.
        everyone: Likewise.
        tile: Rows and columns of a tile, >= 1.

    Returns:
        Scalar float32 (float64 for float64 embeddings).
    """
    whole = pairs if everyone is None else everyone
    with torch.autocast(pairs.image.device.type, enabled=False):
        offset = torch.zeros_like(scale) if bias is None else bias
        negative: Tensor = _TiledSoftplus.apply(scale * pairs.image, whole.text, offset, tile)  # (I,)
        sums, counts = positive_sums(whole.text, whole.caption_ids, pairs.image_ids)
        positive = scale * torch.linalg.vecdot(pairs.image, sums) + offset * counts  # (I,)
        return (negative - positive).sum() / len(whole.image)


class _TiledSoftplus(torch.autograd.Function):
    """Sum over each row of `softplus(rows @ columns.T + offset)`, `(N,)`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, columns: Tensor, offset: Tensor, tile: int) -> Tensor:
        sums = rows.new_zeros(len(rows))
        for i in tiles(len(rows), tile):
            for j in tiles(len(columns), tile):
                logits = (rows[i] @ columns[j].T).add_(offset)
                sums[i] -= F.logsigmoid(logits.neg_()).sum(1)  # F.softplus is linear from 20 on
        ctx.save_for_backward(rows, columns, offset)
        ctx.tile = tile
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_sums: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        rows, columns, offset = ctx.saved_tensors
        to_rows, to_columns, to_offset = (torch.zeros_like(value) for value in (rows, columns, offset))
        with torch.autocast(rows.device.type, enabled=False):
            for i in tiles(len(rows), ctx.tile):
                for j in tiles(len(columns), ctx.tile):
                    share = (rows[i] @ columns[j].T).add_(offset).sigmoid_().mul_(of_sums[i, None])
                    to_rows[i].addmm_(share, columns[j])
                    to_columns[j].addmm_(share.T, rows[i])
                    to_offset += share.sum()
        return to_rows, to_columns, to_offset, None
