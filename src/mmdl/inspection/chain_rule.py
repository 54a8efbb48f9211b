"""The chain rule on a real network: the product of its layers' Jacobians."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import jvp, vmap

from mmdl.inspection.jacobian import rows_of
from mmdl.inspection.network64 import Network64
from mmdl.inspection.stages import kind_of, stages

MOST_MATRIX_ENTRIES = 2_000_000
"""Entries of a layer's Jacobian up to which the matrix itself is made (16 MB)."""

How = Literal["matrix", "vector-Jacobian products"]


class Link(NamedTuple):
    """One layer of the chain.

    Attributes:
        name: Name of the stage.
        kind: What a textbook calls it.
        rows: Elements of its output: rows of its Jacobian.
        columns: Elements of its input.
        how: Whether its Jacobian was made as a matrix (in forward mode) and multiplied, or applied to each row by a
            backward pass through this layer alone.
    """

    name: str
    kind: str
    rows: int
    columns: int
    how: How


class ChainRule(NamedTuple):
    """The product of the layers' Jacobians, built from the output back to the input.

    Attributes:
        links: The layers from the input to the output.
        product: `(R, n)`: the product, for the wanted classes.
        pushed: `(K,)`: a tangent of the input pushed through the layers one by one, in forward mode.
    """

    links: list[Link]
    product: Tensor
    pushed: Tensor


def chain_rule(network: Network64, classes: Tensor, tangent: Tensor) -> ChainRule | None:
    """Multiply the layers' Jacobians, each taken at the layer's own input.

    Args:
        network: The classifier and its image.
        classes: `(R,)` int64: rows of the network's Jacobian that are wanted.
        tangent: `(n,)` float64 to push through.

    Returns:
        The product; None where the network is not its stages one after the other.
    """
    found = stages(network.model)
    if not found.composed:
        return None
    inputs, output = _inputs(network, found.modules)
    with torch.no_grad():
        if not torch.equal(output[0], network.logits(network.image)):
            return None
    links: list[Link] = []
    product = torch.eye(network.num_classes, dtype=torch.float64)[classes]
    after = output
    for (name, layer), before in reversed(list(zip(found.modules.items(), inputs, strict=True))):
        small = after.numel() * before.numel() <= MOST_MATRIX_ENTRIES
        if small:
            product = product @ _matrix(layer, before)
        else:
            product = rows_of(layer, before, product)
        how: How = "matrix" if small else "vector-Jacobian products"
        links.append(Link(name, kind_of(layer), after.numel(), before.numel(), how))
        after = before
    pushed = tangent.reshape(1, *network.image.shape)
    for layer, before in zip(found.modules.values(), inputs, strict=True):
        pushed = jvp(layer, (before,), (pushed,))[1]
    return ChainRule(links[::-1], product, pushed[0])


def _inputs(network: Network64, layers: dict[str, nn.Module]) -> tuple[list[Tensor], Tensor]:
    """What goes into each layer, and what comes out of the last; each with a batch dimension of 1."""
    value, inputs = network.image[None], []
    with torch.no_grad():
        for layer in layers.values():
            inputs.append(value)
            value = layer(value)
    return inputs, value


def _matrix(layer: nn.Module, before: Tensor) -> Tensor:
    """The `(m, n)` Jacobian of one layer, a column for each unit vector of its input, in forward mode."""
    units = torch.eye(before.numel(), dtype=before.dtype).view(-1, *before.shape)

    def column(tangent: Tensor) -> Tensor:
        moved: Tensor = jvp(layer, (before,), (tangent,))[1]
        return moved.reshape(-1)

    columns: Tensor = vmap(column, chunk_size=256)(units)  # (n, m)
    return columns.T
