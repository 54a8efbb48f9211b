"""A rank that dies or waits ends the others, in words; a hang leaves stacks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("trainer.max_epochs=2", "data.scenes_train=96", "trainer.accelerator=cpu"),
)
RANKS = (*WORDS, "trainer.devices=2")


def error_of(folder):
    found = json.loads((folder / "runs" / "r" / "status.json").read_text())
    assert found["status"] == "failed"
    return found["error"]


def test_a_killed_rank_is_named(launch, tmp_path):
    done = launch(tmp_path, RANKS, "rank_fault", fault="killed", ranks=2, grace=60)
    assert done.codes == [2, -9], done.stderr
    assert not done.late
    assert "error: rank 1 (process" in done.stderr
    assert "has ended, and rank 0, in step" in done.stderr
    assert "resume=r" in done.stderr
    assert "Traceback" not in done.stderr
    assert "has ended" in error_of(tmp_path)
    [stack] = (tmp_path / "runs" / "r" / "stacks").glob("rank=0-lost-*.txt")
    assert "by peer" in stack.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["killed", "raises"])
def test_rank_1_ends_without_rank_0(launch, tmp_path, fault):
    done = launch(tmp_path, RANKS, "rank_fault", fault=fault, on_rank=0, ranks=2, grace=60)
    assert done.codes == [-9 if fault == "killed" else 1, 2]
    assert "error: rank 0 (process" in (tmp_path / "stderr.1").read_text()
    assert not done.left


def test_a_timeout_is_said_in_words_and_leaves_stacks(launch, tmp_path):
    words = (*RANKS, "strategy.timeout_minutes=0.1", "callbacks.watchdog.floor_s=1", "data.num_workers=1")
    done = launch(tmp_path, words, "rank_fault", fault="sleep", ranks=2, grace=0.5)
    assert done.codes[0] == 2, done.stderr
    assert "error: rank 0, in step" in done.stderr
    assert "s for rank 1 (process" in done.stderr
    assert "Traceback" not in done.stderr
    assert "watchdog     rank 0: no progress for" in done.stderr
    assert "which live" in error_of(tmp_path)
    folder = tmp_path / "runs" / "r" / "stacks"
    sick = [path.read_text() for path in sorted(folder.glob("rank=1-*.txt"))]
    assert "rank_fault.py" in sick[0]  # where the other rank sleeps
    assert "loader process" in sick[0]


def test_a_slow_step_is_noted_and_goes_on(launch, tmp_path):
    words = (*WORDS, "callbacks.watchdog.floor_s=1")
    done = launch(tmp_path, words, "rank_fault", fault="slow", on_rank=0)
    assert done.code == 0, done.stderr
    assert "watchdog     rank 0: no progress for" in done.stderr
    assert "watchdog     rank 0 goes on" in done.stderr


@pytest.mark.slow
def test_a_hang_can_end_the_run(launch, tmp_path):
    words = (*WORDS, "callbacks.watchdog.floor_s=1", "callbacks.watchdog.abort_after_minutes=0.05")
    done = launch(tmp_path, words, "rank_fault", fault="sleep", on_rank=0, grace=60)
    assert done.code == 1, done.stderr
    assert "rank 0 hangs: no progress for" in error_of(tmp_path)


PROGRAM = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("fault", {patch!r})
fault = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fault)
fault.apply(int(os.environ.get("LOCAL_RANK", 0)), **{arguments!r})
from mmdl.__main__ import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("on_rank", [0, 1])
def test_ranks_that_lightning_launches_end_together(tmp_path, data_home, on_rank):
    """Rank 0 starts rank 1 itself; neither outlives the other."""
    patch = str(Path(__file__).with_name("patches") / "rank_fault.py")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(patch=patch, arguments={"fault": "killed", "on_rank": on_rank}))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(program), *RANKS],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,  # waits for the end of all that write there
        text=True,
        check=False,
        timeout=240,
    )
    assert time.monotonic() - began < 200
    assert done.returncode == (-signal.SIGKILL if on_rank == 0 else 2), done.stderr
    if on_rank == 1:
        assert "error: rank 1 (process" in done.stderr
        assert "has ended" in error_of(tmp_path)
