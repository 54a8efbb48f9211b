"""Calls run in threads that end with whoever uses them."""

import gc
import threading

import pytest

from mmdl.review.serve.workers import Workers


def test_results_and_errors_reach_the_caller():
    workers = Workers(2)
    assert workers.submit(lambda: 6 * 7).result(timeout=10) == 42
    with pytest.raises(ZeroDivisionError):
        workers.submit(lambda: 1 / 0).result(timeout=10)
    assert workers.submit(lambda: "goes on").result(timeout=10) == "goes on"


def test_threads_end_with_their_workers():
    before = set(threading.enumerate())  # others may end meanwhile
    workers = Workers(3)
    own = set(threading.enumerate()) - before
    assert len(own) == 3
    del workers
    gc.collect()
    for thread in own:
        thread.join(timeout=10)
        assert not thread.is_alive()
