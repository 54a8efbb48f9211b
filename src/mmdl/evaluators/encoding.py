"""Encodes images and texts for evaluators: shared out between ranks, and once for all evaluators of an evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmdl.data.image_dataset import ImageDataset
from mmdl.data.sampler import IntArray
from mmdl.errors import UserError
from mmdl.evaluators.base import EvaluationContext
from mmdl.models.layers.eval_mode import eval_mode

Kind = Literal["embedding", "pooled"]

IMAGES_AT_ONCE = 250
"""Fixed, so that an image is encoded among the same others on any number of ranks."""


class EncodedImages(NamedTuple):
    """Features of some images of a data set.

    Attributes:
        features: `(N, D)` float32, on the CPU.
        labels: `(N,)` int64.
        rows: `(N,)` int64 rows of the data set.
    """

    features: Tensor
    labels: IntArray
    rows: IntArray


def spread_rows(count: int, limit: int | None) -> IntArray:
    """At most `limit` of `count` rows, evenly spread: always the same ones.

    >>> spread_rows(10, 4).tolist(), spread_rows(3, None).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    if limit is None or limit >= count:
        return np.arange(count, dtype=np.int64)
    return np.round(np.linspace(0, count - 1, limit)).astype(np.int64)


def encoded_images(
    context: EvaluationContext, dataset: ImageDataset, kind: Kind = "embedding", limit: int | None = None
) -> EncodedImages:
    """Encode images with the run's image encoder; another evaluator of the same evaluation gets the same tensors.

    Args:
        context: Of the evaluation.
        dataset: The images, with labels.
        kind: `embedding` (`encode_images`: projected, of length 1) or `pooled` (the tower's, before the projection).
        limit: At most so many, evenly spread.

    Raises:
        UserError: if the model has no image encoder, or no features before its projection.
    """
    rows = spread_rows(len(dataset), limit)
    encode = _image_encoder(context.task.model, kind)

    def chunk(start: int) -> Tensor:
        images = dataset[rows[start : start + IMAGES_AT_ONCE]]["images"].to(context.task.device)
        return encode(images)

    def all_chunks() -> Tensor:
        return encoded(context, range(0, len(rows), IMAGES_AT_ONCE), chunk)

    features = once(context, ("images", kind, _key(dataset), len(rows)), all_chunks)
    return EncodedImages(features, dataset.split.labels[rows], rows)


def encoded(context: EvaluationContext, starts: Sequence[int], chunk: Callable[[int], Tensor]) -> Tensor:
    """Encode chunks in eval mode, in the precision of the run, each on one rank, and gather them in order.

    Args:
        context: Of the evaluation.
        starts: What names the chunks, at least one.
        chunk: From a name to `(n, D)` features.

    Returns:
        `(N, D)` float32 on the CPU, equal on all ranks.
    """
    trainer = _trainer(context.task)
    rank, world_size = (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)
    precision: AbstractContextManager[Any] = nullcontext()
    if trainer is not None:
        precision = trainer.precision_plugin.val_step_context()
    with torch.no_grad(), eval_mode(context.task.model), precision:
        own = []
        for turn in range(0, len(starts), world_size):
            context.task.pause()
            if turn + rank < len(starts):
                own.append(chunk(starts[turn + rank]).float().cpu())
    if world_size == 1:
        return torch.cat(own)
    parts: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(parts, own)
    return torch.cat([parts[number % world_size][number // world_size] for number in range(len(starts))])


def once(context: EvaluationContext, key: Any, compute: Callable[[], Any]) -> Any:
    """What another evaluator of the same evaluation has computed under this key already, or new."""
    if context.shared is None:
        return compute()
    if key not in context.shared:
        context.shared[key] = compute()
    return context.shared[key]


def on_one_rank(context: EvaluationContext, compute: Callable[[], Any]) -> Any:
    """Compute on rank 0 what takes all its cores, and hand the others the result."""
    trainer = _trainer(context.task)
    if trainer is None or trainer.world_size == 1:
        return compute()
    parts = [compute() if trainer.is_global_zero else None]
    torch.distributed.broadcast_object_list(parts, src=0)
    return parts[0]


def _trainer(task: Any) -> Any:
    try:
        return task.trainer
    except RuntimeError:  # a task outside a Trainer
        return None


def _image_encoder(model: Any, kind: Kind) -> Callable[[Tensor], Tensor]:
    if not hasattr(model, "encode_images"):
        raise UserError(
            f"{type(model).__name__} has no encoder of images into a space of their own",
            valid="a contrastive model, such as model=clip_towers",
            fix="python -m mmdl ls model",
        )
    if kind == "embedding":
        encode: Callable[[Tensor], Tensor] = model.encode_images
        return encode
    tower: Any = getattr(model, "image_tower", None)
    visual: Any = getattr(tower, "visual", None)
    if visual is None and tower is not None:
        return lambda images: tower(images).pooled
    if hasattr(visual, "trunk"):  # a timm model inside an open_clip one: its head is the projection
        return lambda images: visual.trunk(tower.normalize(images))
    if isinstance(getattr(visual, "proj", None), Tensor):
        return lambda images: _without_projection(tower, images)
    raise UserError(
        f"the image tower of {type(model).__name__} gives no features from before its projection",
        valid="features=embedding",
    )


def _without_projection(tower: Any, images: Tensor) -> Tensor:
    """What open_clip's vision transformer projects: it leaves the projection out where it has none."""
    projection, tower.visual.proj = tower.visual.proj, None
    try:
        features: Tensor = tower(images)
    finally:
        tower.visual.proj = projection
    return features


def _key(dataset: ImageDataset) -> Any:
    """Equal for sets with the same images, such as one picture with labels of two kinds."""
    split = dataset.split
    if split.pixels is None or not split.content:
        return id(dataset)
    shape = tuple(dataset[np.zeros(1, dtype=np.int64)]["images"].shape)
    return split.content, hashlib.sha256("\0".join(split.ids).encode()).hexdigest(), shape
