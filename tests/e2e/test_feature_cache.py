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


CONTRASTIVE = (
    "data=shapes_captions",
    "task=contrastive",
    "evaluator=[retrieval]",
    "monitor.name=val/text_to_image/recall@1",
    "logger=none",
    *("data.scenes_train=24", "data.scenes_val=8", "data.scenes_test=8", "data.batch_size=8"),
    *("data.captions_per_image=2", "trainer.max_epochs=2", "trainer.precision=32-true", "optimizer.lr=0.01"),
)
LOCKED = {
    "clip": ("model=clip", "task.freeze=[image_tower*]"),
    "both": ("model=clip", "task.freeze=[image_tower*, text_tower*]"),
    # all but the projections
    "towers": ("model=clip_towers", "task.train_last={image_tower*: 1, text_tower*: 1}"),
}


@pytest.mark.parametrize("locked", LOCKED)
def test_cached_contrastive_training_equals_uncached(locked, tmp_path, run_command, caplog):
    found = {}
    for cached in ("true", "false"):
        run_command(
            "train", *CONTRASTIVE, *LOCKED[locked], f"data.cache_features={cached}",
            f"run.root={tmp_path}", f"run.id=cached-{cached}",
        )  # fmt: skip
        summary = json.loads((tmp_path / f"cached-{cached}" / "summary.json").read_text())
        found[cached] = (
            summary,
            load_file(tmp_path / f"cached-{cached}" / "checkpoints" / "final.safetensors"),
        )
    (ours, weights), (plain, expected) = found["true"], found["false"]
    assert ours["test/loss"]["value"] == pytest.approx(plain["test/loss"]["value"], rel=1e-5)
    figures = [name for name in plain if "recall@" in name]
    assert figures
    assert all(ours[name]["value"] == plain[name]["value"] for name in figures)
    for name, value in expected.items():
        torch.testing.assert_close(weights[name], value, rtol=1e-4, atol=1e-5)
    if locked != "both":
        assert not torch.equal(weights["logit_scale"], torch.tensor(1 / 0.07).log())


def test_a_locked_image_tower_runs_once_an_image_and_augmented_images_go_through_it(
    tmp_path, run_command, monkeypatch
):
    from mmdl.models.layers.open_clip_visual import OpenCLIPVisual

    calls = []
    plain = OpenCLIPVisual.forward
    monkeypatch.setattr(
        OpenCLIPVisual, "forward", lambda self, images: calls.append(len(images)) or plain(self, images)
    )
    common = (*CONTRASTIVE, *LOCKED["clip"], "seed=7", f"run.root={tmp_path}")
    counts = {}
    for name, overrides in {"first": (), "again": (), "augmented": ("augment@data.augment=[crop]",)}.items():
        calls.clear()
        run_command("train", *common, *overrides, f"run.id={name}")
        counts[name] = sum(calls)
    # two epochs of 24 training images, two validations and a test of 8 need the 40 features once, or not at all
    assert counts["first"] - counts["again"] == 24 + 8 + 8
    assert counts["augmented"] - counts["again"] >= 2 * 24


@pytest.mark.slow
def test_compiled_training_runs(tmp_path, run_command):
    run_command("train", *FROZEN[:4], "task.compile=true", f"run.root={tmp_path}", "run.id=x")
    assert "test/vqa_accuracy" in json.loads((tmp_path / "x" / "summary.json").read_text())
