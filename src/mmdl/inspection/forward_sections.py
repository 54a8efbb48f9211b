"""The sections of a page that follow an image through the network, from the pixels to the softmax."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import nn

from mmdl.inspection.architecture import shape_text
from mmdl.inspection.drawing.bars import named_bars, numbered_bars
from mmdl.inspection.drawing.filters import filters_picture
from mmdl.inspection.drawing.picture import Picture
from mmdl.inspection.drawing.pixels import heat_picture, image_picture, overlay_picture
from mmdl.inspection.drawing.strips import vector_strip
from mmdl.inspection.drawing.tiles import coloured, scale_of, tiles
from mmdl.inspection.forward import Explained, Forward
from mmdl.inspection.page.parts import Block, Chain, Figure, Row, Section, Table
from mmdl.inspection.prediction_line import percent
from mmdl.inspection.subject import Subject
from mmdl.inspection.trace import Layer
from mmdl.inspection.words import explanation, values_text

MOST_MAPS = 32
"""Maps of a stage that are drawn: the first ones, the same at each stage, so that they can be followed."""

MOST_MAP_STAGES = 40
"""Stages whose maps are drawn."""

MOST_BARS = 12
"""Classes that get a bar."""

MOST_NUMBERED = 512
"""Outputs of a layer up to which each gets a bar; more become a strip of colour."""

KEPT_AS_IT_IS = ("Dropout", "Flatten")
"""Kinds that change nothing that could be seen; the flattened vector has its own section."""


def softmax_figure(
    found: Forward, classes: Sequence[str], label: int | None, name: str = "softmax"
) -> Figure:
    """The bars of the most probable classes, and of the true one."""
    probabilities = found.probabilities.double().cpu().numpy()
    order = np.argsort(-probabilities, kind="stable")[:MOST_BARS].tolist()
    if label is not None and label not in order:
        order[-1] = label
    values = probabilities[order]
    picture = named_bars(
        [classes[k] for k in order],
        values,
        [percent(p) for p in values.tolist()],
        marked=order.index(label) if label is not None else None,
    )
    rest = 1 - float(values.sum())
    caption = f"Softmax over {len(classes):,} classes"
    if len(order) < len(classes):
        caption += f", the {len(order)} most probable ones; all others together {percent(max(0.0, rest))}"
    if label is not None:
        caption += ". Green: the true class."
    return Figure(
        name,
        picture,
        f"Bar chart of the probabilities; {classes[order[0]]} is the most probable class",
        caption,
    )


def hero_figures(found: Forward, subject: Subject, classes: Sequence[str]) -> list[Figure]:
    """The image beside the answer."""
    image = subject.image.numpy()
    caption = f"The image as the model takes it: {shape_text(image.shape)} values in 0 to 255."
    return [
        Figure("input", image_picture(image, 280), f"The image {subject.title}", caption),
        softmax_figure(found, classes, subject.label),
    ]


def architecture_section(found: Forward, model_name: str) -> Section:
    """The table of the stages."""
    rows = [
        (stage.name, stage.kind, shape_text(stage.shape), f"{stage.parameters:,}", f"{stage.flops:,}")
        for stage in found.stages
    ]
    parameters, flops = (
        sum(column) for column in zip(*((s.parameters, s.flops) for s in found.stages), strict=True)
    )
    rows.append(("total", "", "", f"{parameters:,}", f"{flops:,}"))
    kinds = [stage.kind for stage in found.stages if stage.kind not in ("Dropout", "Outside of the stages")]
    return Section(
        "The network",
        [
            f"The model is {model_name}. An image passes these stages from left to right.",
            Chain(kinds),
            Table(
                ("stage", "kind", "output C x H x W", "parameters", "FLOPs"),
                rows,
                "Stages in order. A multiply-add counts as 2 FLOPs; element-wise operations are not counted.",
                frozenset({2, 3, 4}),
            ),
        ],
    )


def stage_sections(found: Forward, classes: Sequence[str]) -> Iterator[Section]:
    """Each stage with its filters, its feature maps or its vector."""
    first = next(
        (m for layer in found.trace.layers for m in layer.module.modules() if isinstance(m, nn.Conv2d)), None
    )
    yield Section(
        "Stage by stage",
        [
            "What comes out of each stage for this image. The numbers above the tiles count the maps of a stage, from "
            "0: map 5 after ReLU is map 5 before it, with its negative values set to 0. All maps of a stage have one "
            "colour scale, at the right; single extreme values go beyond it."
        ],
    )
    drawn = 0
    for layer in found.trace.layers:
        blocks: list[Block] = [text] if (text := explanation(layer)) else []
        blocks += [
            _filters(layer, module)
            for module in layer.module.modules()
            # of a composite stage only the very first filters are drawn: the deeper ones say little by themselves
            if isinstance(module, nn.Conv2d) and (module is first or module is layer.module)
        ]
        if layer.is_map and found.trace.channels_first:
            drawn += 1
            if drawn > MOST_MAP_STAGES:
                continue
            blocks.append(_maps(layer))
        elif layer.kind not in KEPT_AS_IT_IS and layer.output.ndim in (2, 4):
            blocks.append(_vector(layer, classes))
        elif layer.kind == "Flatten":
            blocks.append(_flattened(layer))
        else:
            blocks.append(f"Its output: {values_text(layer)}.")
        if layer.kind != "Dropout":
            yield Section(stage_title(layer.kind, layer.name), blocks, 3)


def stage_title(kind: str, name: str) -> str:
    """A heading for a stage.

    >>> stage_title("Convolution", "convolution2"), stage_title("Batch norm", "backbone.bn1")
    ('Convolution 2', 'Batch norm (backbone.bn1)')
    """
    word = kind.lower().replace(" ", "_")
    number = name.removeprefix(word)
    if name.startswith(word) and (not number or number.isdigit()):
        return f"{kind} {number}".strip()
    return f"{kind} ({name})" if kind != name else name


def _filters(layer: Layer, module: nn.Conv2d) -> Figure:
    weight = module.weight.detach().float().cpu().numpy()
    drawn = filters_picture(weight)
    spread = f"from {weight.min():.3g} to {weight.max():.3g}"
    caption = f"Filters: {shape_text(weight.shape)} weights {spread}; {drawn.shown}."
    return Figure(f"{layer.name}-filters", drawn.picture, f"The filters of {layer.name}", caption)


def _maps(layer: Layer) -> Figure:
    maps = layer.output[0].detach().float().cpu().numpy()  # (C, H, W)
    count = min(len(maps), MOST_MAPS)
    scale = scale_of(maps[:count])
    labels = (
        {1: [""], 3: ["red", "green", "blue"]}.get(count) if layer.kind == "Input normalisation" else None
    )
    picture: Picture = tiles(
        coloured(maps[:count], scale),
        labels or [str(n) for n in range(count)],
        side=70 if count > 3 else 150,
        scale=scale,
    )
    zero = int((maps == 0).all((1, 2)).sum())
    caption = f"{f'{count} of {len(maps)} maps; ' if count < len(maps) else ''}{values_text(layer)}."
    if zero:
        caption += f" {zero} of the {len(maps)} maps {'is' if zero == 1 else 'are'} 0 everywhere."
    return Figure(f"{layer.name}-maps", picture, f"Feature maps after {layer.name}", caption)


def _vector(layer: Layer, classes: Sequence[str]) -> Figure:
    values = layer.output[0].detach().float().cpu().numpy().reshape(-1)
    if len(values) == len(classes) <= MOST_BARS:
        picture = named_bars(classes, values)
    elif len(values) <= MOST_NUMBERED:
        picture = numbered_bars(values)
    else:
        picture = vector_strip(values)
    return Figure(
        f"{layer.name}-outputs", picture, f"Outputs of {layer.name}", f"Outputs: {values_text(layer)}."
    )


def _flattened(layer: Layer) -> Figure:
    values = layer.output[0].detach().float().cpu().numpy()
    caption = f"The vector, from left to right and line by line: {values_text(layer)}."
    if layer.input is not None and layer.input.ndim == 4:
        positions = layer.input.shape[2] * layer.input.shape[3]
        caption += f" Each run of {positions} values is one map." if positions > 1 else ""
    return Figure(f"{layer.name}-vector", vector_strip(values), "The flattened vector", caption)


def softmax_section(found: Forward, classes: Sequence[str]) -> Section:
    """From logits to probabilities, in numbers."""
    logits = found.trace.logits[0].detach().double().cpu()
    probabilities = found.probabilities.double().cpu()
    order = logits.argsort(descending=True, stable=True)[:MOST_BARS].tolist()
    largest = float(logits.max())
    rows = [
        (
            classes[k],
            f"{float(logits[k]):.4f}",
            f"{float((logits[k] - largest).exp()):.4g}",
            f"{float(probabilities[k]):.4g}",
        )
        for k in order
    ]
    total = float((logits - largest).exp().sum())
    return Section(
        "Softmax",
        [
            "The last outputs z, the logits, become probabilities: p = exp(z) / sum of exp(z) over all classes. Taking "
            "the largest logit from all of them first changes nothing and keeps exp from overflowing.",
            Table(
                ("class", "logit z", "exp(z - max z)", "probability"),
                rows,
                f"{len(rows)} of {len(classes):,} classes; exp(z - max z) sums to {total:.4f} over all classes.",
                frozenset({1, 2, 3}),
            ),
        ],
    )


def attention_section(found: Forward, subject: Subject, classes: Sequence[str]) -> Section:
    """Saliency and Grad-CAM of the most probable class, and of the true one."""
    blocks: list[Block] = [
        "Saliency: how much each pixel moves the logit of a class, up or down; the absolute gradient, the largest of "
        "the channels (Simonyan et al. 2014). Grad-CAM: the last feature maps, each weighted by the mean gradient of "
        "the logit over it, summed, and negative sums set to 0 (Selvaraju et al. 2017): where the evidence for the "
        "class lies."
    ]
    for number, one in enumerate(found.explained):
        blocks.append(
            _explained(one, subject, classes[one.class_index], "predicted" if number == 0 else "true")
        )
    if found.explained[0].grad_cam is None:
        blocks.append("Grad-CAM does not apply: no stage of this network has feature maps.")
    return Section("Where it looks", blocks)


def _explained(one: Explained, subject: Subject, name: str, role: str) -> Row:
    image = subject.image.numpy()
    heat = one.saliency.cpu().numpy()
    figures = [
        Figure(
            f"saliency-{role}",
            heat_picture(heat),
            f"Saliency for {name}",
            f"Saliency for the {role} class {name}: {shape_text(heat.shape)} values up to {heat.max():.3g} a grey "
            "level.",
        )
    ]
    if one.grad_cam is not None:
        cam = one.grad_cam
        coarse, warm = cam.coarse[0].cpu().numpy(), cam.heat[0].cpu().numpy()
        caption = (
            f"Grad-CAM for the {role} class {name}, from {cam.layer}: {shape_text(coarse.shape)} values up to "
            f"{coarse.max():.3g}, enlarged and laid over the image"
            + ("." if coarse.max() > 0 else "; all are 0: nothing there speaks for this class.")
        )
        figures.append(
            Figure(f"grad-cam-{role}", overlay_picture(image, warm), f"Grad-CAM for {name}", caption)
        )
    return Row(figures)
