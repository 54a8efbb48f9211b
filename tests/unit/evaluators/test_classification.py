import csv

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule
from mmdl.errors import UserError
from mmdl.evaluators.base import EvaluationContext
from mmdl.evaluators.classification import ClassificationEvaluator


class _Source:
    """Images that nobody looks at, with the classes of a test."""

    def __init__(self, classes, train):
        self.classes, self.train = tuple(classes), train

    def prepare(self):
        pass

    def split(self, name):
        if name == "val":
            return None
        labels = np.asarray(self.train, dtype=np.int64)
        images = np.zeros((len(labels), 1, 2, 2), dtype=np.uint8)
        return ImageSplit([f"{name}/{row}" for row in range(len(labels))], labels, self.classes, images)


def _data(classes, train=None, splits=("test",)):
    train = list(range(len(classes))) * 3 if train is None else train
    data = ImageDataModule(_Source(classes, train), val_share=0.34)
    data.setup(splits=splits)
    return data


def _context(probabilities, labels, classes=None, split="test", data=None, **options):
    probabilities = np.asarray(probabilities, dtype=np.float32)
    classes = classes or [f"c{number}" for number in range(probabilities.shape[1])]
    outputs = {
        "rows": np.arange(len(labels)),
        "probabilities": probabilities,
        "labels": np.asarray(labels, dtype=np.int64),
    }
    return EvaluationContext(None, data or _data(classes), split, outputs, **options)


def _figures(context, evaluator=None):
    evaluator = evaluator or ClassificationEvaluator()
    return {result.name: result for result in evaluator.run(context)}


def _random(classes, count=300, seed=0, strength=2.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes)) + strength * np.eye(classes)[labels]
    chances = np.exp(logits)
    return (chances / chances.sum(1, keepdims=True)).astype(np.float32), labels


def test_the_figures_equal_scikit_learn():
    probabilities, labels = _random(7)
    found = {name: result.value for name, result in _figures(_context(probabilities, labels)).items()}
    predictions = probabilities.argmax(1)
    assert found["accuracy"] == metrics.accuracy_score(labels, predictions)
    assert found["top5_accuracy"] == metrics.top_k_accuracy_score(labels, probabilities, k=5)
    assert found["recall"] == pytest.approx(metrics.balanced_accuracy_score(labels, predictions), abs=1e-12)
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(1, keepdims=True)
    expected = metrics.roc_auc_score(labels, exact, multi_class="ovr", average="macro")
    assert found["auroc"] == pytest.approx(expected, abs=1e-4)  # rows that sum to 1 in float64: other ties
    expected = metrics.average_precision_score(np.eye(7)[labels], probabilities, average="macro")
    assert found["average_precision"] == pytest.approx(expected, abs=1e-12)
    assert found["f1/class/c3"] == pytest.approx(metrics.f1_score(labels == 3, predictions == 3), abs=1e-12)


def test_every_figure_has_its_count_and_the_accuracy_its_interval():
    probabilities, labels = _random(7)
    figures = _figures(_context(probabilities, labels))
    assert all(result.n == 300 for result in figures.values())
    low, high = figures["accuracy"].ci95
    assert low < figures["accuracy"].value < high
    assert (
        _figures(_context(probabilities, labels), ClassificationEvaluator(resamples=0))["accuracy"].ci95
        is None
    )


def test_a_validation_during_training_gives_the_overall_figures_only():
    probabilities, labels = _random(7)
    names = set(_figures(_context(probabilities, labels, split="val", final=False)))
    assert names == {
        *("accuracy", "top5_accuracy", "precision", "recall", "f1"),
        *("auroc", "average_precision", "calibration_error"),
    }


@pytest.mark.parametrize("classes", [2, 5])
def test_there_is_no_top5_of_five_classes(classes):
    assert "top5_accuracy" not in _figures(_context(*_random(classes)))


def test_with_many_classes_single_ones_are_in_the_file_only(tmp_path):
    context = _context(*_random(101, count=400))
    evaluator = ClassificationEvaluator()
    figures = _figures(context, evaluator)
    assert not [name for name in figures if "/class/" in name]
    assert "auroc" in figures
    list(evaluator.write(context, tmp_path))
    with (tmp_path / "per_class.csv").open(newline="") as handle:
        assert len(list(csv.DictReader(handle))) == 101
    validation = _figures(_context(*_random(101, count=400), split="val", final=False))
    assert "auroc" not in validation
    assert {"accuracy", "top5_accuracy", "f1", "calibration_error"} <= validation.keys()


