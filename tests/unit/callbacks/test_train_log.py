"""What the rows of a training hold: norms, rates and sums by hand, intervals that end with the epoch, and progress."""

import json
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn

from mmdl.callbacks import train_log
from mmdl.callbacks.train_log import TrainLog
from mmdl.runs.checkpoint_files import newest_valid, read_checkpoint
from mmdl.runs.checkpoint_io import AtomicCheckpointIO
from mmdl.tasks.base import Task

DIGITS = (
    *("+experiment=overfit", "quick=true", "logger=none", "evaluator=[classification]", "run.id=x"),
    *("callbacks=[default]", "data.batch_size=8", "trainer.max_epochs=2", "trainer.log_every_n_steps=1"),
)


def rows_of(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if "train/loss" in row]


@pytest.fixture
def spied(tmp_path, run_command, monkeypatch):
    """Trains, and computes the norm and notes the rates where Lightning is about to clip; both by step."""

    def train(*overrides):
        seen = {}
        plain = Task.configure_gradient_clipping

        def spy(self, optimizer, *args, **kwargs):
            squares = [float((p.grad.double() ** 2).sum()) for p in self.parameters() if p.grad is not None]
            rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
            seen[self.trainer.global_step + 1] = sum(squares) ** 0.5, rates
            plain(self, optimizer, *args, **kwargs)

        monkeypatch.setattr(Task, "configure_gradient_clipping", spy)
        run_command("train", *DIGITS, *overrides, f"run.root={tmp_path}")
        return rows_of(tmp_path / "x"), seen

    return train


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("trainer.gradient_clip_val=0.01",),
        ("trainer.gradient_clip_val=0.001", "+trainer.gradient_clip_algorithm=value"),
        ("trainer.accumulate_grad_batches=3",),
        ("task.freeze=[convolution1]",),
    ],
    ids=lambda o: o[0] if o else "plain",
)
def test_every_row_has_the_norm_of_the_gradient_before_clipping(spied, overrides):
    rows, seen = spied(*overrides)
    assert [row["step"] for row in rows] == list(seen)
    for row in rows:
        norm, rates = seen[row["step"]]
        assert row["train/grad_norm"] == pytest.approx(norm, rel=1e-5)
        assert row["train/grad_norm"] > 0.01
        assert row["train/learning_rate"] == max(rates.values()), "of the step itself"
        assert not any(name.startswith("train/learning_rate/") for name in row), "all rates are equal"


def test_rates_that_differ_have_names(spied):
    rows, seen = spied("task.learning_rate_scale={convolution*: 0.1}")
    low = "train/learning_rate/" + "convolution1+3_more"
    for row in rows:
        names = {name for name in row if name.startswith("train/learning_rate/")}
        assert names == {low, "train/learning_rate/fully_connected1+fully_connected2"}
        assert row[low] == min(seen[row["step"]][1].values())


def test_intervals_end_with_the_epoch_and_the_sums_are_whole(spied, tmp_path):
    """Four batches an epoch: rows after three steps and at the end of the epoch."""
    rows, _ = spied("trainer.log_every_n_steps=3")
    whole, _ = spied("run.id=y")
    whole = rows_of(tmp_path / "y")
    assert [row["step"] for row in rows] == [3, 4, 7, 8]
    losses = [row["train/loss"] for row in whole]
    assert [row["train/loss"] for row in rows] == pytest.approx(
        [sum(losses[:3]) / 3, losses[3], sum(losses[4:7]) / 3, losses[7]]
    )
    samples = [row["train/samples"] for row in rows]
    assert samples == [24, 32, 56, 64]
    (flops,) = {row["train/flops"] / row["train/samples"] for row in rows}
    assert flops > 1000
    summary = json.loads((tmp_path / "x" / "summary.json").read_text())
    assert summary["cost/samples"]["value"] == 64
    assert summary["cost/flops"]["value"] == 64 * flops
    assert summary["cost/samples_per_s"]["value"] == pytest.approx(64 / summary["time/train_s"]["value"])


def test_steps_that_end_the_run_are_logged(spied):
    rows, _ = spied("trainer.max_steps=6", "trainer.log_every_n_steps=50")
    assert [row["step"] for row in rows] == [4, 6]


