"""Typed batches: which keys a batch has, with shapes and dtypes.

A data module `produces` one of these types and a model `consumes` one; `mmdl check` compares the two and then the
first real batch with the type. Dimensions that share a letter are equal within a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, Required, TypedDict, get_type_hints

if TYPE_CHECKING:
    from torch import Tensor


class TensorSpec(NamedTuple):
    """Shape and dtype of one tensor of a batch.

    Attributes:
        dims: One letter or number a dimension; equal letters mean equal sizes within a batch.
        dtype: Name of the torch dtype; `float` stands for any floating dtype.
    """

    dims: tuple[str | int, ...]
    dtype: str


class VQABatch(TypedDict, total=False):
    """Questions grouped by image: `Q` questions over `I <= Q` distinct images.

    Either `images` or `image_grid`/`image_pooled` (features of a frozen tower, from the cache) is present; likewise
    `tokens` or `question_tokens`/`question_pooled`.
    """

    rows: Required[Tensor]
    """`(Q,)` int64: row of each question in its split's index."""
    image_index: Required[Tensor]
    """`(Q,)` int64: which of the `I` images each question is about."""
    targets: NotRequired[Tensor]
    """`(Q, A)` float32 in [0, 1]: soft score of each answer of the vocabulary; absent without references."""
    images: NotRequired[Tensor]
    """`(I, 3, H, W)` uint8 RGB in [0, 255]; the image tower normalises."""
    tokens: NotRequired[Tensor]
    """`(Q, L)` int64 token ids, right-padded."""
    token_mask: NotRequired[Tensor]
    """`(Q, L)` bool, True at real tokens."""
    image_grid: NotRequired[Tensor]
    """`(I, C, h, w)` float feature map of the image tower."""
    image_pooled: NotRequired[Tensor]
    """`(I, P)` float pooled feature of the image tower."""
    question_tokens: NotRequired[Tensor]
    """`(Q, L, D)` float features of the question's tokens."""
    question_pooled: NotRequired[Tensor]
    """`(Q, E)` float pooled feature of the question."""


class ImageBatch(TypedDict, total=False):
    """`N` images with their classes."""

    rows: Required[Tensor]
    """`(N,)` int64: row of each image in its split's index."""
    images: Required[Tensor]
    """`(N, C, H, W)` uint8 in [0, 255]; float in the same range after an augmentation. The model normalises."""
    labels: NotRequired[Tensor]
    """`(N,)` int64 class of each image; absent without references."""
    targets: NotRequired[Tensor]
    """`(N, K)` float32 probability of each class, where an augmentation mixed images; it goes before `labels`."""


class ImageTextBatch(TypedDict, total=False):
    """`I` images with `T >= I` captions; each image is there once, however many captions it has.

    Either `images` or `image_features` (of a frozen tower, from the cache) is present; likewise `tokens` or
    `text_features`.
    """

    rows: Required[Tensor]
    """`(I,)` int64: row of each image in its split's index."""
    image_ids: Required[Tensor]
    """`(I,)` int64: equal for equal images; a caption of one is a positive of the other, and no negative."""
    caption_rows: Required[Tensor]
    """`(T,)` int64: row of each caption in its split's index."""
    image_index: Required[Tensor]
    """`(T,)` int64: which of the `I` images each caption describes."""
    images: NotRequired[Tensor]
    """`(I, 3, H, W)` uint8 RGB in [0, 255]; float in the same range after an augmentation. The model normalises."""
    tokens: NotRequired[Tensor]
    """`(T, L)` int64 token ids, right-padded."""
    token_mask: NotRequired[Tensor]
    """`(T, L)` bool, True at real tokens."""
    image_features: NotRequired[Tensor]
    """`(I, P)` float pooled feature of the image tower, before the projection that the model puts on it, if any."""
    text_features: NotRequired[Tensor]
    """`(T, E)` float pooled feature of the text tower, likewise."""


SPECS: dict[type, dict[str, TensorSpec]] = {
    ImageBatch: {
        "rows": TensorSpec(("N",), "int64"),
        "images": TensorSpec(("N", "C", "H", "W"), "uint8"),
        "labels": TensorSpec(("N",), "int64"),
        "targets": TensorSpec(("N", "K"), "float32"),
    },
    ImageTextBatch: {
        "rows": TensorSpec(("I",), "int64"),
        "image_ids": TensorSpec(("I",), "int64"),
        "caption_rows": TensorSpec(("T",), "int64"),
        "image_index": TensorSpec(("T",), "int64"),
        "images": TensorSpec(("I", 3, "H", "W"), "uint8"),
        "tokens": TensorSpec(("T", "L"), "int64"),
        "token_mask": TensorSpec(("T", "L"), "bool"),
        "image_features": TensorSpec(("I", "P"), "float"),
        "text_features": TensorSpec(("T", "E"), "float"),
    },
    VQABatch: {
        "rows": TensorSpec(("Q",), "int64"),
        "image_index": TensorSpec(("Q",), "int64"),
        "targets": TensorSpec(("Q", "A"), "float32"),
        "images": TensorSpec(("I", 3, "H", "W"), "uint8"),
        "tokens": TensorSpec(("Q", "L"), "int64"),
        "token_mask": TensorSpec(("Q", "L"), "bool"),
        "image_grid": TensorSpec(("I", "C", "h", "w"), "float"),
        "image_pooled": TensorSpec(("I", "P"), "float"),
        "question_tokens": TensorSpec(("Q", "L", "D"), "float"),
        "question_pooled": TensorSpec(("Q", "E"), "float"),
    },
}
"""Shape and dtype of every key, by batch type."""


def contract_errors(batch: dict[str, Any], batch_type: type) -> list[str]:
    """What of `batch` breaks the contract of `batch_type`; empty if nothing does.

    Args:
        batch: Key -> tensor.
        batch_type: One of the typed batches of this module.

    >>> import torch
    >>> rows = torch.arange(3)
    >>> contract_errors({"rows": rows, "image_index": rows[:2]}, VQABatch)
    ['image_index: size 2 at dimension Q, but Q is 3 elsewhere']
    """
    specs = SPECS[batch_type]
    required: frozenset[str] = getattr(batch_type, "__required_keys__", frozenset())
    found = [f"{key}: missing" for key in sorted(required - batch.keys())]
    found += [f"{key}: not a key of {batch_type.__name__}" for key in batch if key not in specs]
    sizes: dict[str, int] = {}
    for key, spec in specs.items():
        if key not in batch:
            continue
        tensor = batch[key]
        dtype = str(tensor.dtype).removeprefix("torch.")
        if not (dtype == spec.dtype or (spec.dtype == "float" and tensor.is_floating_point())):
            found.append(f"{key}: dtype {dtype}, expected {spec.dtype}")
        if tensor.ndim != len(spec.dims):
            found.append(f"{key}: shape {tuple(tensor.shape)}, expected {spec.dims}")
            continue
        for dim, size in zip(spec.dims, tensor.shape, strict=True):
            wanted = dim if isinstance(dim, int) else sizes.setdefault(dim, size)
            if size != wanted:
                found.append(f"{key}: size {size} at dimension {dim}, but {dim} is {wanted} elsewhere")
    return found


def batch_keys(batch_type: type) -> list[str]:
    """All keys of a batch type, in the order of its definition."""
    return list(get_type_hints(batch_type, localns={"Tensor": Any}))
