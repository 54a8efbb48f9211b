"""Contrastive runs: the clamp of the scale in checkpoints and on resume, both losses, and settings that are refused."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from mmdl.errors import UserErrors
from mmdl.losses.infonce import infonce
from mmdl.runs.checkpoint_io import read_checkpoint

CLIP = (
    "+experiment=clip",
    "quick=true",
    "logger=none",
    "evaluator=[retrieval]",
    "evaluator.retrieval.resamples=0",
)
EVERY_STEP = ("callbacks.checkpoints.every_steps=1", "callbacks.checkpoints.keep=1000")


class Interrupted(BaseException):
    """In place of a kill."""


def final(root, run_id):
    return load_file(root / run_id / "checkpoints" / "final.safetensors")


def scales(folder):
    return [
        read_checkpoint(path)["state_dict"]["model.logit_scale"].exp().item()
        for path in sorted(folder.glob("last-step=*.ckpt"))
    ]


def test_the_clamp_holds_in_every_checkpoint_and_on_resume(tmp_path, run_command, monkeypatch):
    """A loss that pushes the scale over the clamp in each step; resuming equals not having stopped."""
    from mmdl.tasks import contrastive

    monkeypatch.setitem(contrastive.LOSSES, "infonce", lambda *given: infonce(*given) - given[1])
    words = (*CLIP, *EVERY_STEP, "model.init_scale=30", "task.max_scale=14.5", "trainer.max_epochs=2")
    run_command("train", *words, f"run.root={tmp_path}", "run.id=whole")
    found = scales(tmp_path / "whole" / "checkpoints")
    assert len(found) == 6
    assert found == pytest.approx([14.5] * 6, rel=1e-6)

    from mmdl.callbacks.train_log import TrainLog

    plain = TrainLog.on_train_batch_start

    def stop(self, trainer, *arguments):
        if trainer.global_step == 4:
            raise Interrupted
        return plain(self, trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainLog, "on_train_batch_start", stop)
        with pytest.raises(Interrupted):
            run_command("train", *words, f"run.root={tmp_path}", "run.id=cut")
    run_command("train", "resume=cut", f"run.root={tmp_path}")
    expected = final(tmp_path, "whole")
    for name, value in final(tmp_path, "cut").items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("bias", ["null", "-10.0"])
def test_siglip_trains_with_and_without_a_bias(tmp_path, run_command, bias, capsys):
    words = ("task.loss=siglip", f"model.init_bias={bias}", "model.init_scale=10", "trainer.max_epochs=1")
    run_command("train", *CLIP, *words, f"run.root={tmp_path}", "run.id=s")
    assert "warn" not in capsys.readouterr().err.lower()
    weights = final(tmp_path, "s")
    assert any(name.endswith("logit_bias") for name in weights) == (bias != "null")
    summary = json.loads((tmp_path / "s" / "summary.json").read_text())
    assert math.isfinite(summary["test/loss"]["value"])
    assert summary["test/loss_batch"] == {"value": 16, "n": 16, "ci95": None}


def test_tiles_and_parts_train_as_the_plain_loss_does(tmp_path, run_command):
    words = (*CLIP, "trainer.precision=32-true", "optimizer.lr=1e-4", f"run.root={tmp_path}")
    run_command("train", *words, "run.id=plain")
    run_command("train", *words, "run.id=tiled", "task.tile=5", "task.micro_batch=3")
    one, other = final(tmp_path, "plain"), final(tmp_path, "tiled")
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=0, atol=2e-5)


def test_accumulation_by_the_trainer_is_refused_before_anything_is_written(tmp_path, run_command):
    with pytest.raises(UserErrors) as caught:
        run_command("train", *CLIP, "trainer.accumulate_grad_batches=4", f"run.root={tmp_path}", "run.id=a")
    assert "data.batch_size=64 task.micro_batch=16" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserErrors, match="accumulate_grad_batches=2"):
        run_command("check", *CLIP, "trainer.accumulate_grad_batches=2")
