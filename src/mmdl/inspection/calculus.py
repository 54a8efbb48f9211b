"""Gradient, Jacobian and chain rule of a classifier at one image, with their proofs."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmdl.inspection.chain_rule import ChainRule, chain_rule
from mmdl.inspection.checks import Check, chain_checks, gradient_checks, jacobian_checks
from mmdl.inspection.differences import random_directions
from mmdl.inspection.gradient import Gradient, gradient
from mmdl.inspection.jacobian import Jacobian, jacobian
from mmdl.inspection.network64 import Network64, network64


class Calculus(NamedTuple):
    """The derivatives at one image.

    Attributes:
        network: The function that was derived.
        gradient: Of the loss.
        jacobian: Of the outputs with respect to the pixels.
        chain: The product of the layers' Jacobians; None where the network is no plain sequence of layers.
        checks: The comparisons.
    """

    network: Network64
    gradient: Gradient
    jacobian: Jacobian
    chain: ChainRule | None
    checks: list[Check]


def calculus(model: nn.Module, image: Tensor, label: int, label_smoothing: float = 0.0) -> Calculus:
    """Derive a classifier, and check the derivatives.

    Args:
        model: Maps `(N, C, H, W)` images to `(N, K)` logits; stays as it is.
        image: `(C, H, W)` in [0, 255].
        label: Class that the loss is taken for.
        label_smoothing: As in training.
    """
    network = network64(model, image, label, label_smoothing)
    # torch's fast attention has no rule for a batch of vector-Jacobian products.
    with sdpa_kernel(SDPBackend.MATH):
        loss_gradient = gradient(network)
        found = jacobian(network)
        (tangent,) = random_directions(1, image.numel(), seed=2)
        chain = chain_rule(network, found.classes, tangent)
        checks = gradient_checks(network, loss_gradient) + jacobian_checks(network, found, loss_gradient)
        if chain is not None:
            checks += chain_checks(found, chain, tangent)
    return Calculus(network, loss_gradient, found, chain, checks)
