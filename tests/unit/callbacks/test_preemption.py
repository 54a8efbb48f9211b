"""In this process: where the callback leaves, what it leaves behind, and that the process is as it was."""

import json
import os
import signal

import pytest

from mmdl.callbacks.preemption import MOST_BETWEEN, Agreement
from mmdl.callbacks.train_log import TrainLog
from mmdl.errors import Preempted
from mmdl.runs.checkpoint_io import newest_valid, step_of
from mmdl.runs.stop_signals import STOP_SIGNALS, stop_signals

WORDS = ("+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "trainer.max_epochs=1")


def test_one_rank_asks_nobody():
    agreement = Agreement(1)
    with stop_signals.caught():
        stop_signals.hold()
        assert agreement.signal() is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert agreement.signal() == signal.SIGTERM
    assert MOST_BETWEEN > 1


def test_it_saves_at_the_step_and_gives_the_handlers_back(tmp_path, run_command, monkeypatch):
    plain = TrainLog.on_train_batch_start
    seen = []

    def send(self, trainer, *arguments):
        if trainer.global_step == 2:
            seen.extend(signal.getsignal(number) for number in STOP_SIGNALS)
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, trainer, *arguments)

    monkeypatch.setattr(TrainLog, "on_train_batch_start", send)
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with pytest.raises(Preempted) as stopped:
        run_command("train", *WORDS, f"run.root={tmp_path}", "run.id=r")
    assert seen == [stop_signals._handle] * 3, "Lightning's are not there"
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before
    assert (stopped.value.step, stopped.value.exit_code) == (3, 143)
    assert step_of(newest_valid(tmp_path / "r" / "checkpoints")) == 3
    assert json.loads((tmp_path / "r" / "status.json").read_text())["status"] == "preempted"
