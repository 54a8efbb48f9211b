"""How a mistake of the user's ends the ranks of a job."""

import os
import signal
import subprocess
import sys

import pytest

import mmdl.__main__ as program
from mmdl.errors import RunError


@pytest.fixture
def slept(monkeypatch):
    found = []
    monkeypatch.setattr("time.sleep", found.append)
    monkeypatch.setattr("sys.argv", ["mmdl", "trian"])
    for name in ("RANK", "SLURM_PROCID", "MMDL_REFUSED"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID"])
@pytest.mark.parametrize(("rank", "seconds"), [("0", []), ("3", [program.OTHER_RANKS_S])])
def test_the_first_rank_speaks(slept, monkeypatch, capsys, variable, rank, seconds):
    """The launcher ends the others before they say the same; a mistake that only they have is said in the end."""
    monkeypatch.setenv(variable, rank)
    assert program.main() == 2
    assert slept == seconds
    assert "unknown verb" in capsys.readouterr().err


def test_a_batch_script_finds_a_file(slept, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MMDL_REFUSED", str(tmp_path / "refused"))
    assert program.main() == 2
    assert (tmp_path / "refused").exists()
    monkeypatch.setenv("MMDL_REFUSED", str(tmp_path / "no" / "folder"))
    assert program.main() == 2


def test_what_is_no_mistake_may_be_started_again(slept, monkeypatch, tmp_path, capsys):
    def dispatch(words):
        raise RunError("a rank has died")

    monkeypatch.setattr(program, "dispatch", dispatch)
    monkeypatch.setenv("MMDL_REFUSED", str(tmp_path / "refused"))
    assert program.main() == 2
    assert not (tmp_path / "refused").exists()


EARLY = """
import os, signal, sys
sys.argv = ["mmdl", *sys.argv[1:]]
from mmdl.__main__ import main
import mmdl.__main__

def dispatch(words):
    os.kill(os.getpid(), signal.SIGUSR1)  # while everything is imported
    print("alive", flush=True)
    from mmdl.errors import Preempted
    from mmdl.runs.stop_signals import stop_signals

    with stop_signals.caught():
        try:
            stop_signals.listen()
        except Preempted as stop:
            print("stopped by", stop.cause.name)
    return 0

mmdl.__main__.dispatch = dispatch
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("words", "environment", "code", "said"),
    [
        (["train", "+experiment=vqa"], {"SLURM_STEP_ID": "0"}, 0, "alive\nstopped by SIGUSR1\n"),
        (["train", "+experiment=vqa"], {"TORCHELASTIC_RUN_ID": "x"}, 0, "alive\nstopped by SIGUSR1\n"),
        (["train", "+experiment=vqa"], {}, -signal.SIGUSR1, ""),
        (["train", "seed=0,1", "-m"], {"SLURM_STEP_ID": "0"}, -signal.SIGUSR1, ""),
    ],
)
def test_a_signal_that_comes_before_the_handlers(words, environment, code, said):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "TORCHEL"))}
    done = subprocess.run(
        [sys.executable, "-c", EARLY, *words],
        env=env | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, said), done.stderr
