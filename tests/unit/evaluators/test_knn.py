"""The kNN evaluator beside scikit-learn, and its baseline."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from mmdl.errors import UserError
from mmdl.evaluators.knn import KNNEvaluator


def _run(evaluator, context):
    return {result.name: result for result in evaluator.run(context)}


def test_equals_scikit_learn(context, colours):
    data = colours(classes=("red", "grey", "purple", "yellow"))
    found = _run(KNNEvaluator({"tint": {"data": data}}, k=5, resamples=0), context)
    with_labels = {}
    for split in ("train", "test"):
        dataset = data.dataset(split)
        mean = dataset.pixels.tensor.float().mean((2, 3)).numpy()
        with_labels[split] = mean / np.linalg.norm(mean, axis=1, keepdims=True), dataset.split.labels
    reference = KNeighborsClassifier(5, weights=lambda d: np.exp((1 - d**2 / 2) / 0.07)).fit(
        *with_labels["train"]
    )
    figure = found["knn/tint/accuracy"]
    assert figure.value == pytest.approx(reference.score(*with_labels["test"]))
    assert (figure.n, found["baseline/raw_pixels/knn/tint/accuracy"].n) == (60, 60)


def test_runs_in_final_evaluations_only(context, colours):
    evaluator = KNNEvaluator({"tint": {"data": colours()}})
    assert _run(evaluator, context._replace(final=False)) == {}
    assert evaluator.headline == ("knn/tint/accuracy",)
    assert "k = 20" in next(iter(evaluator.notes(context)))


def test_the_bank_may_be_limited(context, colours):
    # one training image: everything gets its class
    data = colours()
    found = _run(KNNEvaluator({"tint": {"data": data}}, limit_train=1), context)
    first = data.dataset("train").split.labels[0]
    assert found["knn/tint/accuracy"].value == pytest.approx(
        (data.dataset("test").split.labels == first).mean()
    )


@pytest.mark.parametrize("settings", [{"k": 0}, {"temperature": 0.0}])
def test_settings_out_of_range_are_refused(settings, colours):
    with pytest.raises(UserError, match=r"evaluator\.knn\.k="):
        KNNEvaluator({"tint": {"data": colours()}}, **settings)
