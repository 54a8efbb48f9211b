"""VQA accuracy against the official scorer: its own figures on real questions, and golden scores."""

import json
import os
import runpy
from pathlib import Path

import pytest

from mmdl.metrics.vqa_accuracy import VQAAccuracy, normalize_answer, vqa_accuracy

_HERE = Path(__file__).parent
_DATA = Path(os.environ.get("MMDL_TEST_DATA", _HERE.parents[1].parent / "shared" / "data"))
_ORACLES = _DATA / "oracles" / "vqa"
_SPLITS = ["train2014", "val2014"]
_PREDICTORS = ["majority", "constant_yes", "random_annotator", "perturbed"]


@pytest.fixture(scope="module")
def cases():
    return runpy.run_path(str(_HERE / "vqa_cases.py"))


@pytest.fixture(scope="module")
def golden():
    return json.loads((_HERE / "golden" / "vqa_accuracy.json").read_text())


@pytest.fixture(scope="module")
def generated(cases):
    return list(cases["cases"]())


def test_inputs_are_those_that_the_official_scorer_saw(cases, golden, generated):
    assert len(generated) == 12_000
    assert (
        cases["sha256"](text for said, given in generated for text in [said, *given])
        == golden["inputs_sha256"]
    )


def test_normalisation_equals_the_official_one(cases, golden, generated):
    texts = (normalize_answer(text) for said, given in generated for text in [said, *given])
    assert cases["sha256"](texts) == golden["normalised_sha256"]


def test_scores_equal_the_official_ones_bit_for_bit(golden, generated):
    values = dict(zip(golden["alphabet"], map(float.fromhex, golden["values"]), strict=True))
    expected = [values[letter] for letter in "".join(golden["scores"])]
    assert len(expected) == len(generated)
    differing = [
        (said, given, score)
        for (said, given), score in zip(generated, expected, strict=True)
        if vqa_accuracy(said, given, rule="official") != score
    ]
    assert differing == []


def test_auto_is_official_from_ten_references_on(generated):
    enough = [(said, given) for said, given in generated if len(given) >= 10]
    assert len(enough) > 8_000
    assert all(vqa_accuracy(said, given) == vqa_accuracy(said, given, "official") for said, given in enough)


def _oracle(name):
    path = _ORACLES / name
    if not path.is_file():
        pytest.skip(f"no oracle data: {path} (set MMDL_TEST_DATA)")
    return json.loads(path.read_text())


@pytest.mark.parametrize("predictor", _PREDICTORS)
@pytest.mark.parametrize("split", _SPLITS)
def test_real_questions_score_as_the_official_scorer_says(split, predictor):
    annotations = _oracle(f"annotations/v2_mscoco_{split}_annotations.json")["annotations"]
    said = {row["question_id"]: row["answer"] for row in _oracle(f"{split}_{predictor}_results.json")}
    given = {row["question_id"]: [answer["answer"] for answer in row["answers"]] for row in annotations}
    scored = {str(key): round(100 * vqa_accuracy(said[key], given[key]), 2) for key in said}
    assert scored == _oracle(f"{split}_{predictor}_evalQA.json")

    metric = VQAAccuracy()
    for row in annotations:
        key = row["question_id"]
        metric.update([said[key]], [given[key]], [row["answer_type"]], [row["question_type"]])
    expected = _oracle("expected_accuracy.json")[f"{split}_{predictor}"]
    wanted = {"overall": expected["overall"]}
    wanted |= {f"answer_type/{name}": score for name, score in expected["perAnswerType"].items()}
    wanted |= {f"question_type/{name}": score for name, score in expected["perQuestionType"].items()}
    figures = metric.compute()
    assert {name: round(100 * score, 2) for name, (score, _) in figures.items()} == wanted
    assert figures["overall"][1] == expected["n"]
