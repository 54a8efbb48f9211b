"""Has a sample do harm to the loader process that reads it."""

import os
import resource
import signal
import time

from torch.utils.data import get_worker_info


def _memory():
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**30, limits[1]))
    try:
        return bytearray(2**36)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _raise():
    raise KeyError("colour")


FAULTS = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(3),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda: time.sleep(600),
    "memory": _memory,
    "raises": _raise,
    "abort": os.abort,
}


def apply(rank, fault, row=7, on_rank=0, split="train", alone=True):
    """Fail at a row of a split.

    Args:
        rank: Of this process.
        fault: A key of `FAULTS`.
        row: Which one.
        on_rank: Whose loader processes.
        split: Its split.
        alone: It fails in a batch of one, too.
    """
    from mmdl.data.vqa import VQADataModule
    from mmdl.data.vqa_dataset import VQADataset

    if rank != on_rank:
        return
    plain, datasets = VQADataset.__getitem__, VQADataModule.dataset
    chosen = []

    def dataset(self, name):
        found = datasets(self, name)
        if name == split:
            chosen.append(id(found))
        return found

    def getitem(self, rows):
        if get_worker_info() is not None and id(self) in chosen and row in rows and (alone or len(rows) > 1):
            FAULTS[fault]()
        return plain(self, rows)

    VQADataModule.dataset, VQADataset.__getitem__ = dataset, getitem
