"""A loader process that is stuck in its fork is replaced, and the batches are those of an undisturbed one."""

import gc
import logging
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from mmdl.data import sure_fork
from mmdl.data.batch_loader import BatchLoader
from mmdl.errors import UserError


class Draws(Dataset):
    def __getitem__(self, rows):
        return torch.from_numpy(rows), torch.rand(2)


def batches(workers=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    items = [np.arange(start, start + 2) for start in range(0, 12, 2)]
    loader = BatchLoader(Draws(), items, num_workers=workers, generator=generator, worker_timeout_s=2.0)
    return [(rows.tolist(), drawn.tolist()) for rows, drawn in loader]


@pytest.fixture
def stuck(tmp_path, monkeypatch):
    """`stuck(2)`: the next two forks of this process never return in the child. Gives the children of all forks."""
    monkeypatch.setattr(sure_fork, "PATIENCE_S", 1.5)
    fork = os.fork
    children = []

    def told(count):
        for number in range(count):
            (tmp_path / str(number)).touch()
        return children

    def forked():
        left = sorted(tmp_path.iterdir())
        if left:
            left[0].unlink()
        pid = fork()
        while pid == 0 and left:
            time.sleep(60)
        children.append(pid)
        return pid

    monkeypatch.setattr("multiprocessing.popen_fork.os.fork", forked)
    return told


@pytest.mark.parametrize("count", [1, 2])
def test_a_stuck_process_is_replaced(stuck, caplog, count):
    undisturbed = batches()
    children = stuck(count)
    with caplog.at_level(logging.WARNING, "mmdl"):
        assert batches() == undisturbed
    replaced = [record for record in caplog.records if "was stuck in its fork" in record.message]
    assert len(replaced) >= count  # and what a busy machine was too slow for
    gc.collect()
    assert len(children) == 2 * 2 + len(replaced)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]  # not even an unread exit code


def test_where_none_starts_the_run_ends(stuck):
    stuck(sure_fork.TRIES)
    with pytest.raises(UserError, match=r"no batch for \d+ s, between two batches"):
        batches(workers=1)


def test_no_pipe_is_left_open(stuck, monkeypatch):
    made = []
    pipe = os.pipe

    def noted():
        ends = pipe()
        made.append(f"pipe:[{os.fstat(ends[0]).st_ino}]")
        return ends

    monkeypatch.setattr("multiprocessing.popen_fork.os.pipe", noted)
    stuck(1)
    batches()
    gc.collect()
    left = {place.resolve().name for place in Path("/proc/self/fd").iterdir()}
    assert len(made) >= 9  # three a fork
    assert not left & set(made)


def test_other_ways_to_start_are_left_alone(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none: "spawn")
    assert sure_fork.sure_fork() is None
