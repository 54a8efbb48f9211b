"""A line an epoch, which a log file can hold."""

import re
from types import SimpleNamespace

import pytest
import torch

from mmdl.callbacks import progress
from mmdl.callbacks.checkpoints import Checkpoints
from mmdl.callbacks.progress import Progress
from mmdl.callbacks.train_log import TrainLog


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def trainer(tmp_path):
    """A training of 3 epochs of 4 batches, as far as the callback looks at it."""
    saver = Checkpoints(str(tmp_path), monitor="val/accuracy", mode="max")
    batches = SimpleNamespace(total=SimpleNamespace(completed=0, ready=0))
    return SimpleNamespace(
        max_epochs=3,
        max_steps=-1,
        num_training_batches=4,
        accumulate_grad_batches=1,
        current_epoch=0,
        global_step=0,
        sanity_checking=False,
        state=SimpleNamespace(fn="fit"),
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=batches)),
        callbacks=[saver, TrainLog()],
        callback_metrics={},
    )


def epoch(callback, trainer, clock, seconds, accuracy=None):
    batches = trainer.fit_loop.epoch_loop.batch_progress.total
    for _ in range(4):
        trainer.global_step += 1
        batches.ready += 1
        clock.now += seconds / 4
        callback.on_train_batch_end(trainer, None, None, None, 0)
    if accuracy is not None:
        trainer.callback_metrics = {
            "val/loss": torch.tensor(0.25),
            "val/accuracy": torch.tensor(accuracy),
            "val/recall/class/cat": torch.tensor(1.0),
        }
        callback.on_validation_end(trainer, SimpleNamespace(evaluators={}))
        saver = trainer.callbacks[0]
        if not accuracy <= saver.best_score:
            saver.best_score = accuracy
    callback.on_train_epoch_end(trainer, None)
    trainer.current_epoch += 1


def test_a_line_an_epoch_with_figures_throughput_and_estimate(trainer, clock, capsys):
    callback = Progress("val/accuracy")
    callback.on_train_start(trainer, None)
    epoch(callback, trainer, clock, 50, accuracy=0.5)
    trainer.callbacks[1].latest = {"train/samples_per_s": 1234.5}
    epoch(callback, trainer, clock, 50, accuracy=0.4375)
    epoch(callback, trainer, clock, 50, accuracy=0.75)
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "epoch 1/3  step 4  val/accuracy 0.5000 (best)  val/loss 0.2500  50 s, about 1 min 40 s left",
        "epoch 2/3  step 8  val/accuracy 0.4375 (best 0.5000)  val/loss 0.2500  1,234 samples/s  "
        "1 min 40 s, about 50 s left",
        "epoch 3/3  step 12  val/accuracy 0.7500 (best)  val/loss 0.2500  1,234 samples/s  "
        "2 min 30 s, about 0 s left",
    ]
    assert not re.search(r"[\r\x1b]", said)


def test_an_epoch_without_validation_has_its_line_too(trainer, clock, capsys):
    callback = Progress("val/accuracy")
    callback.on_train_start(trainer, None)
    epoch(callback, trainer, clock, 10)
    epoch(callback, trainer, clock, 10, accuracy=0.5)
    assert [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "epoch 1/3",
        "epoch 2/3",
    ]


def test_a_long_epoch_shows_signs_of_life_in_a_log_file(trainer, clock, capsys):
    callback = Progress("val/accuracy")
    callback.on_train_start(trainer, None)
    epoch(callback, trainer, clock, 4 * 301, accuracy=0.5)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[1] for line in lines] == ["step 1", "step 2", "step 3", "step 4", "step 4"]
    assert lines[0].endswith("5 min 01 s, about 55 min 11 s left")


def test_a_training_that_goes_on_estimates_from_its_own_steps(trainer, clock, capsys):
    callback = Progress("val/accuracy")
    total = trainer.fit_loop.epoch_loop.batch_progress.total
    total.completed = total.ready = 4
    trainer.current_epoch, trainer.callbacks[0].best_score = 1, 0.9
    callback.on_train_start(trainer, None)
    epoch(callback, trainer, clock, 30, accuracy=0.5)
    [line] = capsys.readouterr().err.splitlines()
    assert "val/accuracy 0.5000 (best 0.9000)" in line
    assert line.endswith("30 s, about 30 s left")


def test_a_score_that_is_no_number(trainer, clock, capsys):
    callback = Progress("val/accuracy")
    trainer.callbacks[0].best_score = 0.5
    callback.on_train_start(trainer, None)
    epoch(callback, trainer, clock, 30, accuracy=float("nan"))
    assert "val/accuracy nan (best 0.5000)" in capsys.readouterr().err
