import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

from mmdl.callbacks.watchdog import LAST_WORDS_S, LEAST_S, SLOW, Watchdog
from mmdl.errors import UserError
from mmdl.runs.activity import Activity
from mmdl.runs.folder import RunFolder


def test_limits(tmp_path, monkeypatch):
    """A floor, many times the median, and much more where there is no median yet."""
    now = [0.0]
    monkeypatch.setattr("mmdl.runs.activity.time.monotonic", lambda: now[0])
    dog, seen = Watchdog(str(tmp_path), factor=20, floor_s=60), Activity()
    assert dog.limit(seen) == SLOW * 60
    for seconds, limit in ((1, 60), (10, 200)):
        for number in range(100):
            seen.repeat("step", number)
            now[0] += seconds
        assert dog.limit(seen) == limit
    seen.enter("waiting for the data after step", 100)
    assert dog.limit(seen) == 200
    seen.enter("evaluators")
    assert dog.limit(seen) == SLOW * 60


@pytest.mark.parametrize(
    ("timeout", "limit"), [(600, 600 - LAST_WORDS_S), (90, 70), (10, LEAST_S), (3600, SLOW * 60)]
)
def test_all_ranks_write_before_one_gives_up(tmp_path, monkeypatch, timeout, limit):
    monkeypatch.setattr("mmdl.callbacks.watchdog.collective_timeout", lambda: timedelta(seconds=timeout))
    monkeypatch.setattr("torch.distributed.get_backend_config", lambda: "cpu:gloo")
    dog = Watchdog(str(tmp_path), floor_s=60)
    trainer = SimpleNamespace(global_rank=1, world_size=2)
    dog.setup(trainer, None, "fit")
    try:
        assert dog.limit(Activity()) == limit
    finally:
        dog.teardown(trainer, None, "fit")


def test_a_dump_shows_every_thread(tmp_path):
    dog = Watchdog(str(tmp_path))
    dog.dump(tmp_path / "deep" / "dump.txt", "60 s without progress in step 7")
    text = (tmp_path / "deep" / "dump.txt").read_text()
    assert text.startswith("60 s without progress in step 7; rank 0, process ")
    assert "test_a_dump_shows_every_thread" in text


def test_a_dump_of_many_threads_has_the_main_one(tmp_path):
    enough = threading.Event()
    threads = [threading.Thread(target=enough.wait) for _ in range(120)]
    for thread in threads:
        thread.start()
    try:
        Watchdog(str(tmp_path)).dump(tmp_path / "dump.txt", "60 s without progress")
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert "test_a_dump_of_many_threads_has_the_main_one" in (tmp_path / "dump.txt").read_text()


@pytest.mark.parametrize("name", ["factor", "floor_s", "abort_after_minutes"])
def test_numbers_are_positive(tmp_path, name):
    with pytest.raises(UserError, match=f"callbacks.watchdog.{name}=0"):
        Watchdog(str(tmp_path), **{name: 0})


def test_what_a_step_costs():
    seen = Activity()
    began = time.perf_counter()
    for number in range(10_000):
        seen.repeat("step", number)
        seen.enter("waiting for the data after step", number)
    assert time.perf_counter() - began < 2.0  # 20 us a step here, 1 us on a free machine


@pytest.fixture
def watched():
    """A watchdog on what `seen` does, in a thread of its own."""
    seen, stop, threads = Activity(), threading.Event(), []
    for number in range(9):
        seen.repeat("step", number)

    def start(dog):
        threads.append(threading.Thread(target=dog._watch, args=(stop, seen)))
        threads[0].start()

    yield start, seen
    stop.set()
    threads[0].join()


def eventually(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_dumps_come_at_doubling_intervals_and_not_for_ever(tmp_path, watched, monkeypatch):
    start, _ = watched
    dumps = []
    dog = Watchdog(str(tmp_path), floor_s=0.1, most_dumps=3)
    monkeypatch.setattr(dog, "_report", lambda seen, quiet: dumps.append(quiet))
    start(dog)
    eventually(lambda: len(dumps) == 3)
    time.sleep(1.0)
    assert len(dumps) == 3
    assert all(quiet > 0.1 * 2**n for n, quiet in enumerate(dumps))


def test_before_nccl_ends_the_process_the_run_is_noted_as_failed(tmp_path, watched):
    start, seen = watched
    dog = Watchdog(str(tmp_path / "r" / "stacks"), floor_s=0.1, most_dumps=1)
    (tmp_path / "r").mkdir()
    dog._deadline_s = 0.3
    start(dog)
    status = RunFolder(tmp_path, "r").read_status
    eventually(lambda: status().get("status") == "failed")
    assert "no progress for" in status()["error"]
    seen.repeat("step", 10)  # it was slow after all
    eventually(lambda: status()["status"] == "running")
