"""Signals are noted, once; children started within `children_deaf` don't get them."""

import os
import signal
import subprocess
import sys

import pytest

from mmdl.errors import Preempted
from mmdl.runs.stop_signals import STOP_SIGNALS, children_deaf, stop_signals


def test_before_the_ranks_have_met_it_stops_at_once_and_only_once():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with stop_signals.caught():
        with pytest.raises(Preempted) as stopped:
            os.kill(os.getpid(), signal.SIGUSR2)
        assert (stopped.value.cause, stopped.value.step) == (signal.SIGUSR2, None)
        stop_signals.hold()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_signals.received == signal.SIGUSR2, "the first counts"
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_afterwards_it_is_noted_only():
    with stop_signals.caught():
        stop_signals.hold()
        assert stop_signals.received is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_signals.received == signal.SIGTERM
    with stop_signals.caught():
        assert stop_signals.received is None


def test_ctrl_c_is_noted_once_and_then_stops_at_once():
    with stop_signals.caught():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        stop_signals.hold()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop_signals.received == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        stop_signals.leaving = True
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_ctrl_c_that_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_signals.caught():
            os.kill(os.getpid(), signal.SIGINT)
            assert stop_signals.received is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_rank_than_the_first_waits_for_it(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with stop_signals.caught():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop_signals.received == signal.SIGTERM


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_deaf_child_lives_on(number):
    words = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(0.5); print('done')"]
    with children_deaf():
        child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "up\n"
    child.send_signal(number)
    assert child.communicate(timeout=20)[0] == "done\n"
    assert child.returncode == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_deaf_children_are_ended_before_python_waits_for_them():
    """Whatever is imported first: handlers of exit run in the reverse order of their registration."""
    program = (
        "import mmdl.runs.stop_signals as s, multiprocessing, time\n"
        "with s.children_deaf():\n"
        "    multiprocessing.Process(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
