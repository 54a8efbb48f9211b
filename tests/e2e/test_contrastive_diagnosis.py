"""A quick run of the CLIP experiment leaves its diagnosis and its pictures on disk, in W&B and in TensorBoard."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdl.runs.logged import quantity

FIGURES = (
    "chance_level",
    "loss_floor",
    "temperature",
    "logit_scale",
    "scale_at_clamp",
    "gradient_norm/image_tower",
    "gradient_norm/text_tower",
    "gradient_norm/logit_scale",
    "duplicate_positives",
    "repeated_captions",
    "positives_per_image",
    "similarity/positive",
    "similarity/negative",
)
PICTURES = ("text_to_image", "image_to_text", "zero_shot_shape", "zero_shot_colour")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_home):
    """A quick run in a process of its own, with W&B offline and TensorBoard; two validations."""
    root = tmp_path_factory.mktemp("diagnosis")
    env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | {"HOME": str(root)}
    words = ("train", "+experiment=clip", "quick=true", "logger=[wandb,tensorboard]", "run.id=d")
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", *words, "trainer.max_epochs=2"],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return root / "runs" / "d"


@pytest.fixture(scope="module")
def rows(run):
    """Lines of metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def records(run):
    """All records of the offline run, as W&B reads them back."""
    [path] = run.glob("wandb/offline-run-*/run-*.wandb")
    done = subprocess.run(
        ["wandb", "leet", "inspect", "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_figures_of_each_step_are_in_metrics_jsonl(rows):
    logged = [row for row in rows if "train/chance_level" in row]
    assert [row["step"] for row in logged] == list(range(1, 7))
    for row in logged:
        assert {f"train/{name}" for name in FIGURES} <= row.keys()
        # 16 images with two captions each: (ln 16 + ln 32) / 2
        assert row["train/chance_level"] == pytest.approx(3.1191623, abs=1e-6)
        assert row["train/temperature"] == pytest.approx(1 / row["train/logit_scale"])
        assert row["train/positives_per_image"] == 2.0
        assert 0.34 < row["train/loss_floor"] < row["train/chance_level"]


def test_the_pictures_of_each_validation_are_on_disk_and_in_w_and_b(run, records):
    folders = sorted((run / "media" / "validation").iterdir())
    assert [folder.name for folder in folders] == ["step=00000003", "step=00000006"]
    media = next(iter(run.glob("wandb/offline-run-*/files/media/images/val_figures")))
    sent = [path.read_bytes() for path in media.iterdir()]
    for name in PICTURES:
        assert f"val_figures/{name}" in records
        for folder in folders:
            assert (folder / f"{name}.png").read_bytes() in sent, (folder.name, name)


def test_the_figures_are_in_w_and_b(records, rows):
    last = [row for row in rows if "train/chance_level" in row][-1]
    for name in FIGURES:
        assert f"train/{name}" in records, name
    for name in ("chance_level", "loss_floor", "logit_scale", "gradient_norm/image_tower"):
        assert repr(last[f"train/{name}"])[:10] in records, name


def test_the_loss_has_the_chance_level_as_a_line(run, records, rows):
    picture = (run / "evaluation" / "figures" / "loss_curve.png").read_bytes()
    [sent] = run.glob("wandb/offline-run-*/files/media/images/figures/loss_curve_*.png")
    assert sent.read_bytes() == picture
    assert "charts/loss" in records
    [table] = run.glob("wandb/offline-run-*/files/media/table/charts/loss_*.table.json")
    data = json.loads(table.read_text())["data"]
    drawn = {name: [(step, value) for step, key, value in data if key == name] for _, name, _ in data}
    assert drawn["train"] == [(row["step"], row["train/loss"]) for row in rows if "train/loss" in row]
    assert {value for _, value in drawn["chance level (train)"]} == {
        row["train/chance_level"] for row in rows if "train/chance_level" in row
    }


def test_the_zero_shot_confusion_is_a_chart_of_w_and_b(run, records):
    assert "wandb/confusion_matrix/v1" in records
    [path] = run.glob("wandb/offline-run-*/files/media/table/test_tables/zero_shot_shape_confusion_*.json")
    assert sum(row[2] for row in json.loads(path.read_text())["data"]) == 16


def test_tensorboard_has_them_too(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    names = {f"val_figures/{name}" for name in PICTURES} | {"figures/loss_curve"}
    assert names <= set(events.Tags()["images"])
    assert len(events.Images("val_figures/text_to_image")) == 2
    assert {f"train/{name}" for name in FIGURES} <= set(events.Tags()["scalars"])


def test_a_resumed_run_has_every_picture_once_and_the_whole_curve(tmp_path, run_command, monkeypatch):
    from mmdl.callbacks.evaluation_pictures import EvaluationPictures

    class Stop(BaseException):
        pass

    words = ("+experiment=clip", "quick=true", "logger=none", "evaluator=[retrieval]", f"run.root={tmp_path}")

    def interrupt(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(EvaluationPictures, "on_train_epoch_start", interrupt)
        with pytest.raises(Stop):
            run_command("train", *words, "trainer.max_epochs=3", "run.id=x")
    run_command("train", "resume=x", f"run.root={tmp_path}")
    run_command("train", *words, "trainer.max_epochs=3", "run.id=whole")
    files = {
        name: sorted(
            str(path.relative_to(tmp_path / name))
            for path in (tmp_path / name / "media").rglob("*.png")
            if not {"items", "probe"} & set(path.parts)  # those of the data
        )
        for name in ("x", "whole")
    }
    assert files["x"] == files["whole"]
    assert len(files["x"]) == 3 * 2
    for name in [*files["x"], "evaluation/figures/loss_curve.png"]:
        assert (tmp_path / "x" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    logged = {
        name: [
            {k: v for k, v in row.items() if k.startswith("train/") and not quantity(k).measured}
            for row in map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
            if "train/chance_level" in row
        ]
        for name in ("x", "whole")
    }
    assert logged["x"] == logged["whole"]
