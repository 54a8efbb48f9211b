"""The gradient of the loss: of every parameter tensor, and on its way back through the layers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mmdl.inspection.network64 import Network64
from mmdl.inspection.trace import trace


class Flow(NamedTuple):
    """One layer in the forward and the backward pass.

    Attributes:
        name: Name of the stage.
        kind: What a textbook calls it.
        shape: Shape of its output for one image.
        output_norm: Euclidean norm of its output.
        weight_gradient_norm: Norm of the loss's gradient with respect to its parameters; None where it has none that
            learn.
        input_gradient_norm: Norm of the loss's gradient with respect to its input; None where nothing flows there.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    output_norm: float
    weight_gradient_norm: float | None
    input_gradient_norm: float | None


class Gradient(NamedTuple):
    """The gradient of the loss at one image.

    Attributes:
        loss: The loss, in nats.
        parameters: Name -> gradient of each parameter that learns, of the parameter's shape; float64.
        logits: `(K,)`: with respect to the logits.
        image: `(C, H, W)`: with respect to the pixels, per grey level.
        flows: The layers in the order of the forward pass.
    """

    loss: float
    parameters: dict[str, Tensor]
    logits: Tensor
    image: Tensor
    flows: list[Flow]

    @property
    def vector(self) -> Tensor:
        """`(P,)`: all parameters' gradients as one vector."""
        parts = [gradient.reshape(-1) for gradient in self.parameters.values()]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def gradient(network: Network64) -> Gradient:
    """One forward and one backward pass.

    Args:
        network: The classifier, its image and its label.
    """
    parameters = network.parameters
    for parameter in parameters.values():
        parameter.requires_grad_()
    try:
        passed = trace(network.model, network.image[None])
        loss = network.loss(passed.logits[0])
        wanted = [passed.logits, passed.images, *parameters.values()]
        inputs = [
            (n, layer.input)
            for n, layer in enumerate(passed.layers)
            if layer.input is not None and layer.input.requires_grad
        ]
        found = torch.autograd.grad(loss, [*wanted, *(tensor for _, tensor in inputs)], allow_unused=True)
    finally:
        for parameter in parameters.values():
            parameter.requires_grad_(False)
    zeros = [torch.zeros_like(t) if g is None else g for t, g in zip(wanted, found, strict=False)]
    own = dict(zip(parameters, zeros[2:], strict=True))
    names = {id(parameter): name for name, parameter in parameters.items()}
    backward = {n: g for (n, _), g in zip(inputs, found[len(wanted) :], strict=True)}
    flows = []
    for number, layer in enumerate(passed.layers):
        parts = [own[names[id(p)]] for p in layer.module.parameters() if id(p) in names]
        back = backward.get(number)
        flows.append(
            Flow(
                layer.name,
                layer.kind,
                tuple(layer.output.shape[1:]),
                float(layer.output.detach().norm()),
                float(torch.cat([part.reshape(-1) for part in parts]).norm()) if parts else None,
                None if back is None else float(back.norm()),
            )
        )
    return Gradient(float(loss.detach()), own, zeros[0][0].detach(), zeros[1][0].detach(), flows)
