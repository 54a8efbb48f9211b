"""Curves of many runs: what is kept in memory, and what is read again."""

import json

import pytest

from mmdl.review.serve.curve_store import CurveStore


@pytest.fixture
def files(tmp_path):
    found = []
    for number in range(4):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(
            "".join(json.dumps({"step": n, "time": 5 + n, "loss": n}) + "\n" for n in range(1000))
        )
        found.append(path)
    return found


def test_what_was_asked_for_longest_ago_is_forgotten(files):
    one = CurveStore()
    one.names(files[0])
    store = CurveStore(room=int(2.5 * one.size))
    for path in (files[0], files[1], files[0], files[2]):
        store.names(path)
        assert store.size <= store.room
    assert list(store._held) == [files[0], files[2]]


def test_a_run_that_is_larger_than_all_room_is_shown_all_the_same(files):
    store = CurveStore(room=10)
    for path in (files[0], files[1], files[0]):
        assert len(store.curve(path, "loss", 5000)["steps"]) == 1000
    assert list(store._held) == [files[0]]


def test_a_run_that_grows_is_followed(files):
    store = CurveStore()
    assert store.curve(files[0], "loss", 5000)["steps"][-1] == 999
    with files[0].open("a") as handle:
        handle.write('{"step": 1000, "loss": 0, "new": 1}\n')
    assert store.curve(files[0], "loss", 5000)["steps"][-1] == 1000
    assert store.curve(files[0], "new", 5000)["values"] == [1.0]
    assert store.curve(files[0], "none", 5000) is None
    assert store.curve(files[0], "loss", 5000)["start"] == 5
