"""The table of a network's stages: output shape, parameters and FLOPs of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdl.inspection.stages import SOFTMAX, kind_of, stages
from mmdl.models.layers.eval_mode import eval_mode


class Stage(NamedTuple):
    """One row of the table.

    Attributes:
        name: Name of the stage within the model, such as `convolution1`.
        kind: What a textbook calls it, such as `Convolution`.
        shape: Shape of its output for one image: `(C, H, W)`, or `(N,)` after the flattening.
        parameters: Elements of its parameters; one that an earlier stage has too counts there only.
        flops: Forward floating-point operations for one image; a multiply-add counts 2. Matrix products,
            convolutions and attention are counted, element-wise operations are not.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    flops: int


def architecture(model: nn.Module, image_shape: Sequence[int]) -> list[Stage]:
    """The stages of a classifier, in the order in which an image passes them; the last is the softmax.

    The sums of parameters and FLOPs are those of the whole model: what lies outside of the stages (a position
    embedding, say) gets a row `(rest)`. One black image is sent through the model, in eval mode; neither its state
    nor any random state changes.

    Args:
        model: Maps `(N, C, H, W)` uint8 images to `(N, K)` logits.
        image_shape: `(C, H, W)`.
    """
    first = next(iter(model.parameters()), None)
    device = first.device if first is not None else torch.device("cpu")
    shapes: dict[str, tuple[int, ...]] = {}
    flops: dict[str, int] = {}
    began: dict[str, int] = {}
    counter = FlopCounterMode(display=False)

    def before(name: str) -> Any:
        def hook(*_: Any) -> None:
            began[name] = counter.get_total_flops()

        return hook

    def after(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            shapes.setdefault(name, ())
            if isinstance(output, torch.Tensor):
                shapes[name] = tuple(output.shape[1:])
            flops[name] = flops.get(name, 0) + counter.get_total_flops() - began[name]

        return hook

    parts = stages(model).modules
    handles = [module.register_forward_pre_hook(before(name)) for name, module in parts.items()]
    handles += [module.register_forward_hook(after(name)) for name, module in parts.items()]
    try:
        with eval_mode(model), torch.no_grad(), counter:
            # `forward` and not the call: a compiled model would run without the hooks.
            logits = model.forward(torch.zeros(1, *image_shape, dtype=torch.uint8, device=device))
    finally:
        for handle in handles:
            handle.remove()
    seen: set[int] = set()
    rows = [
        Stage(name, kind_of(parts[name]), shape, _count(parts[name], seen), flops[name])
        for name, shape in shapes.items()
    ]
    rest = _count(model, seen), counter.get_total_flops() - sum(flops.values())
    if any(rest):
        rows.append(Stage("(rest)", "Outside of the stages", (), *rest))
    return [*rows, Stage("softmax", SOFTMAX, tuple(logits.shape[1:]), 0, 0)]


def _count(module: nn.Module, seen: set[int]) -> int:
    """Elements of the parameters that were not counted before."""
    new = {id(p): p.numel() for p in module.parameters() if id(p) not in seen}
    seen.update(new)
    return sum(new.values())


def shape_text(shape: Sequence[int]) -> str:
    """A shape as the course writes it.

    >>> shape_text((32, 28, 28)), shape_text((3136,)), shape_text(())
    ('32 x 28 x 28', '3,136', '-')
    """
    return " x ".join(f"{size:,}" for size in shape) or "-"


def architecture_table(rows: Sequence[Stage]) -> str:
    """The stages as lines of text, with the totals.

    >>> print(architecture_table([Stage("relu1", "ReLU", (32, 8, 8), 0, 0), Stage("fc", "Linear", (2,), 10, 1500)]))
    stage  kind    output C x H x W  parameters   FLOPs
    relu1  ReLU          32 x 8 x 8           0       0
    fc     Linear                 2          10   1,500
    total                                    10   1,500
    """
    header = ("stage", "kind", "output C x H x W", "parameters", "FLOPs")
    body = [(r.name, r.kind, shape_text(r.shape), f"{r.parameters:,}", f"{r.flops:,}") for r in rows]
    total = ("total", "", "", f"{sum(r.parameters for r in rows):,}", f"{sum(r.flops for r in rows):,}")
    lines = [header, *body, total]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            f"{cell:<{width}}" if column < 2 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
