"""Reliability diagrams of the page."""

import json

import numpy as np

from mmdl.metrics.calibration_error import calibration_error
from mmdl.review.model import Review
from mmdl.review.page.sections.calibration import section
from mmdl.review.reading import read_run


def test_the_error_is_that_of_the_metric(tmp_path, folders):
    run = folders.classification(tmp_path, "one", items=200)
    rows = [json.loads(line) for line in (run / "predictions" / "test.jsonl").read_text().splitlines()]
    confidence = np.array([row["top"][0]["probability"] for row in rows])
    expected = calibration_error(confidence, np.array([row["correct"] for row in rows]))
    html = section(Review([read_run(run)])).html
    assert f"<b>{expected:.4f}</b>" in html
    assert html.count("<circle") >= 5


def test_without_probabilities_it_says_so(tmp_path, folders):
    run = folders.classification(tmp_path, "one")
    rows = [json.loads(line) for line in (run / "predictions" / "test.jsonl").read_text().splitlines()]
    for row in rows:
        del row["top"]
    folders.write_predictions(run, "test", rows, "classification", "accuracy")
    html = section(Review([read_run(run)])).html
    assert "its predictions have no probabilities" in html
    assert "<svg" not in html


def test_retrieval_has_none(tmp_path, folders):
    assert section(Review([read_run(folders.retrieval(tmp_path, "one"))])) is None
