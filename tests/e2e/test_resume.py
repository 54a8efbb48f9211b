"""A run that was interrupted and continued equals one that was not, to the last bit."""

import json
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


CASES = {
    "in the middle of an epoch": (10, ()),
    "in the first epoch": (3, ()),
    "at the end of an epoch": (7, ()),
    "just after an epoch": (8, ()),
    "with the moving average": (10, ("callbacks=[default,ema]", "callbacks.ema.decay=0.8")),
    "with accumulation": (5, ("trainer.accumulate_grad_batches=2",)),
    "with dropout": (10, ("model.dropout=0.5", "model.fusion.question_to_head=true")),
    "with loader workers": (10, ("data.num_workers=1",)),
    "ungrouped": (10, ("data.group_by_image=false",)),
}


@pytest.mark.parametrize("case", CASES)
def test_resuming_equals_not_having_stopped(case, tmp_path, run_command, monkeypatch, whole):
    step, extra = CASES[case]
    expected = whole(*extra)
    with monkeypatch.context() as patch:
        interrupt_at(patch, step)
        with pytest.raises(Interrupted):
            run_command("train", *QUICK, f"run.root={tmp_path}", "run.id=r", *extra, *EVERY_STEP)
    assert step_of(newest_valid(tmp_path / "r" / "checkpoints")) == step
    run_command("train", "resume=r", f"run.root={tmp_path}")
    one, other = weights(expected, "w"), weights(tmp_path, "r")
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    first, second = (
        json.loads((root / i / "summary.json").read_text())["test/vqa_accuracy"]
        for root, i in ((expected, "w"), (tmp_path, "r"))
    )
    assert first == second


def test_resuming_twice(tmp_path, run_command, monkeypatch, whole):
    for step, command in ((4, (*QUICK, "run.id=r", *EVERY_STEP)), (12, ("resume=latest",))):
        with monkeypatch.context() as patch:
            interrupt_at(patch, step)
            with pytest.raises(Interrupted):
                run_command("train", *command, f"run.root={tmp_path}")
    run_command("train", "resume=latest", f"run.root={tmp_path}")
    one, other = weights(whole(), "w"), weights(tmp_path, "r")
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    steps = [json.loads(x).get("step") for x in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


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
