"""What ends an iteration, and what does not; whole runs are in tests/faults."""

import gc
import os
import signal
import time

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, get_worker_info

from mmdl.data.batch_loader import BatchLoader, find_sample
from mmdl.data.caption_dataset import EpochRows
from mmdl.data.heartbeat import beat
from mmdl.data.worker_board import PLAIN, WorkerTask
from mmdl.errors import UserError

BATCHES = [np.arange(start, start + 4) for start in range(0, 24, 4)]


class Rows(Dataset):
    """Gives the rows back, and does something at one of them."""

    def __init__(self, at=None, act=None):
        self.at = at
        self.act = act

    def __getitem__(self, item):
        rows = item.rows if isinstance(item, EpochRows) else item
        if self.at in rows and get_worker_info() is not None:
            self.act()
        return {"rows": torch.from_numpy(rows)}


def loader(at=None, act=None, items=BATCHES, **options):
    options = {"num_workers": 2, "worker_timeout_s": 1.0} | options
    return BatchLoader(Rows(at, act), items, **options)


def rows(found):
    return [batch["rows"].tolist() for batch in found]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order(workers):
    assert rows(loader(num_workers=workers)) == [batch.tolist() for batch in BATCHES]


def slow():
    for _ in range(10):
        time.sleep(0.2)
        beat()


def test_a_slow_store_that_gets_on_is_no_hang():
    """Each image and each part of a file counts, not the batch alone."""
    assert len(list(loader(9, slow))) == len(BATCHES)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by SIGKILL"),
        (lambda: os._exit(3), "ended with exit code 3"),
        (lambda: time.sleep(60), r"hangs: no sample for 1 s.*it waits in .*test_batch_loader.py"),
    ],
    ids=["killed", "exit", "hang"],
)
def test_death_and_hang_name_the_sample_and_leave_no_process(act, says):
    one = loader(9, act, describe=lambda rows: f"images {rows.tolist()}")
    with pytest.raises(UserError, match=says) as caught:
        list(one)
    assert "at images [9], in a batch of 4: images [8, 9, 10, 11]" in caught.value.given
    assert not any(process.is_alive() for process in one._processes)


def fail():
    raise KeyError("colour")


def refuse():
    raise UserError("no image", valid="an image")


def forget():
    raise MemoryError


def test_an_exception_keeps_its_traceback_and_names_the_sample():
    with pytest.raises(RuntimeError, match=r"at rows 9, in a batch of 4.*KeyError: 'colour'\n\nTraceback"):
        list(loader(9, fail))


def test_a_mistake_of_the_users_comes_through_as_it_is():
    with pytest.raises(UserError) as caught:
        list(loader(9, refuse))
    assert str(caught.value) == "no image\n  valid: an image"


class Returning(Dataset):
    """Returns its error, which torch would mangle."""

    def __getitem__(self, item):
        return UserError("no image", valid="an image")


def test_a_mistake_that_a_data_set_returns_is_raised():
    with pytest.raises(UserError, match="no image"):
        list(BatchLoader(Returning(), BATCHES, num_workers=1))


def test_memory():
    with pytest.raises(UserError, match=r"ran out of memory \(MemoryError\), at rows 9"):
        list(loader(9, forget))


def test_the_death_of_a_process_does_not_raise_wherever_the_training_is():
    """torch's own handler would: in a collective, or in the middle of a checkpoint."""
    batches = iter(loader(0, lambda: os._exit(3), items=[*BATCHES[1:], BATCHES[0]]))
    next(batches)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        time.sleep(0.05)
    with pytest.raises(UserError, match="ended with exit code 3"):
        list(batches)


def test_the_sample_is_found_with_its_epoch_too():
    for epoch in (PLAIN, 3):
        assert find_sample(Rows(2, lambda: os._exit(1)), WorkerTask(np.arange(4), epoch), 1.0) == 2
    assert find_sample(Rows(), WorkerTask(np.arange(4), PLAIN), 1.0) is None


def test_a_loader_can_be_left_and_iterated_again():
    one = loader()
    for _ in one:
        break
    assert rows(one) == [batch.tolist() for batch in BATCHES]


def test_a_loader_that_has_failed_leaves_no_process_and_no_number(monkeypatch):
    """torch's registry takes an iterator's `id` once, and another may get it when the first is gone."""
    from torch.utils.data import _utils

    known = set()
    plain = _utils.signal_handling._set_worker_pids
    removed = _utils.signal_handling._remove_worker_pids
    monkeypatch.setattr(
        _utils.signal_handling, "_set_worker_pids", lambda key, pids: (known.add(key), plain(key, pids))
    )
    monkeypatch.setattr(
        _utils.signal_handling, "_remove_worker_pids", lambda key: (known.discard(key), removed(key))
    )
    for fault in (refuse, fail):
        one = loader(9, fault)
        with pytest.raises((UserError, RuntimeError)):
            list(one)
        assert all(process.exitcode is not None for process in one._processes)
    gc.collect()
    assert not known
