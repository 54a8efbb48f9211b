"""A classification run from training to `eval`, `ls` and the files: ten digits, and two classes of one's own."""

import csv
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from mmdl.commands.ls import run_rows
from mmdl.data.mnist import write_fixture
from mmdl.errors import UserError

ODD_DIGITS = '''
"""Odd digits against even ones: a package of a user's own."""

import numpy as np
from typing import Unpack
from sklearn.datasets import load_digits
from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule, ImageDataOptions


class Source:
    def __init__(self, root):
        self.rows = {"train": slice(0, 400), "test": slice(400, 523)}
        if root == "without test":
            del self.rows["test"]

    def prepare(self):
        pass

    def split(self, name):
        if name not in self.rows:
            return None
        rows = self.rows[name]
        digits = load_digits()
        images = (digits.images[rows] * 16).clip(0, 255).astype(np.uint8)[:, None].repeat(2, 2).repeat(2, 3)
        labels = (digits.target[rows] % 2).astype(np.int64)
        return ImageSplit([f"{name}/{i}" for i in range(len(labels))], labels, ("even", "odd $"), images)


def odd_digits(root: str | None = None, **options: Unpack[ImageDataOptions]) -> ImageDataModule:
    """The data.

    Args:
        root: `without test` leaves the test split out.
        **options: As for `ImageDataModule`.
    """
    return ImageDataModule(Source(root), **options)
'''

COMMON = ("+experiment=mnist", "quick=true", "logger=none", "trainer.accelerator=cpu")


def _run(root, run_id):
    path = root / run_id
    return SimpleNamespace(
        root=root, id=run_id, path=path, summary=json.loads((path / "summary.json").read_text())
    )


def _predictions(run, name="test"):
    return [
        json.loads(line) for line in (run.path / "predictions" / f"{name}.jsonl").read_text().splitlines()
    ]


