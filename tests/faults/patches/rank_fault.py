"""Has one rank get sick in a training step."""

import os
import signal
import time


def apply(rank, fault, on_rank=1, step=5, times=1):
    """Get sick at a batch of the first epoch.

    Args:
        rank: Of this process.
        fault: `nan`, `sleep` (for ever), `killed`, `raises` or `slow` (4 s).
        on_rank: Which rank does.
        step: The batch, counted by this rank from 0.
        times: In so many batches one after another.
    """
    from mmdl.tasks.vqa import VQATask

    if rank != on_rank:
        return
    plain = VQATask.training_step
    seen = []

    def training_step(self, batch, batch_idx):
        found = plain(self, batch, batch_idx)
        seen.append(batch_idx)
        if not step < len(seen) <= step + times:
            return found
        if fault == "sleep":
            time.sleep(600)
        if fault == "slow":
            time.sleep(4)
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "raises":
            raise KeyError("colour")
        if fault == "nan":
            return {"loss": found["loss"] * float("nan")}
        return found

    VQATask.training_step = training_step
