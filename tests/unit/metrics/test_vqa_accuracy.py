import math
import pickle

import pytest
import torch

from mmdl.metrics.vqa_accuracy import VQAAccuracy, applied_rule, soft_scores, vqa_accuracy


@pytest.mark.parametrize(
    ("answers", "prediction", "score"),
    [
        (["2"] * 10, "two", 0.0),
        (["a dog"] * 8 + ["puppy"] * 2, "a dog", 1.0),
        (["two"] * 6 + ["4"] * 4, "2", 1.0),
        (["yes"] * 10, "Yes.", 0.0),
        (["red"] * 3 + ["blue"] * 7, "red", 0.9),
    ],
)
def test_known_vectors(answers, prediction, score):
    assert vqa_accuracy(prediction, answers) == pytest.approx(score, abs=1e-12)


@pytest.mark.parametrize(("matches", "score"), enumerate([0.0, 0.3, 0.6, 0.9, 1.0, 1.0]))
def test_ten_references_score_in_steps_of_three_tenths(matches, score):
    answers = ["cat"] * matches + ["dog"] * (10 - matches)
    assert vqa_accuracy("cat", answers) == pytest.approx(score, abs=1e-12)
    assert soft_scores(answers).get("cat", 0.0) == score


def test_last_bit_follows_the_order_as_in_the_scorer():
    together, apart = "RRRBBBBBBB", "RRBBBBBBBR"
    assert vqa_accuracy("R", list(together)) == 0.9
    assert vqa_accuracy("R", list(apart)) == 0.8999999999999998


def test_surrounding_white_space_does_not_make_references_differ():
    answers = ["Yes", "Yes\n", " Yes", "\tYes"] + ["Yes"] * 6
    assert vqa_accuracy("yes", answers) == 0.0
    assert vqa_accuracy(" Yes\t", answers) == 1.0


@pytest.mark.parametrize(
    ("answers", "prediction", "score"),
    [
        (["Two"], "two.", 1.0),
        (["yes", "no"], "yes", 0.5),
        (["yes", "no", "maybe"], "no", 1 / 3),
        (["red"] * 2 + ["blue"] * 3, "red", 2 / 3),
        (["red"] * 4 + ["blue"] * 5, "red", 1.0),
        (["red"], "blue", 0.0),
    ],
)
def test_few_references_score_by_their_own_rule(answers, prediction, score):
    assert applied_rule(len(answers)) == "few"
    assert vqa_accuracy(prediction, answers) == score
    assert vqa_accuracy(prediction, answers, rule="few") == score


def test_official_rule_gives_nothing_for_a_single_reference():
    assert vqa_accuracy("cat", ["cat"], rule="official") == 0.0
    assert vqa_accuracy("cat", ["cat", "cat"], rule="official") == pytest.approx(1 / 3)


@pytest.mark.parametrize("rule", ["official", "few"])
def test_soft_scores_equal_the_score_of_predicting_each_answer(rule):
    answers = ["A dog", "dog", "the dog.", "two", "2", "cat", "cats", "cat", "none", "0", "Zero"]
    targets = soft_scores(answers, rule)
    assert list(targets) == ["dog", "2", "cat", "cats", "0"]
    for answer, score in targets.items():
        assert vqa_accuracy(answer, answers, rule) == pytest.approx(score, abs=1e-12)


def test_soft_scores_normalise_unanimous_references_too():
    assert soft_scores(["Two."] * 10) == {"2": 1.0}
    assert soft_scores(["the"]) == {"": 1.0}


@pytest.mark.parametrize("prediction", [None, 2, b"yes", ["yes"]])
def test_prediction_must_be_a_string(prediction):
    with pytest.raises(ValueError, match="a prediction must be a string"):
        vqa_accuracy(prediction, ["yes"] * 10)


@pytest.mark.parametrize("answers", ["yes", ["yes", None], [2]])
@pytest.mark.parametrize("score", [soft_scores, lambda answers: vqa_accuracy("yes", answers)])
def test_references_must_be_strings(score, answers):
    with pytest.raises(ValueError, match="answers must be a sequence of strings"):
        score(answers)