def _table(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def ten(tmp_path_factory, run_command):
    """A quick run on the ten digits of the fixture of MNIST."""
    root = tmp_path_factory.mktemp("ten")
    data = [f"{key}={value}" for key, value in write_fixture(root / "data").items()]
    run_command(
        "train",
        *COMMON,
        *data,
        f"run.root={root}",
        "run.id=ten",
        "trainer.max_epochs=2",
        "callbacks=[default,confusion_matrix]",
    )
    return _run(root, "ten")


@pytest.fixture(scope="module")
def two(tmp_path_factory, run_command):
    """A quick run on two classes."""
    root = tmp_path_factory.mktemp("two")
    (root / "odd_digits_package.py").write_text(ODD_DIGITS)
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(root)
    patch.setenv("MMDL_TRUST", "odd_digits_package")
    overrides = [
        "data._target_=odd_digits_package.odd_digits",
        f"run.root={root}",
        "data.batch_size=32",
        "trainer.max_epochs=3",
        "data.val_share=0.2",
    ]
    run_command("train", *COMMON, *overrides, "run.id=two")
    yield SimpleNamespace(**vars(_run(root, "two")), overrides=overrides)
    patch.undo()
    sys.modules.pop("odd_digits_package", None)


def test_the_summary_agrees_with_the_predictions(ten):
    rows = _predictions(ten)
    labels, predictions = [row["label"] for row in rows], [row["prediction"] for row in rows]
    assert len(rows) == ten.summary["test/accuracy"]["n"] == 40
    assert ten.summary["test/accuracy"]["value"] == metrics.accuracy_score(labels, predictions)
    low, high = ten.summary["test/accuracy"]["ci95"]
    assert low <= ten.summary["test/accuracy"]["value"] <= high
    listed = [row["label"] in [item["class"] for item in row["top"]] for row in rows]
    assert ten.summary["test/top5_accuracy"]["value"] == np.mean(listed)
    expected = metrics.precision_recall_fscore_support(labels, predictions, average="macro", zero_division=0)
    found = [ten.summary[f"test/{name}"]["value"] for name in ("precision", "recall", "f1")]
    assert found == pytest.approx(expected[:3], abs=1e-12)


def test_every_class_has_its_figures(ten):
    rows = _predictions(ten)
    labels, predictions = [row["label"] for row in rows], [row["prediction"] for row in rows]
    matrices = metrics.multilabel_confusion_matrix(labels, predictions, labels=list("0123456789"))
    for label, matrix in enumerate(matrices):
        counts = [ten.summary[f"test/{name}/class/{label}"]["value"] for name in ("tn", "fp", "fn", "tp")]
        assert counts == matrix.ravel().tolist()
        assert all(isinstance(count, int) for count in counts)
    for name in ("precision", "recall", "f1", "auroc", "average_precision"):
        assert 0 <= ten.summary[f"test/{name}/class/3"]["value"] <= 1
        assert ten.summary[f"test/{name}/class/3"]["n"] == 40
    assert not [name for name in ten.summary if name.startswith("test/") and "threshold" in name]


def test_the_files_hold_the_same(ten):
    folder = ten.path / "evaluation" / "test"
    matrix = _table(folder / "confusion_matrix.csv")
    assert sum(int(row[c]) for row in matrix for c in "0123456789") == 40
    assert sum(int(row[row["true class"]]) for row in matrix) / 40 == ten.summary["test/accuracy"]["value"]
    for row in _table(folder / "per_class.csv"):
        for name in ("tp", "fn", "precision", "f1", "auroc"):
            value = ten.summary[f"test/{name}/class/{row['class']}"]["value"]
            assert float(row[name]) == pytest.approx(value, rel=1e-5)
    bins = _table(folder / "reliability.csv")
    assert sum(int(row["samples"]) for row in bins) == 40
    gaps = [
        int(row["samples"]) * abs(float(row["accuracy"]) - float(row["confidence"]))
        for row in bins
        if row["accuracy"]
    ]
    assert sum(gaps) / 40 == pytest.approx(ten.summary["test/calibration_error"]["value"], abs=1e-5)
    for name in ("confusion_matrix", "reliability", "roc", "precision_recall"):
        with Image.open(folder / f"{name}.png") as image:
            assert min(image.size) > 500
            assert len(image.convert("RGB").getcolors(1 << 24)) > 50
    assert not list(folder.glob("threshold*"))


def test_validation_logs_the_overall_figures_only_and_its_pictures(ten, capsys):
    lines = [json.loads(line) for line in (ten.path / "metrics.jsonl").read_text().splitlines()]
    names = {name for line in lines for name in line if name.startswith("val/")}
    assert names == {
        "val/loss",
        "val/accuracy",
        "val/top5_accuracy",
        "val/precision",
        "val/recall",
        "val/f1",
        "val/auroc",
        "val/average_precision",
        "val/calibration_error",
    }
    pictures = sorted((ten.path / "media" / "confusion_matrix").iterdir())
    assert len(pictures) == len([line for line in lines if "val/accuracy" in line]) == 2


def test_ls_shows_the_accuracy(ten):
    [row] = run_rows(ten.root)
    assert (row["metric"], row["n"]) == ("test/accuracy", 40)
    assert row["value"] == ten.summary["test/accuracy"]["value"]


def test_eval_gives_the_same_figures_and_files_and_does_not_read_train(ten, run_command, tmp_path, capsys):
    read = []
    from mmdl.data.sources.idx_images import IdxSource

    patch, split = pytest.MonkeyPatch(), IdxSource.split
    patch.setattr(IdxSource, "split", lambda self, name: read.append(name) or split(self, name))
    value = run_command("eval", "run=ten", f"root={ten.root}", f"output={tmp_path}")
    patch.undo()
    assert read == ["test"]
    assert value == ten.summary["test/accuracy"]["value"]
    shown = capsys.readouterr().out
    for name in ("test/accuracy", "test/auroc", "baseline/most_common/accuracy"):
        line = next(line for line in shown.splitlines() if line.startswith(name))
        assert f"{ten.summary[name]['value']:.4f}" in line
        assert "n = 40" in line
    assert "most confused" in shown
    assert "precision  recall" in shown
    assert "/class/" not in shown
    again = tmp_path / "evaluation" / "test"
    first = ten.path / "evaluation" / "test"
    figures = json.loads((again / "figures.json").read_text())
    expected = {n: f for n, f in ten.summary.items() if n.startswith(("test/", "baseline/"))}
    assert figures == expected
    assert {p.name for p in again.iterdir()} == {p.name for p in first.iterdir()} | {"figures.json"}
    for path in first.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_the_baseline_is_the_most_common_class_of_the_training_images(ten):
    from sklearn.datasets import load_digits

    from mmdl.runs.loading import load_run

    counts = load_run(ten.root, "ten").vocabularies["train_counts"]
    assert sum(counts) == 120 - round(0.05 * 120)
    test = load_digits().target[120:160]
    assert ten.summary["baseline/most_common/accuracy"]["value"] == (test == np.argmax(counts)).mean()


def test_eval_of_the_training_split(ten, run_command, tmp_path, capsys):
    run_command("eval", "run=ten", f"root={ten.root}", "split=train", f"output={tmp_path}")
    assert "train/accuracy" in capsys.readouterr().out
    assert (tmp_path / "evaluation" / "train" / "confusion_matrix.png").is_file()


def test_the_threshold_is_chosen_on_validation_and_applied_to_test(two, run_command, tmp_path, capsys):
    run_command("eval", "run=two", f"root={two.root}", "split=val", f"output={tmp_path}")
    shown = capsys.readouterr().out
    chosen = two.summary["threshold/best_f1"]
    assert "threshold/best_f1" in shown
    assert f"{chosen['value']:.4f}" in shown
    rows = [json.loads(line) for line in (tmp_path / "val.jsonl").read_text().splitlines()]
    assert chosen["n"] == len(rows) == 80

    def scores(rows):
        found = [{item["class"]: item["probability"] for item in row["top"]}["odd $"] for row in rows]
        return np.array(found), np.array([row["label"] == "odd $" for row in rows])

    values, positive = scores(rows)
    best = max(metrics.f1_score(positive, values >= t) for t in values)
    assert metrics.f1_score(positive, values >= chosen["value"]) == pytest.approx(best, abs=1e-9)
    values, positive = scores(_predictions(two))
    predicted = values >= chosen["value"]
    for name, score in (
        ("f1", metrics.f1_score),
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("accuracy", metrics.accuracy_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
    ):
        found = two.summary[f"test/{name}/best_threshold"]
        assert found["value"] == pytest.approx(score(positive, predicted), abs=1e-9), name
        assert found["n"] == 123
    assert two.summary["test/auroc"]["value"] == pytest.approx(
        metrics.roc_auc_score(positive, values), abs=1e-4
    )
    assert "test/top5_accuracy" not in two.summary


def test_without_a_test_split_the_best_weights_are_scored_on_validation(two, run_command, tmp_path):
    """Not those that the moving average puts into the model at a validation: here the first step is the best one."""
    run_command(
        "train",
        *COMMON,
        *two.overrides,
        "run.id=no_test",
        "data.root='without test'",
        "callbacks=[default,ema]",
        "monitor.mode=max",
        "monitor.name=val/loss",
    )
    run = _run(two.root, "no_test")
    assert run.summary["best/step"]["value"] < run.summary["steps"]["value"]
    value = run_command("eval", "run=no_test", f"root={two.root}", "split=val", f"output={tmp_path}")
    assert run.summary["val/loss"]["value"] == pytest.approx(value, abs=1e-6)
    assert run.summary["best/val/loss"]["value"] == pytest.approx(value, abs=1e-6)
    assert "threshold/best_f1" in run.summary
    assert not [name for name in run.summary if "best_threshold" in name]
    assert (run.path / "evaluation" / "val" / "roc.png").is_file()


def test_the_sweep_is_written(two):
    folder = two.path / "evaluation" / "test"
    rows = _table(folder / "threshold_sweep.csv")
    assert len(rows) == 101
    assert list(rows[0]) == [
        *("threshold", "tp", "fp", "fn", "tn"),
        *("precision", "recall", "f1", "balanced_accuracy"),
    ]
    assert int(rows[0]["fn"]) == int(rows[0]["tn"]) == 0
    assert (folder / "threshold_sweep.png").is_file()


def test_the_pass_over_validation_leaves_no_trace_in_the_metrics(two):
    lines = [json.loads(line) for line in (two.path / "metrics.jsonl").read_text().splitlines()]
    assert len([line for line in lines if "val/accuracy" in line]) == 3


def test_eval_takes_the_threshold_of_the_run(two, run_command, tmp_path, capsys):
    run_command("eval", "run=two", f"root={two.root}", f"output={tmp_path}")
    shown = capsys.readouterr().out
    assert f"{two.summary['threshold/best_f1']['value']:.4f}" in shown
    assert f"F1 {two.summary['test/f1/best_threshold']['value']:.4f}" in shown
    for name in ("threshold_sweep.csv", "threshold_sweep.png", "roc.png"):
        assert (tmp_path / "evaluation/test" / name).read_bytes() == (
            two.path / "evaluation/test" / name
        ).read_bytes()


@pytest.mark.parametrize(("positive", "message"), [("odd", "odd"), ("evne", "even")])
def test_an_unknown_positive_class_is_refused_before_training(two, run_command, positive, message):
    with pytest.raises(UserError, match=r"evaluator.classification.positive") as caught:
        run_command(
            "train",
            *COMMON,
            *two.overrides,
            "run.id=never",
            f"evaluator.classification.positive={positive}",
        )
    assert message in caught.value.valid
    assert not (two.root / "never").exists()
