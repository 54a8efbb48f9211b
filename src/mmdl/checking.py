"""What `mmdl check` and the start of every `train` verify and measure, beyond the configuration itself."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mmdl.batch import ImageBatch, ImageTextBatch, contract_errors
from mmdl.data.augment.base import augmented
from mmdl.data.base import DataModule
from mmdl.errors import UserError
from mmdl.tasks.base import Task

SAMPLES_FOR_COST = 64
"""Samples of the first batch on which FLOPs and activations are measured."""


class Cost(NamedTuple):
    """What a training step takes.

    Attributes:
        parameters: Elements of all parameters.
        trainable: Those that learn.
        flops_per_sample: Forward floating-point operations of one sample (a multiply-add counts 2); matrix products,
            convolutions and attention are counted, recurrent and element-wise operations are not.
        training_flops: Those of one sample in a training step, forward and backward, as autograd runs them: about three
            times the forward pass where all parts learn, less where parts are frozen. It is what the model asks for:
            the optimizer, and what is computed again to save memory, are left out (the numerator of the model FLOPs
            utilization of Chowdhery et al. 2022, arXiv:2204.02311, appendix B).
        state_bytes: Weights, gradients and optimizer state.
        activation_bytes: What the backward pass keeps of the samples that are encoded at a time.
    """

    parameters: int
    trainable: int
    flops_per_sample: float
    training_flops: int
    state_bytes: int
    activation_bytes: int


def split_errors(data: DataModule) -> list[UserError]:
    """Splits that share what they must not share."""
    errors = []
    marked = bool(data.marks().get("trained_on_val"))
    for (first, ours), (second, theirs) in combinations(data.splits().items(), 2):
        shared = ours & theirs
        if shared and not (marked and {first, second} == {"train", "val"}):
            examples = ", ".join(sorted(shared)[:3])
            errors.append(
                UserError(
                    f"the splits {first!r} and {second!r} share {len(shared)} of {len(ours)} and {len(theirs)} images "
                    f"({examples}{', ...' if len(shared) > 3 else ''})",
                    valid="splits without a common image: a score on seen images says nothing",
                    fix=f"take them out of data.{first} or data.{second}",
                )
            )
    return errors


def batch_errors(data: DataModule, model: nn.Module, batch: dict[str, Tensor]) -> list[UserError]:
    """What of the data's batches the model can't take."""
    consumes = getattr(model, "consumes", None)
    if consumes is not None and consumes is not data.produces:
        return [
            UserError(
                f"the data produces {data.produces.__name__} and the model consumes {consumes.__name__}",
                valid=f"data that produces {consumes.__name__}",
                fix="python -m mmdl ls data",
            )
        ]
    errors = [
        UserError(f"first batch, {problem}", valid=f"mmdl.batch.{data.produces.__name__}")
        for problem in contract_errors(batch, data.produces)
    ]
    if "images" not in batch:
        return errors
    tower = getattr(model, "image_tower", model)
    name = "the model" if tower is model else "the image tower"
    channels, size = batch["images"].shape[1], batch["images"].shape[-1]
    wanted = getattr(tower, "image_size", None)
    if wanted is not None and size != wanted:
        errors.append(
            UserError(
                f"{name} takes {wanted} x {wanted} pixels, and data.image_size={size}",
                fix=f"data.image_size={wanted}",
            )
        )
    wanted = getattr(tower, "in_channels", None)
    if wanted is not None and channels != wanted:
        errors.append(
            UserError(
                f"{name} takes images of {wanted} channels, and the data's have {channels}",
                valid="1 (grey) or 3 (RGB)",
                fix=f"data.channels={wanted}",
            )
        )
    return errors + augmentation_errors(data, getattr(tower, "image_size", None), batch)


def augmentation_errors(
    data: DataModule, image_size: int | None, batch: dict[str, Tensor]
) -> list[UserError]:
    """What is wrong with the data's augmentation, found by applying it to a few images.

    Args:
        data: Its `augment` are the steps, where it has some.
        image_size: Height and width that the model takes; None for any.
        batch: The first batch.
    """
    few: Any = {name: tensor[:SAMPLES_FOR_COST] for name, tensor in batch.items()}
    sizes, changed_by = set(), ""
    for progress in (0.0, 0.5):
        now = few
        for step in getattr(data, "augment", ()):
            before = now["images"].shape
            try:
                now = augmented(
                    now,
                    [step],
                    seed=0,
                    epoch=0,
                    progress=progress,
                    num_classes=data.facts().get("num_classes", 0),
                )
            except UserError as error:
                return [error]
            if now["images"].shape != before:
                changed_by = type(step).__module__.rpartition(".")[2]
        sizes.add(now["images"].shape[-1])
    if not changed_by or image_size is None or sizes == {image_size}:
        return []
    return [
        UserError(
            f"data.augment.{changed_by} makes images of {' to '.join(map(str, sorted(sizes)))} pixels, "
            f"and the model takes {image_size} x {image_size} only",
            valid="a model that takes images of any size",
            fix="model.global_pooling=true (of model=cnn), or leave it out of augment@data.augment=[...]",
        )
    ]


def first_batch(data: DataModule, split: str = "train") -> dict[str, Tensor]:
    """The first training batch, in file order."""
    rows = np.arange(min(data.batch_size, int(data.offsets(split)[-1])), dtype=np.int64)
    batch: dict[str, Tensor] = data.batch(split, rows)
    return batch


def measure(task: Task, data: DataModule) -> Cost:
    """Parameters, FLOPs and an estimate of memory, from a training step over a few samples on the CPU.

    Neither weights nor gradients nor random state change.
    """
    at_once = task.samples_at_once(data.batch_size)
    few = min(SAMPLES_FOR_COST, at_once, int(data.offsets("train")[-1]))
    batch: Any = data.batch("train", np.arange(few, dtype=np.int64))
    batch = {name: tensor.cpu() for name, tensor in batch.items()}
    count = task.count(batch)
    kept: dict[tuple[int, tuple[int, ...]], int] = {}
    own = {t.untyped_storage().data_ptr() for t in task.model.state_dict().values()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[(storage.data_ptr(), tuple(tensor.shape))] = storage.nbytes()
        return tensor

    training = task.model.training
    task.model.train()
    forward, backward = FlopCounterMode(display=False), FlopCounterMode(display=False)
    with torch.random.fork_rng(devices=[]):
        before = [buffer.clone() for buffer in task.model.buffers()]
        saved = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
        with torch.enable_grad(), saved, forward:
            loss = task.losses(batch)["loss"]
        learning = [p for p in task.model.parameters() if p.requires_grad]
        with backward:
            torch.autograd.grad(loss, learning, allow_unused=True)
    task.model.train(training)
    with torch.no_grad():  # batch norms have counted these samples
        for buffer, value in zip(task.model.buffers(), before, strict=True):
            buffer.copy_(value)
    del loss
    parameters = list(task.model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    weights = sum(t.nbytes for t in task.model.state_dict().values())
    # gradient and two moments of AdamW, in the parameters' precision
    state = weights + sum(3 * p.nbytes for p in parameters if p.requires_grad)
    activations = int(sum(kept.values()) / count * at_once)
    return Cost(
        parameters=sum(p.numel() for p in parameters),
        trainable=trainable,
        flops_per_sample=forward.get_total_flops() / count,
        training_flops=round((forward.get_total_flops() + _flops_of_backward(backward)) / count),
        state_bytes=state,
        activation_bytes=activations,
    )


def _flops_of_backward(counter: FlopCounterMode) -> float:
    """Without what fused attention computes again: one of the five matrix products of its backward pass."""
    counts = counter.get_flop_counts().get("Global", {})
    return sum(n * (0.8 if "attention" in str(operation) else 1) for operation, n in counts.items())


def network_table(model: nn.Module, batch: Mapping[str, Any]) -> list[str]:
    """The lines of a classifier's table: stage, output shape, parameters, FLOPs; none for other models.

    Args:
        model: Any.
        batch: A batch of the data.
    """
    if getattr(model, "consumes", None) is not ImageBatch:
        return []
    from mmdl.inspection.architecture import architecture, architecture_table

    return architecture_table(architecture(model, tuple(batch["images"].shape[1:]))).splitlines()


def human(number: float, unit: str = "") -> str:
    """A number with three digits and a decimal prefix.

    >>> human(1234567), human(2.5e9, "B"), human(12)
    ('1.23 M', '2.5 GB', '12')
    """
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number:.3g}" + (f" {unit}" if unit else "")


def report(data: DataModule, cost: Cost, batch: Mapping[str, Any], precision: str) -> list[str]:
    """The lines that `check` prints."""
    shapes = ", ".join(
        f"{name} {tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for name, t in batch.items()
    )
    total = cost.state_bytes + cost.activation_bytes
    lines = [
        "splits       " + ", ".join(f"{split} {len(ids):,} images" for split, ids in data.splits().items()),
        f"parameters   {human(cost.parameters)}, {human(cost.trainable)} of them learn",
        f"forward      {human(cost.flops_per_sample, 'FLOP')} a sample (matrix products, convolutions, attention); "
        f"a training step {human(cost.training_flops, 'FLOP')}",
        f"memory       about {human(total, 'B')}: {human(cost.state_bytes, 'B')} weights, gradients and moments, "
        f"{human(cost.activation_bytes, 'B')} activations at most, precision {precision}",
        f"first batch  {shapes}",
    ]
    if data.skipped:
        lines.append(
            "left out     " + ", ".join(f"{n:,} {reason}" for reason, n in sorted(data.skipped.items()))
        )
    return lines + data.cautions()


def frozen_lines(model: nn.Module) -> list[str]:
    """A line where both towers of a contrastive model are frozen; none otherwise, and for other models."""
    if getattr(model, "consumes", None) is not ImageTextBatch:
        return []
    from mmdl.optim.learning_parts import frozen_towers, learning_parts

    said = frozen_towers(learning_parts(model))
    return [] if said is None else [f"warning      {said}: task.freeze=[] or one tower, unless that is meant"]
