"""Has W&B's service end at a step, as TERM to all processes of a job does."""

import os
import signal
from pathlib import Path


def _services():
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        if name.endswith("(wandb-core") and int(rest.split()[1]) == os.getpid():
            yield int(stat.parent.name)


def apply(rank, step=5):
    """Send TERM to the service when the step begins."""
    from mmdl.callbacks.train_log import TrainLog

    plain = TrainLog.on_train_batch_start

    def patched(self, trainer, *arguments):
        if trainer.global_step == step:
            for pid in _services():
                os.kill(pid, signal.SIGTERM)
        return plain(self, trainer, *arguments)

    TrainLog.on_train_batch_start = patched
