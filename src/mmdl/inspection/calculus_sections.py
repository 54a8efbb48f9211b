"""The sections of a page about derivatives: checks, forward and backward pass, gradient, Jacobian, chain rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mmdl.inspection.architecture import shape_text
from mmdl.inspection.calculus import Calculus
from mmdl.inspection.chain_rule import MOST_MATRIX_ENTRIES
from mmdl.inspection.drawing.curves import histograms, spectrum
from mmdl.inspection.drawing.picture import number
from mmdl.inspection.drawing.strips import matrix_strip, square_matrix
from mmdl.inspection.drawing.tiles import coloured, scale_of, tiles
from mmdl.inspection.page.parts import Block, Figure, Row, Section, Table

MOST_HISTOGRAMS = 24
"""Parameter tensors that get a histogram: those with the largest gradients."""

MOST_CLASSES = 12
"""Classes whose row of the Jacobian is drawn as a map."""

MOST_NAMED = 40
"""Classes up to which the softmax's Jacobian is drawn."""


def calculus_sections(found: Calculus, classes: Sequence[str], label_source: str) -> Iterator[Section]:
    """All of them.

    Args:
        found: The derivatives.
        classes: `K` names.
        label_source: Where the label of the loss comes from.
    """
    yield _checks(found)
    yield _passes(found, classes, label_source)
    yield _gradient(found)
    yield _jacobian(found, classes)
    yield _chain(found)


def _checks(found: Calculus) -> Section:
    failed = [check for check in found.checks if not check.passed]
    rows = [
        (
            "ok" if check.passed else "FAIL",
            check.name,
            f"{check.error:.1e}",
            f"{check.limit:.0e}",
            check.detail,
        )
        for check in found.checks
    ]
    verdict = (
        f"All {len(rows)} checks passed." if not failed else f"{len(failed)} of {len(rows)} checks FAILED."
    )
    return Section(
        "Checks",
        [
            f"{verdict} Whatever the sections below show was computed by automatic differentiation, and is held here "
            "against differences of function values, or against another way to compute the same.",
            Table(
                ("", "what", "error", "limit", "how"),
                rows,
                "Relative errors, in 64-bit floats",
                frozenset({2, 3}),
            ),
        ],
    )


def _passes(found: Calculus, classes: Sequence[str], label_source: str) -> Section:
    def text(value: float | None) -> str:
        return "-" if value is None else number(value)

    rows = [
        (
            flow.name,
            flow.kind,
            shape_text(flow.shape),
            text(flow.output_norm),
            text(flow.weight_gradient_norm),
            text(flow.input_gradient_norm),
        )
        for flow in found.gradient.flows
    ]
    rows.append(
        (
            "loss",
            "Cross-entropy",
            "1",
            number(found.gradient.loss),
            "-",
            number(float(found.gradient.logits.norm())),
        )
    )
    smoothing = found.network.label_smoothing
    return Section(
        "Forward and backward",
        [
            f"The loss is the cross-entropy -log p of the class {classes[found.network.label]} ({label_source})"
            + (f", with label smoothing {smoothing:g} as in training" if smoothing else "")
            + f": {found.gradient.loss:.6g}. Read the table downwards for the forward pass, and upwards for the "
            "backward pass: each layer takes the gradient of its output and hands on that of its input.",
            Table(
                (
                    "layer",
                    "kind",
                    "output",
                    "output norm",
                    "weight gradient norm",
                    "input gradient norm",
                ),
                rows,
                "Euclidean norms at this one image: of the output, and of the gradient of the loss with respect to "
                "the weights and to the input",
                frozenset({2, 3, 4, 5}),
            ),
        ],
    )


def _gradient(found: Calculus) -> Section:
    parts, vector = found.gradient.parameters, found.gradient.vector
    rows = [
        (
            name,
            shape_text(part.shape),
            f"{part.numel():,}",
            number(float(part.norm())),
            number(float(part.abs().max())),
        )
        for name, part in parts.items()
    ]
    rows.append(
        (
            "whole vector",
            shape_text(vector.shape),
            f"{len(vector):,}",
            number(float(vector.norm())),
            number(_most(vector)),
        )
    )
    largest = sorted(parts.items(), key=lambda item: -float(item[1].norm()))[:MOST_HISTOGRAMS]
    shown = {name for name, _ in largest}
    named = [(name, part.reshape(-1).numpy()) for name, part in parts.items() if name in shown]
    blocks: list[Block] = [
        f"The gradient of the loss is one vector of {len(vector):,} numbers, one for each parameter that learns, of "
        f"norm {number(float(vector.norm()))}. Gradient descent moves the parameters a small step against it.",
        Table(
            ("parameter", "shape", "numbers", "norm of the gradient", "largest"),
            rows,
            "The gradient, by parameter tensor",
            frozenset({1, 2, 3, 4}),
        ),
    ]
    if named:
        caption = (
            f"How the entries of the gradient are spread in {len(named)} of {len(parts)} parameter tensors: how many "
            "(upwards, logarithmic) have which value (sideways, 0 in the middle)."
        )
        blocks.append(
            Figure(
                "gradient-histograms", histograms(named), "Histograms of the gradient by parameter", caption
            )
        )
    return Section("Gradient", blocks)


