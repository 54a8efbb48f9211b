"""What `trainer.sync_batchnorm=true` does: batch norms take the statistics of all ranks together."""

from __future__ import annotations

from lightning.pytorch.plugins import LayerSync
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import override

from mmdl.models.layers.joined_batch_norm import joined_batch_norm


class JoinedBatchNorms(LayerSync):
    """Batch norms over all ranks, in place: the layers, their names and what surrounds the normalisation stay.

    Lightning's own plugin puts other layers there, needs a GPU, and drops the activation that timm keeps inside its
    batch norms.
    """

    @override
    def apply(self, model: nn.Module) -> nn.Module:
        """Let all batch norms of a model look at all ranks while they train."""
        for layer in model.modules():
            if isinstance(layer, _BatchNorm):
                layer.forward = _Joined(layer)  # type: ignore[method-assign, assignment]
        return model

    @override
    def revert(self, model: nn.Module) -> nn.Module:
        """Make them ordinary again."""
        for layer in model.modules():
            if isinstance(vars(layer).get("forward"), _Joined):
                del layer.forward
        return model


class _Joined:
    """The forward pass of a batch norm: that of its class, or with joint statistics where it would take a batch's."""

    def __init__(self, layer: _BatchNorm) -> None:
        self.layer = layer

    def __call__(self, values: Tensor) -> Tensor:
        layer = self.layer
        if not layer.training:
            plain: Tensor = type(layer).forward(layer, values)
            return plain
        normalised = joined_batch_norm(layer, values)
        for name in ("drop", "act"):  # timm's `BatchNormAct2d`
            after = getattr(layer, name, None)
            normalised = normalised if after is None else after(normalised)
        return normalised
