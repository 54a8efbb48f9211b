"""Has a run killed by SIGKILL at a named point, at its n-th file operation, or after so much of computing."""

import atexit
import ctypes
import functools
import os
import signal
import sys
import time
from pathlib import Path

CLOCK_PROCESS_CPUTIME_ID = 2


def kill(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # does not return


class Killer:
    """Kills at the passing of its point that counts."""

    def __init__(self, skip):
        self.left = skip

    def pass_by(self, *arguments):
        self.left -= 1
        if self.left < 0:
            kill()


def before(owner, name, act):
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def patched(*arguments, **named):
        act(*arguments, *named.values())
        return plain(*arguments, **named)

    setattr(owner, name, patched)


def after(owner, name, act):
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def patched(*arguments, **named):
        done = plain(*arguments, **named)
        act(*arguments, *named.values())
        return done

    setattr(owner, name, patched)


class _Torn:
    """A file that takes so many bytes, and no more."""

    def __init__(self, handle, size):
        self.handle = handle
        self.left = size

    def write(self, content):
        self.handle.write(memoryview(content)[: self.left])
        self.left -= len(content)
        if self.left <= 0:
            self.handle.flush()
            kill()
        return len(content)

    def __getattr__(self, name):
        return getattr(self.handle, name)


def _half_a_checkpoint(killer, kind):
    """Half the bytes get to the disk."""
    from mmdl.runs import checkpoint_io

    plain = checkpoint_io.atomic_write

    def patched(path, write, need=0):
        if _is(kind)(path):
            killer.left -= 1
        torn = killer.left < 0
        return plain(path, (lambda handle: write(_Torn(handle, need // 2))) if torn else write, need)

    checkpoint_io.atomic_write = patched


def _half_a_file(killer, *names):
    """The temporary file has half its bytes; it would be renamed next."""

    def halve(temporary, path):
        if Path(path).name in names:
            if killer.left == 0:
                os.truncate(temporary, Path(temporary).stat().st_size // 2)
            killer.pass_by()

    before(os, "replace", halve)


def _half_a_line(killer):
    from mmdl.runs.jsonl_logger import JsonlLogger

    def half(logger, metrics, step=None):
        with logger.path.open("a", encoding="utf-8") as handle:
            if killer.left == 0:
                handle.write('{"step": 8, "time": 17')
        killer.pass_by()

    before(JsonlLogger, "log_metrics", half)


def _where(owner, name, side, killer, counts):
    """At a call of `owner.name` with arguments that count."""
    side(owner, name, lambda *arguments: counts(*arguments) and killer.pass_by())


def _is(kind):
    """A path of a checkpoint's own file."""
    return lambda *paths: Path(paths[-1]).name.startswith(f"{kind}-") and Path(paths[-1]).suffix == ".ckpt"


def _points(killer):
    import lightning.pytorch as pl
    from lightning.pytorch.strategies import Strategy

    from mmdl.callbacks.checkpoints import Checkpoints
    from mmdl.commands import train
    from mmdl.runs.checkpoint_io import AtomicCheckpointIO
    from mmdl.runs.folder import RunFolder
    from mmdl.runs.jsonl_logger import JsonlLogger
    from mmdl.tasks.base import Task

    at = killer.pass_by

    def in_fit(task, *arguments):
        return task.trainer.state.fn == "fit"

    def continued(saver, trainer, *arguments):
        return trainer.ckpt_path is not None

    def figures(logger, metrics, step=None):
        return any(name.startswith("val/") for name in metrics)

    return {
        "start": lambda: before(train, "build_data", at),
        "config": lambda: after(RunFolder, "write_config", at),
        "backward": lambda: after(Strategy, "backward", at),
        "stepped": lambda: after(Strategy, "optimizer_step", at),
        "last: before": lambda: before(Checkpoints, "save_last", at),
        "last: half": lambda: _half_a_checkpoint(killer, "last"),
        "last: written": lambda: _where(os, "replace", before, killer, _is("last")),
        "last: renamed": lambda: _where(os, "replace", after, killer, _is("last")),
        "pruning": lambda: _where(os, "unlink", after, killer, _is("last")),
        "best: half": lambda: _half_a_checkpoint(killer, "best"),
        "best: renamed": lambda: _where(os, "replace", after, killer, _is("best")),
        "validation": lambda: _where(Task, "validation_step", before, killer, in_fit),
        "figures": lambda: _where(JsonlLogger, "log_metrics", before, killer, figures),
        "figures logged": lambda: _where(JsonlLogger, "log_metrics", after, killer, figures),
        "line": lambda: _half_a_line(killer),
        "resume: read": lambda: before(AtomicCheckpointIO, "load_checkpoint", at),
        "resume: loaded": lambda: _where(Checkpoints, "on_train_start", before, killer, continued),
        "weights": lambda: _half_a_file(killer, "final.safetensors", "best.safetensors"),
        "test": lambda: before(Task, "test_step", at),
        "predictions": lambda: _half_a_file(killer, "test.jsonl"),
        "summary": lambda: _half_a_file(killer, "summary.json"),
        "finished": lambda: after(RunFolder, "write_summary", at),
        "fit ended": lambda: after(pl.Trainer, "fit", at),
    }


def at_file_operation(number, folder):
    """Before the `number`-th opening, renaming, removing or making of a file in a folder; a whole run counts them."""
    killer, names = Killer(number), ("open", "os.rename", "os.remove", "os.mkdir")

    def hear(event, arguments):
        if event in names and str(Path(str(arguments[0])).absolute()).startswith(folder):
            killer.pass_by()

    def count():
        Path(folder).with_name("operations").write_text(str(number - killer.left))

    sys.addaudithook(hear)
    atexit.register(count)


class _Event(ctypes.Structure):
    """`struct sigevent`: has a timer of the kernel send a signal."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("number", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    )


class _Time(ctypes.Structure):
    """`struct itimerspec` without an interval."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "seconds", "nanoseconds"))


def after_computing(seconds):
    """Wherever the process is when it has computed for so long, in C too: the load of the machine does not matter."""
    library, timer = ctypes.CDLL(None, use_errno=True), ctypes.c_void_p()
    event = _Event(number=signal.SIGKILL)
    spec = _Time(seconds=int(seconds), nanoseconds=int(seconds % 1 * 1e9) + 1)
    failed = library.timer_create(CLOCK_PROCESS_CPUTIME_ID, ctypes.byref(event), ctypes.byref(timer))
    assert not failed, os.strerror(ctypes.get_errno())
    assert not library.timer_settime(timer, 0, ctypes.byref(spec), None), os.strerror(ctypes.get_errno())


def apply(rank, point=None, skip=0, on_rank=0, operation=None, seconds=None):
    """Kill one rank by SIGKILL.

    Args:
        rank: Of this process.
        point: Name of the point (of `_points`).
        skip: So many passings of the point before.
        on_rank: Which rank.
        operation: In place of a point: number of the operation on files of the run folder.
        seconds: In place of a point: of this process's computing.
    """
    if rank != on_rank:
        return
    if operation is not None:
        at_file_operation(operation, str(Path("runs").absolute()))
    elif seconds is not None:
        after_computing(seconds)
    else:
        _points(Killer(skip))[point]()