def _jacobian(found: Calculus, classes: Sequence[str]) -> Section:
    jacobian, shape = found.jacobian, found.network.image.shape
    names = [classes[k] for k in jacobian.classes.tolist()]
    size = found.network.image.numel()
    blocks: list[Block] = [
        f"The Jacobian of the {jacobian.num_classes:,} logits with respect to the {shape_text(shape)} = {size:,} pixel "
        f"values is a matrix of {jacobian.num_classes:,} x {size:,}: entry (k, i) says how much logit k rises when "
        "pixel value i rises by one grey level."
        + (
            ""
            if len(names) == jacobian.num_classes
            else f" Computed here: the rows of the {len(names)} most probable classes."
        ),
    ]
    values = jacobian.logits.numpy()
    drawn = min(len(names), MOST_NAMED)
    blocks.append(
        Figure(
            "jacobian",
            matrix_strip(values[:drawn], names[:drawn], 24 if drawn <= 20 else 12),
            "The Jacobian of the logits as a matrix",
            f"The matrix: {drawn} of {jacobian.num_classes} rows, {size:,} columns (the pixels line by line, channel "
            f"after channel), values from {values.min():.3g} to {values.max():.3g}.",
        )
    )
    blocks.append(_rows_as_maps(jacobian.logits, names, shape, "logit", "jacobian-maps"))
    if jacobian.probabilities is not None:
        blocks.append(
            _rows_as_maps(jacobian.probabilities, names, shape, "probability", "jacobian-softmax-maps")
        )
    blocks.append(Row(_spectra(found, classes)))
    return Section("Jacobian", blocks)


def _spectra(found: Calculus, classes: Sequence[str]) -> list[Figure]:
    """The singular values, and the small Jacobian between logits and probabilities."""
    jacobian = found.jacobian
    singular = jacobian.singular_values.numpy()
    caption = (
        f"The {len(singular)} singular values of the Jacobian of the logits, from {number(float(singular.max()))} down "
        f"to {number(float(singular.min()))}: by how much it stretches the directions of the input, the most "
        "sensitive first."
    )
    figures = [Figure("singular-values", spectrum(singular), "Singular values of the Jacobian", caption)]
    if jacobian.num_classes <= MOST_NAMED:
        caption = (
            f"The Jacobian of the softmax with respect to the logits, {jacobian.num_classes} x {jacobian.num_classes}: "
            "diag(p) - p p^T. Its rows sum to 0, as the probabilities always sum to 1."
        )
        picture = square_matrix(jacobian.softmax.numpy(), list(classes))
        figures.append(Figure("softmax-jacobian", picture, "The Jacobian of the softmax", caption))
    return figures


def _rows_as_maps(
    rows: torch.Tensor, names: Sequence[str], shape: torch.Size, what: str, name: str
) -> Figure:
    """Rows in the shape of the image; of several channels the one of largest size at each pixel, with its sign."""
    count = min(len(names), MOST_CLASSES)
    maps = rows[:count].reshape(count, *shape)
    chosen = maps.abs().argmax(1, keepdim=True)
    flat: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = maps.gather(1, chosen)[:, 0].numpy()
    scale = scale_of(flat)
    picture = tiles(
        coloured(flat, scale),
        [text[:14] for text in names[:count]],
        side=116 if count > 4 else 220,
        scale=scale,
    )
    caption = (
        f"The same, a map for each class ({count} of {len(names)}): red pixels raise its {what} when they get "
        "brighter, blue ones lower it; the pale ones hardly matter."
        + (" Of the channels the strongest is shown." if shape[0] > 1 else "")
        + f" Values from {number(float(flat.min()))} to {number(float(flat.max()))} a grey level."
    )
    return Figure(name, picture, f"Rows of the Jacobian as maps: {what}", caption)


def _chain(found: Calculus) -> Section:
    if found.chain is None:
        return Section(
            "Chain rule",
            ["The product of layers does not apply: this network is no plain sequence of layers."],
        )
    links = found.chain.links
    rows = [(link.name, link.kind, f"{link.rows:,} x {link.columns:,}", link.how) for link in links]
    return Section(
        "Chain rule",
        [
            f"The network is a composition of {len(links)} layers, so its Jacobian is the product of theirs, each "
            "taken at what went into that layer. The product is built from the output back to the input, which is "
            f"what the backward pass does. A layer's Jacobian of up to {MOST_MATRIX_ENTRIES:,} entries is made as a "
            "matrix and multiplied; of a larger one the product with each row is computed through that layer alone.",
            Table(
                ("layer", "kind", "Jacobian", "multiplied as"),
                rows,
                "The factors of the product, from the input to the output",
                frozenset({2}),
            ),
            *(
                f"{check.name[0].upper()}{check.name[1:]}: error {check.error:.1e}, "
                f"{'ok' if check.passed else 'FAILED'}."
                for check in found.checks
                if check.name.startswith("chain rule")
            ),
        ],
    )


def _most(vector: torch.Tensor) -> float:
    return float(vector.abs().max()) if len(vector) else 0.0
