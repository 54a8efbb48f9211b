"""The linear probe: figures, baseline, notes, and no leak from the test."""

import numpy as np
import pytest

from mmdl.errors import UserError
from mmdl.evaluators.linear_probe import LinearProbe
from mmdl.evaluators.probe_fit import ProbeData, fit_probe


def _run(evaluator, context):
    return {result.name: result for result in evaluator.run(context)}


@pytest.mark.parametrize(("features", "width"), [("embedding", 3), ("pooled", 108)])
def test_figures_and_notes(context, colours, features, width):
    evaluator = LinearProbe({"tint": {"data": colours()}}, features=features, limit_train=50)
    found = _run(evaluator, context)
    assert found["linear_probe/tint/accuracy"].value > 0.95
    assert found["linear_probe/tint/accuracy"].n == 60
    assert found["baseline/raw_pixels/linear_probe/tint/accuracy"].n == 60
    [note] = evaluator.notes(context)
    assert f"fitted on 50 of 90 training images and 30 of validation, {width} {features} features" in note


def test_equals_the_probe_on_the_same_features(context, colours):
    data = colours(classes=("red", "grey", "purple", "yellow"))
    found = _run(LinearProbe({"tint": {"data": data}}, features="embedding", resamples=0), context)
    parts = {}
    for split in ("train", "val", "test"):
        mean = data.dataset(split).pixels.tensor.float().mean((2, 3)).numpy()
        unit = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        parts[split] = ProbeData(unit.astype(np.float64), data.dataset(split).split.labels)
    probe = fit_probe(parts["train"], parts["val"], parts["test"].features)
    assert found["linear_probe/tint/accuracy"].value == pytest.approx(
        (probe.predictions == parts["test"].labels).mean(), abs=0.02
    )


def test_runs_in_final_evaluations_only(context, colours):
    evaluator = LinearProbe({"tint": {"data": colours()}})
    assert _run(evaluator, context._replace(final=False)) == {}
    assert list(evaluator.notes(context)) == []


def test_without_a_test_split_it_is_left_out_and_said(context, colours):
    evaluator = LinearProbe({"tint": {"data": colours({"train": 60, "val": 20})}})
    assert _run(evaluator, context) == {}
    assert "left out" in next(iter(evaluator.notes(context)))


def test_other_splits_are_refused(colours):
    with pytest.raises(UserError, match=r"splits=\['val', 'test'\]"):
        LinearProbe({"tint": {"data": colours()}}, splits=["val", "test"])
    with pytest.raises(UserError, match="max_iter=0"):
        LinearProbe({"tint": {"data": colours()}}, max_iter=0)
