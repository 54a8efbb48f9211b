"""One forward pass with the output of every stage kept."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmdl.inspection.stages import kind_of, stages
from mmdl.models.layers.eval_mode import eval_mode


class Layer(NamedTuple):
    """One stage as it ran.

    Attributes:
        name: Name within the model.
        kind: What a textbook calls it.
        module: The stage itself.
        input: What went in, `(N, ...)`; None where that was no tensor.
        output: What came out, `(N, ...)`.
    """

    name: str
    kind: str
    module: nn.Module
    input: Tensor | None
    output: Tensor

    @property
    def is_map(self) -> bool:
        """Whether the output is feature maps, `(N, C, H, W)` with more than one position."""
        return self.output.ndim == 4 and self.output.shape[-2] * self.output.shape[-1] > 1


class Trace(NamedTuple):
    """A forward pass.

    Attributes:
        images: `(N, C, H, W)` float in [0, 255], a leaf of the graph.
        layers: The stages in the order of their calls; one that was called twice is there twice.
        logits: `(N, K)`.
        composed: Whether the stages one after the other are the network.
        channels_first: Whether feature maps are `(N, C, H, W)`; some of timm's networks hold `(N, H, W, C)`.
    """

    images: Tensor
    layers: list[Layer]
    logits: Tensor
    composed: bool
    channels_first: bool

    @property
    def probabilities(self) -> Tensor:
        """`(N, K)`, detached."""
        return self.logits.detach().softmax(-1)

    @property
    def map_layers(self) -> list[Layer]:
        """The stages whose outputs are feature maps."""
        return [layer for layer in self.layers if layer.is_map] if self.channels_first else []


def trace(model: nn.Module, images: Tensor) -> Trace:
    """Run a classifier in eval mode and keep the outputs of its stages, in the graph of the derivatives.

    The model is as it was afterwards: its modes, its buffers, its gradients and the random state.

    Args:
        model: Maps `(N, C, H, W)` images to `(N, K)` logits.
        images: `(N, C, H, W)` in [0, 255], on the model's device; integers are taken as float32.
    """
    leaf = (images if images.is_floating_point() else images.float()).detach().requires_grad_()
    found = stages(model)
    layers: list[Layer] = []

    def keep(name: str, module: nn.Module) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
            if not isinstance(output, Tensor):
                return None
            given = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
            layers.append(Layer(name, kind_of(module), module, given, output))
            return output.clone()  # what follows may write into it in place, as ReLU(inplace=True) does

        return hook

    handles = [module.register_forward_hook(keep(name, module)) for name, module in found.modules.items()]
    try:
        with eval_mode(model), torch.enable_grad():
            # `forward` and not the call: a compiled model would run without the hooks.
            logits = model.forward(leaf)
    finally:
        for handle in handles:
            handle.remove()
    channels_first = all(getattr(module, "output_fmt", "NCHW") == "NCHW" for module in model.modules())
    return Trace(leaf, layers, logits, found.composed, channels_first)
