"""W&B and TensorBoard show what the run folder holds: the confusion matrix, the tables and the pictures."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdl.data.mnist import write_fixture
from mmdl.review.panels import media, quantities, review_sections


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_home):
    """A quick run in a process of its own, with W&B offline and TensorBoard."""
    root = tmp_path_factory.mktemp("trackers")
    data = [f"{key}={value}" for key, value in write_fixture(root / "data").items()]
    env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | {"HOME": str(root)}
    words = [
        *("train", "+experiment=mnist", "quick=true", "logger=[wandb,tensorboard]", "run.id=w"),
        *("callbacks=[default,confusion_matrix]", *data),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", *words],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "font" not in done.stderr.lower()
    return root / "runs" / "w"


@pytest.fixture(scope="module")
def records(run):
    """All records of the offline run, as W&B reads them back."""
    [path] = run.glob("wandb/offline-run-*/run-*.wandb")
    tools = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["wandb", "leet", "inspect", "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PATH": tools},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _media(run, records, name):
    """The files of the offline run that a key names."""
    assert name in records
    folder = next(iter(run.glob("wandb/offline-run-*/files/media")))
    return [path for path in folder.rglob("*") if path.is_file() and f"/{name}_" in path.as_posix()]


def test_the_confusion_matrix_is_a_chart_of_w_and_b(run, records):
    assert "wandb/confusion_matrix/v1" in records
    [path] = _media(run, records, "test_tables/confusion_matrix_table")
    table = json.loads(path.read_text())
    assert table["columns"] == ["Actual", "Predicted", "nPredictions"]
    with (run / "evaluation" / "test" / "confusion_matrix.csv").open(newline="") as handle:
        columns, *rows = csv.reader(handle)
    expected = [
        [row[0], predicted, int(count)]
        for row in rows
        for predicted, count in zip(columns[1:], row[1:], strict=True)
    ]
    assert table["data"] == expected
    assert sum(row[2] for row in table["data"]) == 40


def test_the_other_tables_are_there(run, records):
    [path] = _media(run, records, "test_tables/per_class")
    table = json.loads(path.read_text())
    assert table["columns"][:3] == ["class", "support", "tp"]
    assert [row[0] for row in table["data"]] == list("0123456789")
    assert sum(row[1] for row in table["data"]) == 40
    [path] = _media(run, records, "test_tables/reliability")
    assert len(json.loads(path.read_text())["data"]) == 15


def test_the_pictures_are_those_of_the_run_folder(run, records):
    folder = run / "evaluation" / "test"
    for name in ("confusion_matrix", "reliability", "roc", "precision_recall"):
        picture = (folder / f"{name}.png").read_bytes()
        pictures = [p for p in _media(run, records, f"test_figures/{name}") if p.suffix == ".png"]
        assert picture in [path.read_bytes() for path in pictures], name
    of_validation = (next((run / "media" / "confusion_matrix").iterdir())).read_bytes()
    pictures = [p for p in _media(run, records, "val_figures/confusion_matrix") if p.suffix == ".png"]
    assert of_validation in [path.read_bytes() for path in pictures]


def test_the_summary_holds_the_figures(run, records):
    summary = json.loads((run / "summary.json").read_text())
    for name in ("test/accuracy", "test/auroc", "test/recall/class/3", "baseline/most_common/accuracy"):
        assert repr(summary[name]["value"])[:12] in records, name


def test_tensorboard_has_the_pictures_and_the_figures(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    names = {
        f"test_figures/{name}" for name in ("confusion_matrix", "reliability", "roc", "precision_recall")
    }
    assert set(events.Tags()["images"]) == names | {"val_figures/confusion_matrix"}
    summary = json.loads((run / "summary.json").read_text())
    [scalar] = events.Scalars("test/accuracy")
    assert scalar.value == pytest.approx(summary["test/accuracy"]["value"], abs=1e-6)


def test_the_review_workspace_shows_only_what_runs_have(run, offline_run):
    [path] = run.glob("wandb/offline-run-*/run-*.wandb")
    sections = review_sections("classification")
    assert quantities(sections) | media(sections) <= offline_run(path).names | {"train/loss"}
