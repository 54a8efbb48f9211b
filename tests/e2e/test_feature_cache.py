"""Frozen towers run once: training on cached features equals training through the towers."""

import json

import pytest
import torch
from safetensors.torch import load_file

FROZEN = (
    "+experiment=vqa",
    "quick=true",
    "logger=none",
    "evaluator=[vqa_accuracy]",
    "task.freeze=[image_tower*, question_tower*]",
    "trainer.precision=32-true",
)


@pytest.mark.parametrize("fusion", ["film", "hadamard", "cross_attention"])
def test_cached_equals_uncached(fusion, tmp_path, run_command, monkeypatch, data_home):
    runs = {}
    for cached in ("true", "false"):
        run_command(
            "train",
            *FROZEN,
            f"model/fusion={fusion}",
            f"data.cache_features={cached}",
            f"run.root={tmp_path}",
            f"run.id=cached-{cached}",
        )
        summary = json.loads((tmp_path / f"cached-{cached}" / "summary.json").read_text())
        runs[cached] = (
            summary["test/loss"]["value"],
            load_file(tmp_path / f"cached-{cached}" / "checkpoints" / "final.safetensors"),
        )
    assert runs["true"][0] == pytest.approx(runs["false"][0], rel=1e-5)
    for name, value in runs["false"][1].items():
        torch.testing.assert_close(runs["true"][1][name], value, rtol=1e-4, atol=1e-5)


def test_a_cached_tower_never_runs_again(tmp_path, run_command, monkeypatch):
    from mmdl.models.image_tower.small_cnn import SmallCNN

    run_command("train", *FROZEN, f"run.root={tmp_path}", "run.id=first")
    calls = []
    plain = SmallCNN.forward
    monkeypatch.setattr(
        SmallCNN, "forward", lambda self, images: calls.append(len(images)) or plain(self, images)
    )
    run_command("train", *FROZEN, f"run.root={tmp_path}", "run.id=second")
    # the check's measurement runs the tower; training and evaluation don't
    assert len(calls) <= 4
    first, second = (
        load_file(tmp_path / i / "checkpoints" / "final.safetensors") for i in ("first", "second")
    )
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.slow
def test_compiled_training_runs(tmp_path, run_command):
    run_command("train", *FROZEN[:4], "task.compile=true", f"run.root={tmp_path}", "run.id=x")
    assert "test/vqa_accuracy" in json.loads((tmp_path / "x" / "summary.json").read_text())
