"""The overfit experiment: train and validation part, and the weights that are tested are the chosen epoch's."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from mmdl.assembly import build_data
from mmdl.instantiate import instantiate


@pytest.fixture(scope="module")
def overfit(tmp_path_factory, run_command):
    """The whole experiment, with less patience: it takes seconds."""
    root = tmp_path_factory.mktemp("overfit")
    run_command(
        "train",
        "+experiment=overfit",
        "callbacks.early_stopping.patience=12",
        "logger=none",
        f"run.root={root}",
        "run.id=x",
    )
    return root / "x"


@pytest.fixture(scope="module")
def curves(overfit):
    rows = [json.loads(line) for line in (overfit / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "train_eval/loss" in row]


def test_train_and_validation_part(curves):
    train = [row["train_eval/loss"] for row in curves]
    val = [row["val/loss"] for row in curves]
    chosen = int(np.argmin(val))
    assert 5 < chosen < len(val) - 1
    assert val[-1] > 1.2 * val[chosen], "validation gets worse"
    assert train[-1] < 0.1 * train[chosen], "while training gets better"
    assert all(later < earlier for earlier, later in pairwise(train[chosen:]))
    assert val[0] - train[0] < 0.1 < val[-1] - train[-1]
    assert curves[-1]["train_eval/accuracy"] == 1.0
    assert curves[-1]["val/accuracy"] < 0.95


def test_early_stopping_ends_the_run_after_its_patience(overfit, curves):
    val = [row["val/loss"] for row in curves]
    assert len(val) == int(np.argmin(val)) + 1 + 12 < 60
    summary = json.loads((overfit / "summary.json").read_text())
    assert summary["curves/chosen_epoch"]["value"] == np.argmin(val) + 1
    assert summary["curves/last_epoch"]["value"] == len(val)
    assert summary["best/val/loss"]["value"] == pytest.approx(min(val))
    assert summary["steps"]["value"] == len(val), "60 images, 64 in a batch: one step an epoch"
    last = curves[-1]
    gap = last["val/loss"] - last["train_eval/loss"]
    assert summary["curves/last_gap"]["value"] == pytest.approx(gap, rel=1e-5)


def test_the_tested_weights_are_those_of_the_chosen_epoch(overfit, curves):
    config = OmegaConf.load(overfit / "config.yaml")
    data, model = build_data(config), instantiate(config.model)
    summary = json.loads((overfit / "summary.json").read_text())

    def loss(weights, split):
        model.load_state_dict(load_file(overfit / "checkpoints" / f"{weights}.safetensors"))
        batch = data.dataset(split)[np.arange(len(data.dataset(split)))]
        with torch.no_grad():
            return cross_entropy(model.eval()(batch["images"]), batch["labels"]).item()

    val = [row["val/loss"] for row in curves]
    assert loss("best", "val") == pytest.approx(min(val), rel=1e-5)
    assert loss("final", "val") == pytest.approx(val[-1], rel=1e-5)
    assert summary["test/loss"]["value"] == pytest.approx(loss("best", "test"), rel=1e-5)
    assert summary["test/loss"]["value"] < 0.9 * loss("final", "test"), "stopping early was worth it"
    assert summary["best/step"]["value"] == np.argmin(val) + 1


def test_the_picture_is_not_blank(overfit):
    with Image.open(overfit / "curves.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    middle = pixels.shape[1] // 2
    for half in (pixels[:, :middle], pixels[:, middle:]):
        blue = (half[..., 2] - half[..., 0] > 60).sum()
        orange = (half[..., 0] - half[..., 2] > 100).sum()
        assert blue > 300
        assert orange > 300


def test_the_card_names_the_epoch(tmp_path, run_command, capsys):
    run_command(
        "train",
        "+experiment=overfit",
        "quick=true",
        "logger=none",
        f"run.root={tmp_path}",
        "run.id=x",
    )
    out = capsys.readouterr().out
    assert "validation chose the last epoch, 4" in out
    assert str(tmp_path / "x" / "curves.png") in out


def test_the_callbacks_can_be_taken_away(tmp_path, run_command):
    run_command(
        "train",
        "+experiment=overfit",
        "quick=true",
        "logger=none",
        "callbacks=[default]",
        f"run.root={tmp_path}",
        "run.id=x",
    )
    summary = json.loads((tmp_path / "x" / "summary.json").read_text())
    assert summary["steps"]["value"] == 4
    assert not any(name.startswith("curves/") for name in summary)
