"""Continuing from an older checkpoint, a run that has finished, and one that is not there."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from mmdl.errors import UserError
from mmdl.runs.checkpoint_io import newest_valid, step_of

QUICK = ("+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "trainer.max_epochs=3")
EVERY_STEP = ("callbacks.checkpoints.every_steps=1", "callbacks.checkpoints.keep=1000")


class Interrupted(BaseException):
    """In place of a kill: no handler of the run catches it as a failure of its own."""


def interrupt_at(monkeypatch, step):
    from mmdl.callbacks.train_log import TrainLog

    plain = TrainLog.on_train_batch_start

    def stop(self, trainer, *arguments):
        if trainer.global_step == step:
            raise Interrupted
        return plain(self, trainer, *arguments)

    monkeypatch.setattr(TrainLog, "on_train_batch_start", stop)


def weights(root, run_id):
    return load_file(root / run_id / "checkpoints" / "final.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, run_command):
    """Uninterrupted runs by their extra overrides, made once."""
    made = {}

    def get(*extra):
        if extra not in made:
            root = tmp_path_factory.mktemp("whole")
            run_command("train", *QUICK, f"run.root={root}", "run.id=w", *extra)
            made[extra] = root
        return made[extra]

    return get


def test_a_torn_checkpoint_is_passed_over(tmp_path, run_command, monkeypatch, whole, caplog):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 10)
        with pytest.raises(Interrupted):
            run_command("train", *QUICK, f"run.root={tmp_path}", "run.id=r", *EVERY_STEP)
    newest = newest_valid(tmp_path / "r" / "checkpoints")
    newest.write_bytes(newest.read_bytes()[:1000])
    assert step_of(newest_valid(tmp_path / "r" / "checkpoints")) == 9
    run_command("train", "resume=r", f"run.root={tmp_path}")
    one, other = weights(whole(), "w"), weights(tmp_path, "r")
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_resuming_a_finished_run_changes_nothing(tmp_path, run_command, whole):
    shutil.copytree(whole() / "w", tmp_path / "w")
    before = weights(tmp_path, "w")
    run_command("train", "resume=w", f"run.root={tmp_path}")
    assert all(torch.equal(value, before[name]) for name, value in weights(tmp_path, "w").items())


def test_a_missing_run_is_an_error_with_the_way_out(tmp_path, run_command):
    with pytest.raises(UserError, match="no run 'nothing'"):
        run_command("train", "resume=nothing", f"run.root={tmp_path}")
