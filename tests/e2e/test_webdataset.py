"""Training on tar shards from the command line: continuing inside an epoch, and shards that are damaged."""

import json
import os
import subprocess
import sys

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


def test_damaged_shards_are_left_out_and_counted(tmp_path, run_command, overrides):
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


def test_two_ranks_know_what_both_left_out(tmp_path, overrides):
    """One image of each half of a global batch can't be decoded; the note at the end counts both."""
    shards = sorted((tmp_path / "shards").glob("train-*.tar"))
    for shard in shards:  # the data of the first image, which begins after its header
        content = bytearray(shard.read_bytes())
        content[512:560] = bytes(48)
        shard.write_bytes(content)
    words = [
        *overrides,
        "data.on_bad_sample=skip",
        f"run.root={tmp_path}",
        "run.id=two",
        "trainer.max_epochs=1",
    ]
    ranks = ["trainer.devices=2", "trainer.accelerator=cpu", "data.batch_size=4"]
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", "train", *words, *ranks],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "left out while reading train: 4 not an image" in done.stdout


def test_a_run_is_evaluated_on_its_shards_again(tmp_path, run_command, overrides):
    run_command("train", *overrides, f"run.root={tmp_path}", "run.id=again", "trainer.max_epochs=1")
    summary = json.loads((tmp_path / "again" / "summary.json").read_text())
    value = run_command("eval", "run=again", f"root={tmp_path}", f"output={tmp_path / 'eval'}")
    assert value == summary["test/text_to_image/recall@1"]["value"]