def test_two_classes_rank_by_the_positive_one():
    probabilities, labels = _random(2, strength=1.0)
    for positive, column in ((None, 1), ("c1", 1), ("c0", 0)):
        found = _figures(_context(probabilities, labels), ClassificationEvaluator(positive=positive))
        scores = probabilities[:, column]
        expected = metrics.roc_auc_score(labels == column, scores)
        assert found["auroc"].value == pytest.approx(expected, abs=1e-12)
        expected = metrics.average_precision_score(labels == column, scores)
        assert found["average_precision"].value == pytest.approx(expected, abs=1e-12)


def test_the_threshold_is_chosen_on_validation_and_kept_for_test(tmp_path):
    evaluator = ClassificationEvaluator()
    validation = _figures(_context(*_random(2, seed=1), split="val"), evaluator)
    assert "f1/best_threshold" not in validation
    chosen = validation["threshold/best_f1"]
    test = _context(*_random(2, seed=2, count=200))
    figures = _figures(test, evaluator)
    assert figures["threshold/best_f1"] == chosen
    assert figures["threshold/best_f1"].n == 300
    predicted = test.outputs["probabilities"][:, 1] >= chosen.value
    expected = metrics.f1_score(test.outputs["labels"], predicted)
    assert figures["f1/best_threshold"] == (
        "f1/best_threshold",
        pytest.approx(expected, abs=1e-12),
        200,
        None,
    )
    assert any(f"threshold {chosen.value:.4f}" in line for line in evaluator.notes(test))


def test_without_validation_there_is_no_threshold_but_the_recorded_one():
    context = _context(*_random(2))
    assert not [name for name in _figures(context) if "threshold" in name]
    recorded = {"threshold/best_f1": {"value": 0.3, "n": 80, "ci95": None}}
    figures = _figures(_context(*_random(2), recorded=recorded))
    assert figures["threshold/best_f1"].value == 0.3
    assert figures["threshold/best_f1"].n == 80
    assert "recall/best_threshold" in figures


def test_validation_of_one_class_chooses_no_threshold():
    evaluator = ClassificationEvaluator()
    _figures(_context([[0.4, 0.6]] * 3, [1, 1, 1], split="val"), evaluator)
    assert not [name for name in _figures(_context(*_random(2)), evaluator) if "threshold" in name]


def test_a_class_without_samples_is_left_out_of_the_ranking_and_said():
    probabilities, labels = _random(4)
    probabilities[:, 3] = 0
    keep = labels != 3
    evaluator = ClassificationEvaluator()
    context = _context(probabilities[keep], labels[keep])
    figures = _figures(context, evaluator)
    rest = [figures[f"auroc/class/c{label}"].value for label in range(3)]
    assert figures["auroc"].value == pytest.approx(np.mean(rest))
    assert "auroc/class/c3" not in figures
    assert figures["recall/class/c3"].value == 0
    assert figures["recall"].value == pytest.approx(
        np.mean([figures[f"recall/class/c{label}"].value for label in range(3)])
    )
    assert any("1 of 4 classes have no test image (c3)" in line for line in evaluator.notes(context))


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize(
    ("probabilities", "labels"),
    [
        ([[0.2, 0.5, 0.3]], [0]),  # one sample
        ([[1.0, 0.0, 0.0]] * 4, [0, 0, 0, 0]),  # one class, perfect
        ([[1 / 3] * 3] * 5, [0, 1, 2, 2, 1]),  # all ties
        (np.eye(3)[[0, 1, 2, 0]], [1, 2, 0, 1]),  # all wrong, fully confident
        ([[0.5, 0.5]], [1]),
        ([[1.0, 0.0], [0.0, 1.0]], [0, 1]),
        ([[np.nan] * 3] * 2, [0, 1]),  # a model that has diverged
    ],
)
def test_degenerate_outputs_give_figures_and_files(probabilities, labels, tmp_path):
    context = _context(probabilities, labels)
    evaluator = ClassificationEvaluator()
    figures = _figures(context, evaluator)
    accuracy = metrics.accuracy_score(labels, np.argmax(np.asarray(probabilities), axis=1))
    assert figures["accuracy"].value == accuracy
    assert ("auroc" in figures) == (len(set(labels)) > 1)
    written = [artifact.path.name for artifact in evaluator.write(context, tmp_path)]
    assert {"confusion_matrix.png", "reliability.png", "per_class.csv"} <= set(written)
    list(evaluator.notes(context))
    assert len(list(evaluator.table(context))) == len(probabilities[0]) + 1


