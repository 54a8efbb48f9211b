"""The process of one trial: started in a clean environment, found again by whoever comes after a killed sweep."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mmdl.runs.folder import RunFolder
from mmdl.runs.redact import redact_argument

PROGRAM = (sys.executable, "-m", "mmdl")
"""What trains a trial."""

LOCKS = "locks"
LOGS = "logs"

_LAUNCHERS = ("SLURM_", "TORCHELASTIC_", "PMI_", "PMIX_", "OMPI_", "HYDRA_")
_RANKS = (
    *("MMDL_RUN_ID", "MMDL_REFUSED", "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK"),
    *("NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "ROLE_RANK", "ROLE_NAME", "ROLE_WORLD_SIZE"),
    *("GROUP_WORLD_SIZE", "WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_RESUME", "WANDB_SERVICE"),
    *("WANDB_DATA_DIR", "WANDB_CACHE_DIR"),
)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what makes a process a rank, or a part of another run.

    >>> clean_environment({"RANK": "1", "SLURM_JOB_ID": "7", "HOME": "/root"})
    {'HOME': '/root'}
    """
    return {
        name: value
        for name, value in environment.items()
        if name not in _RANKS and not name.startswith(_LAUNCHERS)
    }


class TrialProcess:
    """A trial that runs, started by this process or by a sweep that was killed.

    A lock on a file is handed to the process and held until it ends, however it ends: it can't be mistaken for
    another process that has got its number, and a trial is never started twice.

    Args:
        folder: Of the sweep.
        run: Of the trial.
    """

    def __init__(self, folder: Path, run: RunFolder) -> None:
        self.folder = folder
        self.run = run
        self.log = folder / LOGS / f"{run.id}.log"
        self.refused_file = folder / LOCKS / f"{run.id}.refused"
        self._lock = folder / LOCKS / f"{run.id}.lock"
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self.began = time.monotonic()

    def start(self, words: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Start it.

        Args:
            words: Of `mmdl`.
            environment: Of the process.

        Returns:
            False where a process of an earlier start still runs it: then this one follows that.
        """
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self.refused_file.unlink(missing_ok=True)
            with self.log.open("ab") as log:
                shown = " ".join(redact_argument(word) for word in words)
                log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} mmdl {shown}\n".encode())
                log.flush()
                # In a session of its own: Ctrl-C reaches the sweep only, which passes it on once.
                self._process = subprocess.Popen(
                    [*PROGRAM, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**environment, "MMDL_REFUSED": str(self.refused_file)},
                    pass_fds=(handle,),
                    start_new_session=True,
                )
            self._pid = self._process.pid
            return True
        finally:
            os.close(handle)

    @property
    def pid(self) -> int | None:
        """Its process id, as far as it is known: an earlier start's is in the run's status."""
        if self._pid is None:
            with suppress(OSError, ValueError):
                found = self.run.read_status().get("pid")
                self._pid = found if isinstance(found, int) and found > 0 else None
        return self._pid

    def ended(self) -> bool:
        """Whether it has ended."""
        if self._process is not None:
            return self._process.poll() is not None
        return not is_held(self._lock)

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None of a process that an earlier start began."""
        return None if self._process is None else self._process.returncode

    @property
    def refused(self) -> bool:
        """Whether it has refused its configuration or data, as it would again."""
        return self.refused_file.exists()

    def signal(self, number: signal.Signals) -> None:
        """Pass a signal on."""
        if not self.ended() and self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        if not self.ended() and self.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def last_line(self) -> str:
        """What it said last, for a person who looks for the reason."""
        with suppress(OSError):
            text = self.log.read_bytes()[-4000:].decode(errors="replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            said = [line for line in lines if line.startswith("error:")]
            return (said or lines or [""])[-1][:300]
        return ""


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock.

    Args:
        lock: The file; one that is not there is held by none.
    """
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
