"""What towers hand to a fusion, and how a model names its layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from torch import Tensor, nn


class ImageFeatures(NamedTuple):
    """Features of `I` images.

    Attributes:
        grid: `(I, C, h, w)` float feature map; `(I, C, 0, 0)` where a cache left it out.
        pooled: `(I, P)` float, one vector an image.
    """

    grid: Tensor
    pooled: Tensor


class QuestionFeatures(NamedTuple):
    """Features of `Q` questions.

    Attributes:
        tokens: `(Q, L, D)` float, one vector a token; `(Q, 0, D)` where a cache left it out.
        mask: `(Q, L)` bool, True at real tokens.
        pooled: `(Q, E)` float, one vector a question.
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor


class LayerGroup(NamedTuple):
    """A named part of a model; the unit of freezing, of layer-wise learning rates and of FSDP wrapping.

    A model's groups are ordered from input to output and hold each of its parameters exactly once. A
    parameter that belongs to no submodule (a class embedding, say) stands in an `nn.ParameterList`.

    Attributes:
        name: Dotted name, unique within the model, such as `image_tower.blocks.0`.
        modules: Modules of the group; their parameters are the group's.
    """

    name: str
    modules: list[nn.Module]

    def parameters(self) -> list[nn.Parameter]:
        """The group's parameters, each once."""
        return list({id(p): p for module in self.modules for p in module.parameters()}.values())


class ImageTower(Protocol):
    """`(I, 3, H, W)` uint8 images -> `ImageFeatures`; normalises inside."""

    grid_channels: int
    pooled_dim: int
    image_size: int | None

    def __call__(self, images: Tensor) -> ImageFeatures:
        """Encode images."""

    def layer_groups(self) -> list[LayerGroup]:
        """Groups of parameters from input to output; names without the tower's own prefix."""


class QuestionTower(Protocol):
    """`(Q, L)` int64 token ids and their `(Q, L)` bool mask -> `QuestionFeatures`."""

    token_dim: int
    pooled_dim: int

    def __call__(self, tokens: Tensor, mask: Tensor) -> QuestionFeatures:
        """Encode questions."""

    def layer_groups(self) -> list[LayerGroup]:
        """Groups of parameters from input to output; names without the tower's own prefix."""


class Fusion(Protocol):
    """Features of `I` images and `Q` questions -> one vector a question.

    Attributes:
        out_dim: Size `F` of that vector.
        uses_grid: Whether `ImageFeatures.grid` is read (a feature cache leaves it out otherwise).
        uses_tokens: Whether `QuestionFeatures.tokens` is read (likewise).
    """

    out_dim: int
    uses_grid: bool
    uses_tokens: bool

    def __call__(self, image: ImageFeatures, question: QuestionFeatures, image_index: Tensor) -> Tensor:
        """Fuse; `image_index` is `(Q,)` int64 in [0, I). Returns `(Q, out_dim)` float."""


class FusionFactory(Protocol):
    """What a config gives for a fusion: a partial that only lacks the sizes of the towers' features."""

    def __call__(self, *, grid_channels: int, image_dim: int, token_dim: int, question_dim: int) -> Fusion:
        """Build the fusion."""


def prefixed(prefix: str, groups: Iterable[LayerGroup]) -> list[LayerGroup]:
    """The same groups with `prefix.` before each name."""
    return [LayerGroup(f"{prefix}.{group.name}", group.modules) for group in groups]


def as_module(part: object) -> nn.Module:
    """A tower or fusion as the `nn.Module` that it also is (Python has no intersection types)."""
    assert isinstance(part, nn.Module), type(part)
    return part
