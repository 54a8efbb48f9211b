"""The network of the CIFAR-10 speed records: whitened patches, three groups of two convolutions, one linear layer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmdl.batch import ImageBatch
from mmdl.errors import UserError
from mmdl.models.features import LayerGroup
from mmdl.models.layers.layer_split import named_layers
from mmdl.models.layers.normalize import Normalize
from mmdl.models.layers.scale import Scale

PATCH = 2
"""Side of the whitened patches in pixels."""

SMALLEST = 16
"""Side of the smallest image that three poolings leave something of."""


class Airbench(nn.Module):
    """A VGG-like network that learns CIFAR-10 in few epochs.

    Source of the design: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv:2404.00498), which
    builds on Page 2018. Its parts: a first convolution that whitens 2x2 patches and is not trained (its bias is);
    batch norms that learn a shift only; kernels that begin as the identity; max pooling before the batch norm; a
    factor of 1/9 on the logits.

    Args:
        in_channels: `C` of the images.
        image_size: Their side in pixels, at least 16.
        num_classes: `K`.
        widths: Channels of the three groups.
        batch_norm_momentum: Share of a new batch in the running statistics.
        mean: Mean of each channel in [0, 1], subtracted first; None for 0.5.
        std: Standard deviation of each channel in [0, 1]; None for 0.25.

    Raises:
        UserError: if there are not three widths, or the image is too small.
    """

    consumes = ImageBatch
    one_tower = True

    def __init__(
        self,
        in_channels: int,
        image_size: int,
        num_classes: int,
        widths: Sequence[int] = (64, 256, 256),
        batch_norm_momentum: float = 0.4,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if len(widths) != 3:
            raise UserError(f"model.widths={list(widths)}", valid="three numbers of channels")
        if image_size < SMALLEST:
            raise UserError(
                f"the network pools {image_size} x {image_size} pixels away",
                valid=f"images of at least {SMALLEST} x {SMALLEST} pixels",
                fix="data.image_size=32, or model=cnn",
            )
        self.in_channels = in_channels
        self.image_size = None
        filters = 2 * in_channels * PATCH**2
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["normalize"] = Normalize(mean or [0.5] * in_channels, std or [0.25] * in_channels)
        whitening = nn.Conv2d(in_channels, filters, PATCH)
        whitening.weight.requires_grad_(False)
        assert whitening.bias is not None
        nn.init.zeros_(whitening.bias)
        layers["whitening"] = whitening
        layers["activation"] = nn.GELU()
        before = filters
        for number, width in enumerate(widths, start=1):
            layers[f"group{number}"] = _group(before, width, batch_norm_momentum)
            before = width
        layers["pooling"] = nn.AdaptiveMaxPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fully_connected"] = nn.Linear(before, num_classes, bias=False)
        layers["scale"] = Scale(1 / 9)
        self.layers = nn.Sequential(layers)

    @torch.no_grad()
    def initialize_from_data(self, images: Tensor) -> None:
        """Set the first convolution to whiten patches of the training images.

        Its kernels are the eigenvectors of the patches' covariance, each divided by the root of its eigenvalue,
        and their negatives (Page 2018).

        Args:
            images: `(N, C, H, W)` uint8; a few thousand are enough.
        """
        normalized = self.layers.get_submodule("normalize")(images).float()
        patches = nn.functional.unfold(normalized, PATCH).transpose(1, 2).flatten(0, 1)  # (N * P, C * 4)
        covariance = patches.T @ patches / len(patches)
        values, vectors = torch.linalg.eigh(covariance.double())
        filters = (vectors / (values + 5e-4).sqrt()).T.flip(0)  # largest eigenvalue first
        weight = self.layers.get_parameter("whitening.weight")
        weight.copy_(torch.cat([filters, -filters]).reshape(weight.shape))

    def forward(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` uint8, or float in [0, 255], to `(N, K)` float logits."""
        logits: Tensor = self.layers(images)
        return logits

    def layer_groups(self) -> list[LayerGroup]:
        """`whitening`, `group1` to `group3`, `fully_connected`."""
        return named_layers(self.layers)


def _group(before: int, after: int, momentum: float) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            convolution1=_convolution(before, after),
            pooling=nn.MaxPool2d(2),
            norm1=_batch_norm(after, momentum),
            activation1=nn.GELU(),
            convolution2=_convolution(after, after),
            norm2=_batch_norm(after, momentum),
            activation2=nn.GELU(),
        )
    )


def _convolution(before: int, after: int) -> nn.Conv2d:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    kept = min(before, after)
    nn.init.dirac_(convolution.weight.data[:kept])
    return convolution


def _batch_norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=momentum)
    norm.weight.requires_grad_(False)
    return norm
