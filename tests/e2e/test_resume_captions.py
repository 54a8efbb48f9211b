"""A contrastive run that was interrupted inside an epoch and continued equals one that was not, to the last bit."""

import pytest
import torch
from safetensors.torch import load_file

from mmdl.runs.checkpoint_io import newest_valid, step_of

QUICK = ("+experiment=clip", "quick=true", "logger=none", "trainer.max_epochs=3", "data.batch_size=12")
EVERY_STEP = ("callbacks.checkpoints.every_steps=1", "callbacks.checkpoints.keep=1000")


class Interrupted(BaseException):
    """In place of a kill."""


CASES = {
    "one random caption an epoch": ("data.captions_per_image=1",),
    "two of five": ("data.captions_per_image=2",),
    "all, with loader workers and augmentation": (
        "data.captions_per_image=null",
        "data.num_workers=1",
        "augment@data.augment=[flip,crop]",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_resuming_equals_not_having_stopped(case, tmp_path, run_command, monkeypatch):
    from mmdl.callbacks.train_log import TrainLog

    run_command("train", *QUICK, f"run.root={tmp_path}", "run.id=whole", *CASES[case])
    plain = TrainLog.on_train_batch_start

    def stop(self, trainer, *arguments):
        if trainer.global_step == 6:  # four steps an epoch
            raise Interrupted
        return plain(self, trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainLog, "on_train_batch_start", stop)
        with pytest.raises(Interrupted):
            run_command("train", *QUICK, f"run.root={tmp_path}", "run.id=cut", *CASES[case], *EVERY_STEP)
    assert step_of(newest_valid(tmp_path / "cut" / "checkpoints")) == 6
    run_command("train", "resume=cut", f"run.root={tmp_path}")
    one, other = (load_file(tmp_path / run / "checkpoints" / "final.safetensors") for run in ("whole", "cut"))
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
