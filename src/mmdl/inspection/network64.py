"""The network as a function of real numbers: a copy in 64-bit floats on the CPU, in eval mode."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

HALF_LEVEL = 0.5
"""Half a grey level."""


class Network64(NamedTuple):
    """A classifier and an image, in float64, for derivatives that are compared digit by digit.

    Batch norm uses its running statistics and dropout is off, so that the network is one fixed function, smooth but
    for the kinks of ReLU and max pooling. A flat background lies exactly on such kinks (all values of a pooling
    window are equal), and there the network has no derivative, only one-sided ones. So the image carries a fixed
    noise of at most half a grey level, which is what 8-bit pixels were rounded by anyway.

    Attributes:
        model: A copy; nothing in it writes in place, and no parameter asks for a gradient.
        image: `(C, H, W)` float64, the noise included.
        label: Class that the loss is taken for.
        num_classes: `K`.
        label_smoothing: Share of the probability that the loss spreads over all classes.
        learning: Names of the parameters that training changes.
    """

    model: nn.Module
    image: Tensor
    label: int
    num_classes: int
    label_smoothing: float
    learning: tuple[str, ...]

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Name -> parameter that training changes."""
        everything = dict(self.model.named_parameters())
        return {name: everything[name] for name in self.learning}

    @property
    def targets(self) -> Tensor:
        """`(K,)`: what the loss wants the probabilities to be."""
        wanted = torch.full((self.num_classes,), self.label_smoothing / self.num_classes, dtype=torch.float64)
        wanted[self.label] += 1 - self.label_smoothing
        return wanted

    def logits(self, image: Tensor) -> Tensor:
        """`(C, H, W)` to `(K,)`."""
        logits: Tensor = self.model(image[None])[0]
        return logits

    def loss(self, logits: Tensor) -> Tensor:
        """Cross-entropy of `(K,)` logits: the sum of target times -log p.

        -log p of the label is computed from the distances to its logit. The usual log-softmax rounds a loss of 1e-10
        to multiples of 1e-15, from which no difference can be taken; this keeps all its digits.
        """
        others = torch.cat([logits[: self.label], logits[self.label + 1 :]]) - logits[self.label]
        surprise = nn.functional.softplus(torch.logsumexp(others, 0), threshold=700)  # -log p of the label
        # -log p of class k is that of the label, plus the distance of the two logits
        rest: Tensor = (self.targets * (logits[self.label] - logits)).sum()
        return surprise + rest if self.label_smoothing else surprise

    def loss_of(self, parameters: dict[str, Tensor]) -> Tensor:
        """The loss as a function of parameters; those that are not given stay."""
        logits: Tensor = functional_call(self.model, parameters, (self.image[None],))[0]
        return self.loss(logits)


def network64(
    model: nn.Module, image: Tensor, label: int, label_smoothing: float = 0.0, noise: float = HALF_LEVEL
) -> Network64:
    """A float64 copy of a classifier for one image.

    Args:
        model: Maps `(N, C, H, W)` images to `(N, K)` logits; stays as it is.
        image: `(C, H, W)` in [0, 255].
        label: Class that the loss is taken for.
        label_smoothing: As in training.
        noise: Largest change of a pixel, see `Network64`; always the same for an image of one shape.
    """
    twin = copy.deepcopy(model).to("cpu", torch.float64).eval()
    learning = tuple(name for name, p in twin.named_parameters() if p.requires_grad)
    twin.requires_grad_(False)
    for module in twin.modules():
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]
    drawn = torch.rand(image.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pixels = image.to("cpu", torch.float64) + noise * (2 * drawn - 1)
    with torch.no_grad():
        count = twin(pixels[None]).shape[1]
    return Network64(twin, pixels, label, count, label_smoothing, learning)
