"""Derivatives measured by central differences, to hold computed ones against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

STEPS = (1e-3, 1e-4, 1e-5, 1e-6)
"""Lengths of the step, tried in this order. A step that crosses a kink of ReLU or max pooling gives a wrong
difference, and a shorter one does not cross it; a derivative that is wrong is wrong at every length."""

PIXEL_STEPS = (1e-2, 1e-3, 1e-4, 1e-5)
"""The same for pixels, in grey levels: they go to 255."""


class Difference(NamedTuple):
    """How far computed derivatives are from measured ones.

    Attributes:
        error: Norm of the difference, over the norm of the computed derivatives (over 1 where those are all 0).
        step: Length of the step at which it was measured.
    """

    error: float
    step: float


def central_differences(
    function: Callable[[Tensor], Tensor],
    point: Tensor,
    directions: Sequence[Tensor],
    exact: Tensor,
    enough: float,
    steps: Sequence[float] = STEPS,
) -> Difference:
    """The error of directional derivatives against (f(x + h d) - f(x - h d)) / 2h.

    Args:
        function: Maps `(n,)` float64 to `(m,)`.
        point: `(n,)` float64: x.
        directions: `D` vectors d of `(n,)`, each of norm 1.
        exact: `(D, m)`: the computed derivative in each direction.
        enough: The first step h whose error is at most this is taken; else the one with the smallest error.
        steps: Lengths of the step, tried in this order.
    """
    scale = float(exact.norm()) or 1.0
    best = Difference(float("inf"), steps[0])
    for step in steps:
        with torch.no_grad():
            measured = torch.stack(
                [(function(point + step * d) - function(point - step * d)) / (2 * step) for d in directions]
            )
        error = float((measured - exact).norm()) / scale
        if not error >= best.error:
            best = Difference(error, step)
        if best.error <= enough:
            break
    return best


def random_directions(count: int, size: int, seed: int = 0) -> list[Tensor]:
    """`count` float64 vectors of `(size,)` and norm 1, uniformly spread; the global random state is not touched."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(size, dtype=torch.float64, generator=generator) for _ in range(count)]
    return [vector / vector.norm() for vector in drawn]


def entries_to_check(sizes: Tensor, count: int, seed: int = 0) -> list[int]:
    """Positions of the `count` largest absolute values of a vector, and of `count` others at random."""
    largest = sizes.abs().topk(min(count, sizes.numel())).indices.tolist()
    order = torch.randperm(sizes.numel(), generator=torch.Generator().manual_seed(seed)).tolist()
    return largest + [position for position in order if position not in largest][:count]


def unit_vectors(positions: Sequence[int], size: int) -> list[Tensor]:
    """float64 vectors of `(size,)` with a single 1."""
    eye = []
    for position in positions:
        vector = torch.zeros(size, dtype=torch.float64)
        vector[position] = 1
        eye.append(vector)
    return eye
