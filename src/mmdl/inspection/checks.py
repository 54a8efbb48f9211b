"""Proofs in numbers: gradient and Jacobian against differences, the chain rule, the softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmdl.inspection.chain_rule import ChainRule
from mmdl.inspection.differences import (
    PIXEL_STEPS,
    STEPS,
    central_differences,
    entries_to_check,
    random_directions,
    unit_vectors,
)
from mmdl.inspection.gradient import Gradient
from mmdl.inspection.jacobian import Jacobian, softmax_jacobian
from mmdl.inspection.network64 import Network64

DIRECTIONS = 4
"""Random directions of each comparison with differences."""

ENTRIES = 3
"""Of the largest entries, and as many at random, that are compared with differences."""

RANDOM, SINGLE = f"{DIRECTIONS} random directions", f"the {ENTRIES} largest and {ENTRIES} random"

MEASURED = 1e-6
"""Largest relative error against central differences: they are good to about 1e-8 in float64."""

EXACT = 1e-10
"""Largest relative error between two ways to compute the same in float64."""


class Check(NamedTuple):
    """One comparison.

    Attributes:
        name: What is compared.
        error: How far the two are apart.
        limit: How far they may be.
        detail: How it was done.
    """

    name: str
    error: float
    limit: float
    detail: str

    @property
    def passed(self) -> bool:
        """Whether the error is within the limit; one that is not a number is not."""
        return self.error <= self.limit


def gradient_checks(network: Network64, gradient: Gradient) -> list[Check]:
    """The gradient of the loss against differences, and against p - y at the logits."""
    vector, parameters = gradient.vector, network.parameters
    checks = []
    if len(vector):
        point = torch.cat([p.reshape(-1) for p in parameters.values()])

        def loss(flat: Tensor) -> Tensor:
            pieces = flat.split([p.numel() for p in parameters.values()])
            moved = {
                name: piece.view_as(p) for (name, p), piece in zip(parameters.items(), pieces, strict=True)
            }
            return network.loss_of(moved).reshape(1)

        directions = random_directions(DIRECTIONS, len(vector))
        exact = torch.stack([vector @ d for d in directions])[:, None]
        checks.append(_measured("gradient of the loss, whole vector", loss, point, directions, exact, RANDOM))
        entries = entries_to_check(vector, ENTRIES)
        exact = vector[entries][:, None]
        units = unit_vectors(entries, len(vector))
        checks.append(_measured("gradient of the loss, single entries", loss, point, units, exact, SINGLE))
    with torch.no_grad():
        probabilities = network.logits(network.image).softmax(0)
    error = float((gradient.logits - (probabilities - network.targets)).abs().max())
    checks.append(Check("gradient at the logits = p - y", error, EXACT, "largest absolute difference"))
    return checks


def jacobian_checks(network: Network64, jacobian: Jacobian, gradient: Gradient) -> list[Check]:
    """The Jacobian against differences, and what must hold between it, the softmax and the gradient."""
    shape = network.image.shape

    def outputs(flat: Tensor) -> Tensor:
        return network.logits(flat.view(shape))[jacobian.classes]

    point, size = network.image.reshape(-1), network.image.numel()
    directions = random_directions(DIRECTIONS, size, seed=1)
    exact = torch.stack([jacobian.logits @ d for d in directions])
    checks = [
        _measured("Jacobian of the logits, whole", outputs, point, directions, exact, RANDOM, PIXEL_STEPS)
    ]
    entries = entries_to_check(jacobian.logits.abs().amax(0), ENTRIES, seed=1)
    units = unit_vectors(entries, size)
    exact = jacobian.logits[:, entries].T
    checks.append(
        _measured("Jacobian of the logits, single columns", outputs, point, units, exact, SINGLE, PIXEL_STEPS)
    )
    with torch.no_grad():
        probabilities = network.logits(network.image).softmax(0)
    formula = softmax_jacobian(probabilities)
    error = float((jacobian.softmax - formula).abs().max())
    checks.append(
        Check("Jacobian of the softmax = diag(p) - p p^T", error, EXACT, "largest absolute difference")
    )
    if jacobian.probabilities is not None:
        product = formula @ jacobian.logits
        error = float((jacobian.probabilities - product).norm()) / _norm(jacobian.logits)
        detail = "norm of the difference over the norm of the Jacobian of the logits"
        checks.append(Check("Jacobian of the probabilities = (diag(p) - p p^T) J", error, EXACT, detail))
        product = gradient.logits @ jacobian.logits
        error = float((gradient.image.reshape(-1) - product).norm()) / _norm(gradient.image)
        checks.append(Check("gradient at the pixels = (p - y) J", error, EXACT, "relative error of the norm"))
    return checks


def chain_checks(jacobian: Jacobian, chain: ChainRule, tangent: Tensor) -> list[Check]:
    """The product of the layers' Jacobians against the network's, backwards as rows and forwards as a column.

    Args:
        jacobian: Of the network.
        chain: Of its layers.
        tangent: `(n,)` that was pushed through the layers.
    """
    matrices = sum(link.how == "matrix" for link in chain.links)
    rows = float((chain.product - jacobian.logits).norm()) / _norm(jacobian.logits)
    column = jacobian.logits @ tangent
    pushed = float((chain.pushed[jacobian.classes] - column).norm()) / _norm(column)
    return [
        Check(
            "chain rule: product of the layers' Jacobians = J",
            rows,
            EXACT,
            f"{matrices} of {len(chain.links)} layers as matrices, the others by vector-Jacobian products, "
            "layer by layer from the output to the input",
        ),
        Check(
            "chain rule forwards: layer after layer = J v",
            pushed,
            EXACT,
            "Jacobian-vector products, layer by layer from the input to the output, random v",
        ),
    ]


def _norm(tensor: Tensor) -> float:
    return float(tensor.norm()) or 1.0


def _measured(
    name: str,
    function: Callable[[Tensor], Tensor],
    point: Tensor,
    directions: list[Tensor],
    exact: Tensor,
    what: str,
    steps: Sequence[float] = STEPS,
) -> Check:
    found = central_differences(function, point, directions, exact, MEASURED / 10, steps)
    return Check(name, found.error, MEASURED, f"central differences, {what}, step {found.step:.0e}")


def report_lines(checks: list[Check]) -> list[str]:
    """The checks as lines of text.

    >>> print(*report_lines([Check("a = b", 2e-9, 1e-6, "random directions")]))
    ok    a = b  2.0e-09 <= 1e-06
    """
    width = max((len(check.name) for check in checks), default=0)
    return [
        f"{'ok  ' if check.passed else 'FAIL'}  {check.name:<{width}}  "
        f"{check.error:.1e} {'<=' if check.passed else '> '} {check.limit:.0e}"
        for check in checks
    ]
