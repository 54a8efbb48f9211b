"""Training on tar shards from the command line: continuing inside an epoch, and shards that are damaged."""

import json

import pytest
import torch
from safetensors.torch import load_file

from mmdl.callbacks.train_log import TrainLog
from mmdl.data.webdataset import write_fixture
from mmdl.errors import UserError
from mmdl.runs.checkpoint_io import newest_valid, step_of

QUICK = (
    "+experiment=clip_shards",
    "quick=true",
    "logger=none",
    "evaluator=[retrieval]",
    "trainer.max_epochs=3",
)


class Interrupted(BaseException):
    """In place of a kill: no handler of the run catches it as a failure of its own."""


@pytest.fixture
def overrides(tmp_path):
    return [*QUICK, *(f"{key}={value}" for key, value in write_fixture(tmp_path / "shards").items())]


def weights(root, run_id):
    return load_file(root / run_id / "checkpoints" / "final.safetensors")


def test_resuming_inside_an_epoch_equals_not_having_stopped(tmp_path, run_command, monkeypatch, overrides):
    run_command("train", *overrides, f"run.root={tmp_path}", "run.id=whole")
    plain = TrainLog.on_train_batch_start

    def stop(self, trainer, *arguments):
        if trainer.global_step == 6:  # four steps an epoch
            raise Interrupted
        return plain(self, trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainLog, "on_train_batch_start", stop)
        with pytest.raises(Interrupted):
            run_command(
                "train",
                *overrides,
                f"run.root={tmp_path}",
                "run.id=part",
                "callbacks.checkpoints.every_steps=1",
            )
    assert step_of(newest_valid(tmp_path / "part" / "checkpoints")) == 6
    run_command("train", "resume=part", f"run.root={tmp_path}")
    one, other = weights(tmp_path, "whole"), weights(tmp_path, "part")
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_damaged_shards_are_left_out_and_counted(tmp_path, run_command, overrides, capsys):
    shards = sorted((tmp_path / "shards").glob("train-*.tar"))
    content = shards[1].read_bytes()
    shards[0].write_bytes(b"no tar file" * 100)
    shards[1].write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError) as caught:
        run_command("train", *overrides, f"run.root={tmp_path}", "run.id=bad")
    assert "is no tar file" in str(caught.value)
    assert "ends early" in str(caught.value)
    assert not (tmp_path / "bad").exists()
    run_command("train", *overrides, "data.on_bad_sample=skip", f"run.root={tmp_path}", "run.id=skip")
    manifest = json.loads((tmp_path / "skip" / "manifest.json").read_text())
    skipped = manifest["marks"]["skipped"]
    assert skipped["corrupt shard"] == skipped["shard ends early"] == 1
    assert skipped["lost with its shard"] >= 8
