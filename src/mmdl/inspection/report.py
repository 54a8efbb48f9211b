"""Puts the page of one inspection together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mmdl.inspection.calculus import Calculus
from mmdl.inspection.calculus_sections import calculus_sections
from mmdl.inspection.forward import Forward
from mmdl.inspection.forward_sections import (
    architecture_section,
    attention_section,
    hero_figures,
    softmax_section,
    stage_sections,
)
from mmdl.inspection.page.parts import Page
from mmdl.inspection.prediction_line import prediction_line
from mmdl.inspection.subject import Subject


def report(
    subject: Subject,
    classes: Sequence[str],
    found: Forward,
    model_name: str,
    run_facts: Sequence[tuple[str, str]],
    derived: Calculus | None = None,
    label_source: str = "",
    remarks: Sequence[str] = (),
) -> Page:
    """The page.

    Args:
        subject: The image.
        classes: `K` names.
        found: Its forward pass.
        model_name: Name of the model.
        run_facts: Name and value of what identifies the run.
        derived: The derivatives, where they were asked for.
        label_source: Where the label of their loss comes from.
        remarks: Further notes.
    """
    label = subject.label
    facts = [*run_facts, ("image", subject.title)]
    if label is not None:
        verdict = "right" if label == found.top else f"not {classes[found.top]}"
        facts.append(("true class", f"{classes[label]} ({verdict})"))
        facts.append(("label", subject.label_source))
    sections = [
        architecture_section(found, model_name),
        *stage_sections(found, classes),
        softmax_section(found, classes),
        attention_section(found, subject, classes),
    ]
    notes = [
        "Computed in eval mode on the CPU: batch norm uses its running statistics, dropout is off. The forward pass, "
        "saliency and Grad-CAM are in 32-bit floats; `predict` may compute in 16-bit ones, and differ a little.",
        *remarks,
    ]
    if any(layer.kind.startswith("Stage of") for layer in found.trace.layers):
        notes.append(
            "A stage of several convolutions shows what comes out of it; filters are shown of the first convolution "
            "only: those of deeper ones mean little by themselves."
        )
    if not any(layer.kind != "Input normalisation" for layer in found.trace.map_layers):
        notes.append(
            "This network has no feature maps (it works on patches): the maps and Grad-CAM do not apply."
        )
    if derived is not None:
        sections += calculus_sections(derived, classes, label_source)
        notes.append(
            "Derivatives are in 64-bit floats, at the image plus a fixed noise of at most half a grey level: a flat "
            "background lies exactly on a kink of max pooling, where the network has no derivative."
        )
    return Page(
        f"What run {dict(run_facts)['run']} sees in {subject.title}",
        re.sub(
            r" (?=[<>]?\d+%)", "\u00a0", prediction_line(classes, found.probabilities)
        ),  # no line break there
        facts,
        hero_figures(found, subject, classes),
        sections,
        notes,
    )


def inspection_facts(
    subject: Subject, classes: Sequence[str], found: Forward, derived: Calculus | None
) -> dict[str, Any]:
    """The same in plain values, for `inspection.json`."""
    probabilities = found.probabilities.double().cpu()
    order = probabilities.argsort(descending=True, stable=True)[:10].tolist()
    facts: dict[str, Any] = {
        "image": subject.title,
        "label": None if subject.label is None else classes[subject.label],
        "prediction": classes[found.top],
        "top": [{"class": classes[k], "probability": float(probabilities[k])} for k in order],
        "stages": [stage._asdict() for stage in found.stages],
    }
    if derived is not None:
        facts |= {
            "loss": derived.gradient.loss,
            "loss_class": classes[derived.network.label],
            "gradient_norm": float(derived.gradient.vector.norm()),
            "parameters": len(derived.gradient.vector),
            "jacobian": {
                "shape": [derived.jacobian.num_classes, derived.network.image.numel()],
                "singular_values": derived.jacobian.singular_values.tolist(),
            },
            "checks": [{**check._asdict(), "passed": check.passed} for check in derived.checks],
        }
    return facts
