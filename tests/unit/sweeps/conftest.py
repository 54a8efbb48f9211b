"""Sweeps whose trials are pretended: what is tested is which of them are trained, when, and what is written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

PRETENDED = Path(__file__).with_name("pretended.py")
DRIVER = """
import sys
from mmdl.sweeps import process, runner
process.PROGRAM = (sys.executable, "-S", {pretended!r})
runner.POLL_S, runner.PRUNE_S = 0.01, 0.02
from mmdl.__main__ import main
sys.argv = ["mmdl", "sweep", *sys.argv[1:]]
sys.exit(main())
"""
BASE = ("+experiment=mnist", "data=digits", "logger=none", "sweep.name=lr")


class Sweeps:
    """Runs `mmdl sweep` in a folder of its own."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.root = folder / "runs"
        self._monkeypatch = monkeypatch

    def plan(self, **runs):
        (self.folder / "plan.json").write_text(json.dumps({f"lr-{k[1:]}": v for k, v in runs.items()}))

    def here(self, *words, base=BASE):
        """In this process; gives the exit code and what was printed is left to capsys."""
        from mmdl.__main__ import main

        self._monkeypatch.setattr(sys, "argv", ["mmdl", "sweep", *base, *words])
        return main()

    def begin(self, *words, base=BASE, environment=None):
        """In a process of its own."""
        code = DRIVER.format(pretended=str(PRETENDED))
        return subprocess.Popen(
            [sys.executable, "-c", code, *base, *words],
            cwd=self.folder,
            env=os.environ | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def file(self):
        return json.loads((self.root / "sweeps" / "lr" / "sweep.json").read_text())

    @property
    def trials(self):
        return [SimpleNamespace(**trial) for trial in self.file["trials"]]

    @property
    def starts(self):
        path = self.folder / "starts.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def started(self):
        return [start["run"] for start in self.starts]

    def outcome(self):
        """What must not depend on interruptions."""
        return [(t.run, t.overrides, t.state, t.value) for t in self.trials]


@pytest.fixture
def sweeps(tmp_path, monkeypatch):
    from mmdl.sweeps import process, runner

    monkeypatch.setattr(process, "PROGRAM", (sys.executable, "-S", str(PRETENDED)))
    monkeypatch.setattr(runner, "POLL_S", 0.01)
    monkeypatch.setattr(runner, "PRUNE_S", 0.02)
    monkeypatch.chdir(tmp_path)
    found = Sweeps(tmp_path, monkeypatch)
    yield found
    for status in found.root.glob("*/status.json"):  # whatever a killed sweep has left
        facts = json.loads(status.read_text())
        if facts["status"] == "running":
            try:
                os.kill(facts["pid"], signal.SIGKILL)
            except ProcessLookupError:
                continue


def wait_for(condition, seconds=60.0):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")