@pytest.mark.parametrize("score", [soft_scores, lambda answers: vqa_accuracy("yes", answers)])
def test_no_references_are_refused(score):
    with pytest.raises(ValueError, match="no reference answers"):
        score([])


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="unknown rule 'Official'"):
        vqa_accuracy("yes", ["yes"], rule="Official")
    with pytest.raises(ValueError, match="unknown rule 'any'"):
        VQAAccuracy(rule="any")


_PREDICTIONS = ["2", "red", "yes", "cat"]
_ANSWERS = [["two"] * 6 + ["4"] * 4, ["red"] * 3 + ["blue"] * 7, ["no"] * 10, ["cat"]]
_ANSWER_TYPES = ["number", "other", "yes/no", "other"]
_QUESTION_TYPES = ["how many", "what color", "", "what color"]
_FIGURES = {
    "overall": (0.725, 4),
    "answer_type/number": (1.0, 1),
    "answer_type/other": (0.95, 2),
    "answer_type/yes/no": (0.0, 1),
    "question_type/how many": (1.0, 1),
    "question_type/what color": (0.95, 2),
}


def _close(figures):
    return {name: (pytest.approx(score, abs=1e-12), n) for name, (score, n) in figures.items()}


def test_metric_gives_means_and_counts_per_type():
    metric = VQAAccuracy()
    metric.update(_PREDICTIONS, _ANSWERS, _ANSWER_TYPES, _QUESTION_TYPES)
    assert metric.compute() == _close(_FIGURES)
    assert list(metric.compute()) == list(_FIGURES)


def test_metric_does_not_depend_on_order_or_batches():
    rows = list(zip(_PREDICTIONS, _ANSWERS, _ANSWER_TYPES, _QUESTION_TYPES, strict=True)) * 7
    whole, single = VQAAccuracy(), VQAAccuracy()
    whole.update(*map(list, zip(*rows, strict=True)))
    for row in reversed(rows):
        single.update(*[[value] for value in row])
    assert whole.compute() == single.compute()


def test_forward_scores_the_batch_and_adds_it():
    metric = VQAAccuracy()
    assert metric(["2"], [["2"]], ["number"], ["how many"])["overall"] == (1.0, 1)
    assert metric(["no"], [["yes"]], ["yes/no"], ["is"]) == {
        "overall": (0.0, 1),
        "answer_type/yes/no": (0.0, 1),
        "question_type/is": (0.0, 1),
    }
    figures = metric.compute()
    assert figures["overall"] == (0.5, 2)
    assert figures["answer_type/number"] == (1.0, 1)
    metric.reset()
    metric.update(["no"], [["no"]], ["yes/no"], ["is"])
    assert metric.compute()["answer_type/yes/no"] == (1.0, 1)


def test_metric_without_types_or_questions():
    metric = VQAAccuracy()
    metric.update(["2"], [["2"]])
    assert metric.compute() == {"overall": (1.0, 1)}
    metric.reset()
    metric.update([], [])
    (score, n) = metric.compute()["overall"]
    assert math.isnan(score)
    assert n == 0


def test_metric_survives_pickling_and_changes_of_precision():
    metric = VQAAccuracy(rule="official")
    metric.update(_PREDICTIONS, _ANSWERS, _ANSWER_TYPES, _QUESTION_TYPES)
    copy = pickle.loads(pickle.dumps(metric)).half()
    assert copy.rule == "official"
    assert copy.compute() == metric.compute()
    assert torch.cat(copy.records).shape == (4, 3)


def test_metric_refuses_lists_of_different_length():
    with pytest.raises(ValueError, match="differ in length: 1, 2, 1, 1"):
        VQAAccuracy().update(["yes"], [["yes"], ["no"]], ["yes/no"], ["is"])


def test_metric_keeps_nothing_of_a_refused_batch():
    metric = VQAAccuracy()
    metric.update(["yes"], [["yes"]])
    with pytest.raises(ValueError, match="no reference answers"):
        metric.update(["yes", "no"], [["yes"], []])
    with pytest.raises(ValueError, match="zero byte"):
        metric.update(["yes"], [["yes"]], ["a\0b"], ["is"])
    assert metric.compute() == {"overall": (1.0, 1)}
