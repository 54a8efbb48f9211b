"""Recipes of image classification: what is drawn, averaged and scheduled survives an interruption to the last bit."""

import json

import pytest
import torch
from safetensors.torch import load_file

from mmdl.errors import UserError, UserErrors
from mmdl.runs.checkpoint_io import newest_valid, read_checkpoint, step_of

EVERY_STEP = ("callbacks.checkpoints.every_steps=1", "callbacks.checkpoints.keep=1000")


class Interrupted(BaseException):
    """In place of a kill: no handler of the run catches it as a failure of its own."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """108 digits in batches of 16: 7 steps an epoch."""
    from mmdl.data.mnist import write_fixture

    words = [f"{key}={value}" for key, value in write_fixture(tmp_path_factory.mktemp("mnist")).items()]
    return (
        "+experiment=mnist",
        *words,
        "logger=none",
        "data.val_share=0.1",
        "data.batch_size=16",
        "trainer.max_epochs=4",
        "optimizer.lr=0.01",
        "model.channels=[8,16]",
        "model.hidden=[32]",
    )


def interrupt_at(monkeypatch, step):
    from mmdl.callbacks.train_log import TrainLog

    plain = TrainLog.on_train_batch_start

    def stop(self, trainer, *arguments):
        if trainer.global_step == step:
            raise Interrupted
        return plain(self, trainer, *arguments)

    monkeypatch.setattr(TrainLog, "on_train_batch_start", stop)


def weights(root, run_id, name="final"):
    return load_file(root / run_id / "checkpoints" / f"{name}.safetensors")


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


CASES = {
    "small-image recipe": (
        17,
        "augment@data.augment=[crop,flip,cutout,mixup,cutmix]",
        "data.augment.mixup.probability=0.5",
        "data.augment.cutmix.probability=0.5",
        "optimizer=sgd",
        "task.label_smoothing=0.1",
        "task.test_time_augmentation=flip_translate",
        "callbacks=[default,ema]",
        "callbacks.ema.update_every_n_steps=2",
    ),
    "everything on floats": (
        23,
        "augment@data.augment=[affine,elastic,randaugment,color_jitter,resized_crop,progressive_resize]",
        "model.global_pooling=true",
        "optimizer=muon",
        "schedule=constant",
        "model.dropout=0.2",
        "callbacks=[default,swa]",
        "callbacks.swa.start=0.4",
        "callbacks.swa.batch_norm_batches=3",
    ),
    "average of the last epochs, after an epoch": (
        21,
        "augment@data.augment=[crop]",
        "callbacks=[default,swa]",
        "callbacks.swa.start=0.5",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_resuming_equals_not_having_stopped(case, base, tmp_path, run_command, monkeypatch):
    step, *extra = CASES[case]
    run_command("train", *base, f"run.root={tmp_path}", "run.id=whole", *extra)
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        with pytest.raises(Interrupted):
            run_command("train", *base, f"run.root={tmp_path}", "run.id=cut", *extra, *EVERY_STEP)
    assert step_of(newest_valid(tmp_path / "cut" / "checkpoints")) == step
    run_command("train", "resume=cut", f"run.root={tmp_path}")
    for name in ("final", "best"):
        assert_same(weights(tmp_path, "whole", name), weights(tmp_path, "cut", name))
    first, second = (
        json.loads((tmp_path / run_id / "summary.json").read_text())["test/accuracy"]
        for run_id in ("whole", "cut")
    )
    assert first == second


def test_loader_workers_change_nothing(base, tmp_path, run_command):
    extra = ("augment@data.augment=[crop,flip,mixup]", "trainer.max_epochs=2")
    for workers in (0, 2):
        words = (f"run.root={tmp_path}", f"run.id=w{workers}", f"data.num_workers={workers}")
        run_command("train", *base, *extra, *words)
    assert_same(weights(tmp_path, "w0"), weights(tmp_path, "w2"))


@pytest.mark.parametrize(("average", "updates"), [("ema", 21), ("swa", 2)])
def test_the_average_is_what_is_validated_saved_and_tested(average, updates, base, tmp_path, run_command):
    extra = [f"callbacks=[default,{average}]", "trainer.max_epochs=3"]
    extra += ["callbacks.swa.start=0.5"] if average == "swa" else []
    run_command("train", *base, *extra, f"run.root={tmp_path}", "run.id=x")
    folder = tmp_path / "x" / "checkpoints"
    checkpoint = read_checkpoint(newest_valid(folder))
    final = weights(tmp_path, "x")
    assert_same({f"model.{name}": value for name, value in final.items()}, checkpoint["state_dict"])
    name = "model.layers.fully_connected1.weight"
    assert not torch.equal(checkpoint["state_dict"][name], checkpoint["current_model_state"][name])
    assert checkpoint["averaging_state"]["n_averaged"] == updates
    summary = json.loads((tmp_path / "x" / "summary.json").read_text())
    metrics = [json.loads(line) for line in (tmp_path / "x" / "metrics.jsonl").read_text().splitlines()]
    best = max(row["val/accuracy"] for row in metrics if "val/accuracy" in row)
    assert summary["best/val/accuracy"]["value"] == best
    run_command("eval", "run=x", f"root={tmp_path}", "split=val")


def test_two_averages_are_refused_before_anything_is_made(base, tmp_path, run_command):
    with pytest.raises(UserErrors, match="ema and swa both average"):
        run_command("train", *base, "callbacks=[default,ema,swa]", f"run.root={tmp_path}", "run.id=x")
    assert not (tmp_path / "x").exists()


def test_an_experiments_settings_of_what_is_not_chosen_are_passed_over(base, tmp_path, run_command):
    words = [word for word in base if not word.startswith(("+experiment", "trainer.", "model."))]
    chosen = (
        "callbacks=[default,swa]",
        "augment@data.augment=[flip]",
        "quick=true",
    )  # it sets ema and affine
    run_command("train", "+experiment=mnist_best", *words, *chosen, f"run.root={tmp_path}", "run.id=x")
    checkpoint = read_checkpoint(newest_valid(tmp_path / "x" / "checkpoints"))
    assert checkpoint["averaging_state"]["n_averaged"] == 1


def test_growing_images_with_a_model_of_one_size_are_refused_before_anything_is_made(
    base, tmp_path, run_command
):
    with pytest.raises(UserError, match="progressive_resize makes images of 16 to 24 pixels"):
        run_command(
            "train",
            *base,
            "augment@data.augment=[progressive_resize]",
            f"run.root={tmp_path}",
            "run.id=x",
        )
    assert not (tmp_path / "x").exists()
