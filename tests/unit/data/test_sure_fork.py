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
    """`stuck(2)`: the next two forks of this process never return in the child."""
    monkeypatch.setattr(sure_fork, "PATIENCE_S", 0.5)
    fork = os.fork

    def told(count):
        for number in range(count):
            (tmp_path / str(number)).touch()

    def forked():
        left = sorted(tmp_path.iterdir())
        if left:
            left[0].unlink()
        pid = fork()
        while pid == 0 and left:
            time.sleep(60)
        return pid

    monkeypatch.setattr("multiprocessing.popen_fork.os.fork", forked)
    return told


@pytest.mark.parametrize("count", [1, 2])
def test_a_stuck_process_is_replaced(stuck, caplog, count):
    undisturbed = batches()
    before = set(multiprocessing.active_children())
    stuck(count)
    with caplog.at_level(logging.WARNING, "mmdl"):
        assert batches() == undisturbed
    assert [record.message.split(",")[0] for record in caplog.records] == [
        "a loader process was stuck in its fork"
    ] * count
    assert set(multiprocessing.active_children()) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # nothing left, not even unread exit codes


def test_where_none_starts_the_run_ends(stuck):
    stuck(sure_fork.TRIES)
    with pytest.raises(UserError, match=r"no batch for \d+ s, between two batches"):
        batches(workers=1)


def descriptors():
    gc.collect()
    return sum(place.exists() for place in Path("/proc/self/fd").iterdir())


def test_no_descriptor_is_left_open(stuck):
    batches()
    before = descriptors()
    stuck(1)
    batches()
    assert descriptors() == before


def test_other_ways_to_start_are_left_alone(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda allow_none: "spawn")
    assert sure_fork.sure_fork() is None