def test_a_validation_within_an_epoch_is_no_training_time(tmp_path, run_command, monkeypatch):
    """A clock that steps move by one second, and validations by a hundred."""
    clock = SimpleNamespace(now=0.0)
    step, validate = Task.training_step, Task.validation_step

    def moved(plain, seconds):
        def call(self, *args):
            clock.now += seconds
            return plain(self, *args)

        return call

    monkeypatch.setattr(Task, "training_step", moved(step, 1))
    monkeypatch.setattr(Task, "validation_step", moved(validate, 100))
    monkeypatch.setattr(train_log, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    run_command(
        "train",
        *DIGITS,
        "trainer.log_every_n_steps=4",
        "trainer.val_check_interval=2",
        f"run.root={tmp_path}",
    )
    assert clock.now > 400
    assert [row["train/samples_per_s"] for row in rows_of(tmp_path / "x")] == [8.0, 8.0]
    summary = json.loads((tmp_path / "x" / "summary.json").read_text())
    assert summary["time/train_s"]["value"] == 8


def test_the_progress_is_told(tmp_path, run_command, monkeypatch):
    told = []
    plain = train_log.write_progress
    monkeypatch.setattr(
        train_log, "write_progress", lambda path, facts: (told.append(facts), plain(path, facts))
    )
    monkeypatch.setattr(train_log, "TELL_EVERY", 3600.0)
    run_command("train", *DIGITS, f"run.root={tmp_path}")
    assert [facts["step"] for facts in told] == [0, 4, 8, 8], "start, two validations, end"
    found = json.loads((tmp_path / "x" / "progress.json").read_text())
    assert found.pop("time") > 1e9
    assert found.pop("samples_per_s") > 0
    assert found == {"step": 8, "total_steps": 8, "epoch": 2, "max_epochs": 2}


class Trainer:
    """As much of a Trainer as the callback looks at before an optimizer step."""

    gradient_clip_val = None

    def __init__(self, plugin):
        self.precision_plugin = plugin


@pytest.mark.parametrize("fused", [False, True])
def test_the_loss_scale_of_float16_is_taken_off(fused):
    """Lightning has unscaled the gradients of a plain optimizer before the hook; those of a fused one are scaled."""
    layer = nn.Linear(2, 1, bias=False)
    layer.weight.data = torch.tensor([[3.0, 4.0]])
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
    scaler.scale((layer.weight**2).sum() / 2).backward()
    if not fused:
        scaler.unscale_(optimizer)
    log = TrainLog()
    log._done, log._every, log._max_steps, log._batch_progress = (
        0,
        1,
        -1,
        SimpleNamespace(is_last_batch=False),
    )
    log.on_before_optimizer_step(Trainer(MixedPrecision("16-mixed", "cpu", scaler=scaler)), layer, optimizer)
    assert float(log._norm) == pytest.approx(5.0)


@pytest.mark.parametrize("left", [(), ("step", "batches", "ranks", "size")], ids=["nothing", "an interval"])
def test_a_run_that_an_older_version_began_goes_on_without_totals(tmp_path, run_command, launch, left):
    """Its checkpoint knows less of the interval, and of what was accumulated; what was done before is not known."""
    run_command("train", *DIGITS, f"run.root={tmp_path / 'runs'}")
    run = tmp_path / "runs" / "x"
    path = newest_valid(run / "checkpoints")
    checkpoint = read_checkpoint(path)
    log = checkpoint.pop(train_log.LOG_KEY)
    if left:
        checkpoint[train_log.LOG_KEY] = {name: log[name] for name in left}
    [state] = [value for value in checkpoint.values() if isinstance(value, dict) and "place" in value]
    for name in ("steps", "accumulated", "moved"):
        del state[name]
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    (run / "summary.json").unlink()
    done = launch(tmp_path, ("train", "resume=x", "trainer.max_epochs=3", "allow_changes=true"))
    assert done.code == 0, done.stderr
    rows, summary = rows_of(run), json.loads((run / "summary.json").read_text())
    assert rows[-1]["epoch"] == 2
    assert "train/samples" not in rows[-1]
    assert not [name for name in summary if name.startswith("cost/")]
    assert summary["steps"]["value"] == rows[-1]["step"]
