"""Breaks the disk under a run at a named moment: full, read-only, or a file system that refuses or loses writes."""

import ctypes
import errno
import functools
import os
import shutil
import subprocess
from pathlib import Path

CAP_DAC_OVERRIDE = 1
PAGE = 4096


def before(owner, name, act):
    plain = getattr(owner, name)

    @functools.wraps(plain)
    def patched(*arguments, **named):
        act(*arguments, *named.values())
        return plain(*arguments, **named)

    setattr(owner, name, patched)


def fill(disk):
    """Take all that is free on a mounted disk."""
    with (Path(disk) / "filler").open("ab") as handle:
        facts = os.statvfs(disk)
        if facts.f_bfree:
            os.posix_fallocate(handle.fileno(), handle.tell(), facts.f_bfree * facts.f_frsize)


def fill_under_a_line(disk, run):
    """As `fill`; the next line of the metrics begins a new page, which there is none for."""
    with (run / "metrics.jsonl").open("ab") as handle:
        handle.write(b"\n" * (-handle.tell() % PAGE))
    fill(disk)


def read_only(disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


def forbid(folder):
    """Root is not above permissions without this capability."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    sets[0] &= ~(1 << CAP_DAC_OVERRIDE)
    assert libc.capset(header, sets) == 0
    folder.chmod(0o555)


def fail_to_sync():
    """What a broken device says comes with the fsync."""

    def failing(handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    os.fsync = failing


class OverQuota:
    """A file that takes no more than so many bytes."""

    def __init__(self, handle, left):
        self.handle, self.name, self.left = handle, handle.name, left

    def write(self, content):
        self.left -= len(content)
        if self.left < 0:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return self.handle.write(content)

    def flush(self):
        self.handle.flush()


def in_writing(act):
    """Act in the middle of writing a checkpoint, after the look at what is free; `act` may give another file."""
    from mmdl.runs import checkpoint_io

    plain = checkpoint_io._save
    checkpoint_io._save = lambda checkpoint, handle: plain(checkpoint, act(handle) or handle)


def close_after_each_line():
    """An open file keeps a disk from becoming read-only."""
    from mmdl.runs.jsonl_logger import JsonlLogger

    plain = JsonlLogger.log_metrics

    def patched(logger, metrics, step=None):
        plain(logger, metrics, step)
        logger.finalize("")

    JsonlLogger.log_metrics = patched


def _moments():
    from mmdl.callbacks import checkpoints
    from mmdl.data.vqa import VQADataModule
    from mmdl.runs.checkpoint_io import AtomicCheckpointIO
    from mmdl.runs.folder import RunFolder
    from mmdl.runs.jsonl_logger import JsonlLogger

    def last(io, checkpoint, path, *rest):
        return Path(path).name.startswith("last-")

    def best(io, checkpoint, path, *rest):
        return Path(path).name.startswith("best-")

    def always(*arguments):
        return True

    return {
        "configuration": (RunFolder, "write_config", always),
        "checkpoint": (AtomicCheckpointIO, "save_checkpoint", last),
        "best": (AtomicCheckpointIO, "save_checkpoint", best),
        "line": (JsonlLogger, "log_metrics", always),
        "weights": (checkpoints, "write_weights", always),
        "predictions": (VQADataModule, "write_predictions", always),
        "summary": (RunFolder, "write_summary", always),
    }


def apply(rank, moment, fault, disk, run, skip=0, half=False, away=""):
    """Break the disk at `moment` (of `_moments`).

    Args:
        rank: Of this process; the first breaks it.
        moment: Name of the moment.
        fault: `full`, `read-only`, `permission`, `device`, `quota` or `moved`.
        disk: Where it is mounted.
        run: Run folder.
        skip: So many passings of the moment before.
        half: In the middle of writing the checkpoint.
        away: Where the run folder is moved to.
    """
    if rank:
        return
    left, run = [skip], Path(run)
    owner, name, counts = _moments()[moment]

    def act():
        if fault == "full" and moment == "line":
            fill_under_a_line(disk, run)
        elif fault == "full" and half:
            in_writing(lambda handle: fill(disk))
        elif fault == "full":
            fill(disk)
        elif fault == "read-only":
            read_only(disk)
        elif fault == "permission":
            forbid(run / "checkpoints")
        elif fault == "device":
            fail_to_sync()
        elif fault == "quota":
            in_writing(lambda handle: OverQuota(handle, 100_000))
        else:
            shutil.move(run, away)

    def at(*arguments):
        if counts(*arguments):
            left[0] -= 1
            if left[0] == -1:
                act()

    if fault == "read-only":
        close_after_each_line()
    before(owner, name, at)