def test_nothing_is_said_of_a_split_without_references(tmp_path):
    context = _context([[0.5, 0.5]], [0])
    context = context._replace(outputs={name: context.outputs[name] for name in ("rows", "probabilities")})
    evaluator = ClassificationEvaluator()
    assert _figures(context, evaluator) == {}
    assert list(evaluator.write(context, tmp_path)) == []
    assert list(evaluator.notes(context)) == []
    assert list(evaluator.table(context)) == []


def test_the_baseline_is_the_most_common_training_class():
    probabilities, labels = _random(3, count=90)
    data = _data(["c0", "c1", "c2"], train=[0, 1, 1, 1, 1, 2, 2, 2], splits=("train", "val", "test"))
    found = _figures(_context(probabilities, labels, data=data))["baseline/most_common/accuracy"]
    assert (found.value, found.n) == ((labels == 1).mean(), 90)
    # From a checkpoint, train need not be read.
    again = ImageDataModule(_Source(["c0", "c1", "c2"], []))
    again.load_vocabularies(data.vocabularies())
    assert _figures(_context(probabilities, labels, data=again))["baseline/most_common/accuracy"] == found
    # A checkpoint from before the counts were kept: the most common class of the split itself.
    old = {name: value for name, value in data.vocabularies().items() if name != "train_counts"}
    other = ImageDataModule(_Source(["c0", "c1", "c2"], []))
    other.load_vocabularies(old)
    found = _figures(_context(probabilities, labels, data=other))["baseline/most_common/accuracy"]
    assert found.value == np.bincount(labels).max() / 90


def test_the_notes_name_what_is_confused_most():
    predictions, labels = [1] * 5 + [0] + [2] * 3, [0] * 5 + [1] + [2] * 3
    context = _context(np.eye(3)[predictions], labels, classes=["cat", "dog", "cow"])
    evaluator = ClassificationEvaluator()
    _figures(context, evaluator)
    [line] = evaluator.notes(context)
    assert line.endswith("cat -> dog: 5 times, dog -> cat: once")


def test_class_names_may_hold_anything(tmp_path):
    classes = ["a/b", "a b", "$x^", '猫,"quoted"\nline']
    probabilities, labels = _random(4)
    context = _context(probabilities, labels, classes=classes)
    evaluator = ClassificationEvaluator()
    figures = _figures(context, evaluator)
    assert {"f1/class/a_b", "f1/class/a_b_2", "f1/class/x"} <= figures.keys()
    list(evaluator.write(context, tmp_path))
    with (tmp_path / "confusion_matrix.csv").open(newline="") as handle:
        rows = list(csv.reader(handle))
    assert rows[0][1:] == classes
    assert [row[0] for row in rows[1:]] == classes
    matrix = metrics.confusion_matrix(labels, probabilities.argmax(1))
    assert [[int(cell) for cell in row[1:]] for row in rows[1:]] == matrix.tolist()


def test_the_files_are_whole_and_the_same_each_time(tmp_path):
    context = _context(*_random(2))
    for folder in ("a", "b"):
        evaluator = ClassificationEvaluator()
        _figures(context, evaluator)
        artifacts = list(evaluator.write(context, tmp_path / folder))
        assert all(artifact.path.is_file() and artifact.caption for artifact in artifacts)
        names = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert names == sorted(artifact.path.name for artifact in artifacts)
    assert "threshold_sweep.csv" in names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        if name.endswith(".png"):
            Image.open(tmp_path / "a" / name).verify()


@pytest.mark.parametrize(
    ("classes", "positive", "valid"),
    [(["cat", "dog"], "dgo", "dog"), (["a", "b", "c"], "a", "null: only two classes have one")],
)
def test_a_positive_class_must_be_one_of_two(classes, positive, valid):
    evaluator = ClassificationEvaluator(positive=positive)
    with pytest.raises(UserError, match=r"evaluator\.classification\.positive") as caught:
        evaluator.check(_data(classes))
    assert caught.value.valid.startswith(valid)
    ClassificationEvaluator(positive="dog").check(_data(["cat", "dog"]))
    ClassificationEvaluator().check(_data(["a", "b", "c"]))


def test_a_number_of_bins_must_be_one():
    with pytest.raises(UserError, match="calibration_bins=0"):
        ClassificationEvaluator(calibration_bins=0)
