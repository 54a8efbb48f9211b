"""The Jacobian of a classifier's outputs with respect to its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vjp, vmap

from mmdl.inspection.network64 import Network64

MOST_ENTRIES = 8_000_000
"""Entries of a Jacobian that are computed (64 MB); of more classes, those of the most probable ones."""


class Jacobian(NamedTuple):
    """Derivatives of the outputs with respect to the pixels, `n = C * H * W`.

    Attributes:
        classes: `(R,)` int64: the classes whose rows were computed, all `K` where they fit.
        logits: `(R, n)` float64, in logit units per grey level.
        probabilities: `(R, n)` float64: of the softmax; None where not all rows were computed.
        softmax: `(K, K)` float64: of the softmax with respect to the logits.
        singular_values: `(min(R, n),)` float64 of `logits`, descending.
        num_classes: `K`.
    """

    classes: Tensor
    logits: Tensor
    probabilities: Tensor | None
    softmax: Tensor
    singular_values: Tensor
    num_classes: int


def jacobian(network: Network64) -> Jacobian:
    """The Jacobian of logits and probabilities, by one backward pass a class.

    Args:
        network: The classifier and its image.
    """
    size = network.image.numel()
    with torch.no_grad():
        scores = network.logits(network.image)
    rows = max(1, min(network.num_classes, MOST_ENTRIES // size))
    whole = rows == network.num_classes
    classes = torch.arange(rows) if whole else scores.topk(rows).indices.sort().values
    logits = rows_of(
        network.logits, network.image, torch.eye(network.num_classes, dtype=scores.dtype)[classes]
    )
    probabilities = None
    if whole:
        eye = torch.eye(network.num_classes, dtype=scores.dtype)
        probabilities = rows_of(lambda image: network.logits(image).softmax(0), network.image, eye)
    softmax = torch.func.jacrev(lambda z: z.softmax(0))(scores)
    values = torch.linalg.svdvals(logits)
    return Jacobian(classes, logits, probabilities, softmax, values, network.num_classes)


def rows_of(function: Callable[[Tensor], Tensor], point: Tensor, left: Tensor, chunk: int = 8) -> Tensor:
    """`left @ J`, where J is the Jacobian of a function at a point, by vector-Jacobian products.

    Args:
        function: Of a tensor of `n` elements, with a result of `m`.
        point: Where.
        left: `(R, m)`.
        chunk: Rows at a time, each with the memory of a backward pass.

    Returns:
        `(R, n)`.
    """
    output, pull = vjp(function, point)[:2]
    shaped = left.reshape(len(left), *output.shape)
    (product,) = vmap(pull, chunk_size=chunk)(shaped)
    rows: Tensor = product.reshape(len(left), -1)
    return rows


def softmax_jacobian(probabilities: Tensor) -> Tensor:
    """diag(p) - p p^T: the derivative of the softmax with respect to the logits.

    Args:
        probabilities: `(K,)`.

    Returns:
        `(K, K)`, symmetric, its rows summing to 0.
    """
    return probabilities.diag() - probabilities.outer(probabilities)
