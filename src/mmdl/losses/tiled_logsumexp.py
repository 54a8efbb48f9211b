"""The log-sum-exp of the rows and columns of a matrix product that is never whole in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def tiled_logsumexp(rows: Tensor, columns: Tensor, tile: int, both: bool) -> tuple[Tensor, Tensor | None]:
    """`logsumexp` over each row of `rows @ columns.T`, and over each column if asked for.

    The product is made tile by tile, once forward and once more backward; memory grows with `tile ** 2` and the size
    of the arguments. The sums are kept as they come, with their maximum (Milakov & Gimelshein 2018,
    arXiv:1805.02867). It is differentiable once.

    Args:
        rows: `(N, D)` float32 or float64.
        columns: `(M, D)`, likewise.
        tile: Rows and columns of a tile, >= 1.
        both: Whether the columns are asked for too.

    Returns:
        `(N,)`, and `(M,)` or None.

    >>> one = torch.ones(3, 1)
    >>> tiled_logsumexp(one, one, 2, False)[0]  # 1 + ln 3
    tensor([2.0986, 2.0986, 2.0986])
    """
    over_rows, over_columns = _TiledLogSumExp.apply(rows, columns, tile, both)
    return over_rows, over_columns if both else None


def tiles(size: int, tile: int) -> Iterator[slice]:
    """Slices of at most `tile` that cover `size`.

    >>> list(tiles(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    return (slice(start, min(size, start + tile)) for start in range(0, size, tile))


class _TiledLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, columns: Tensor, tile: int, both: bool) -> tuple[Tensor, Tensor]:
        over_rows = rows.new_full((len(rows),), -torch.inf)
        over_columns = rows.new_full((len(columns) if both else 0,), -torch.inf)
        for i in tiles(len(rows), tile):
            for j in tiles(len(columns), tile):
                logits = rows[i] @ columns[j].T
                over_rows[i] = torch.logaddexp(over_rows[i], logits.logsumexp(1))
                if both:
                    over_columns[j] = torch.logaddexp(over_columns[j], logits.logsumexp(0))
        ctx.save_for_backward(rows, columns, over_rows, over_columns)
        ctx.tile, ctx.both = tile, both
        return over_rows, over_columns

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_rows: Tensor, of_columns: Tensor) -> tuple[Tensor, Tensor, None, None]:
        rows, columns, over_rows, over_columns = ctx.saved_tensors
        to_rows, to_columns = torch.zeros_like(rows), torch.zeros_like(columns)
        with torch.autocast(rows.device.type, enabled=False):
            for i in tiles(len(rows), ctx.tile):
                for j in tiles(len(columns), ctx.tile):
                    logits = rows[i] @ columns[j].T
                    share = (logits - over_rows[i, None]).exp_().mul_(of_rows[i, None])
                    if ctx.both:
                        share += logits.sub_(over_columns[j]).exp_().mul_(of_columns[j])
                    to_rows[i].addmm_(share, columns[j])
                    to_columns[j].addmm_(share.T, rows[i])
        return to_rows, to_columns, None, None
