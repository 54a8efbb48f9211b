"""`launch` runs `mmdl` in forked processes, with faults; `results` reads what must not depend on the faults."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file

PROGRAM = Path(__file__).with_name("server.py")


class Launcher:
    """Sends cases to one server, which lives as long as the tests of this process."""

    def __init__(self):
        self.server = None

    def __call__(
        self, folder, words, patch=None, ranks=1, grace=30.0, timeout=240.0, environment=None, **arguments
    ):
        """Run `mmdl WORDS` in a folder, with `patches/PATCH.py` applied to each rank; `arguments` go to it.

        Gives `codes` of the ranks, `code` of the first, `stdout` and `stderr` of the first, `left` and `late`.
        """
        if self.server is None or self.server.poll() is not None:
            self.server = subprocess.Popen(
                [sys.executable, str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        folder.mkdir(exist_ok=True, parents=True)
        case = {
            "folder": str(folder),
            "words": [str(word) for word in words],
            "ranks": ranks,
            "patch": [patch, arguments] if patch else None,
            "grace": grace,
            "timeout": timeout,
            "environment": environment or {},
        }
        self.server.stdin.write(json.dumps(case) + "\n")
        self.server.stdin.flush()
        answer = json.loads(self.server.stdout.readline())
        streams = {name: (folder / name).read_text(errors="replace") for name in ("stdout", "stderr")}
        return SimpleNamespace(**answer, code=answer["codes"][0], **streams)

    def close(self):
        if self.server is not None:
            self.server.stdin.close()
            self.server.wait(timeout=60)
            self.server.stdout.close()


@pytest.fixture(scope="session")
def launch(data_home):
    launcher = Launcher()
    yield launcher
    launcher.close()


def read_results(run):
    """Weights, figures of each validation, and summary of a run folder: all that must not depend on a fault."""
    weights = {
        f"{kind}/{name}": value
        for kind in ("final", "best")
        for name, value in load_file(run / "checkpoints" / f"{kind}.safetensors").items()
    }
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    figures = [
        {k: v for k, v in row.items() if k != "time"}
        for row in rows
        if any(k.startswith("val/") for k in row)
    ]
    summary = json.loads((run / "summary.json").read_text())
    return weights, figures, {name: value for name, value in summary.items() if not name.startswith("time/")}


@pytest.fixture(scope="session")
def results():
    return read_results
