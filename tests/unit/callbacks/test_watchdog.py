import time

import pytest

from mmdl.callbacks.watchdog import SLOW, Watchdog
from mmdl.errors import UserError
from mmdl.runs.activity import Activity


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


def test_a_dump_shows_every_thread(tmp_path):
    dog = Watchdog(str(tmp_path))
    dog.dump(tmp_path / "deep" / "dump.txt", "60 s without progress in step 7")
    text = (tmp_path / "deep" / "dump.txt").read_text()
    assert text.startswith("60 s without progress in step 7; rank 0, process ")
    assert "test_a_dump_shows_every_thread" in text


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
