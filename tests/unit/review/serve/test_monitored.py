"""The best and last monitored value are found in the lines that have it, and followed as the file grows."""

import json

import pytest

from mmdl.review.serve import monitored
from mmdl.review.serve.finding import Stamp
from mmdl.review.serve.monitored import Monitored


def stamp(path):
    state = path.stat()
    return Stamp(state.st_mtime_ns, state.st_size, state.st_ino)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "metrics.jsonl"


def append(path, *rows, end=""):
    with path.open("a") as handle:
        handle.write("".join(json.dumps(row) + "\n" for row in rows) + end)


@pytest.mark.parametrize("chunk", [64, 1 << 20])
def test_it_follows_a_growing_file(file, monkeypatch, chunk):
    monkeypatch.setattr(monitored, "CHUNK", chunk)
    follow = Monitored(file, "val/loss", "min")
    append(
        file,
        {"step": 1, "train/loss": 0.1},
        {"step": 1, "val/loss": 3},
        {"step": 2, "val/loss": 1},
        end='{"step": 3, "val/lo',
    )
    follow.update(stamp(file))
    assert (follow.best, follow.last) == (1, 1)
    append(file, end='ss": 2}\n')
    follow.update(stamp(file))
    assert (follow.best, follow.last) == (1, 2)


def test_a_file_that_was_replaced_is_read_from_the_start(file):
    follow = Monitored(file, "val/accuracy", "max")
    append(file, {"val/accuracy": 0.9}, {"val/accuracy": 0.8})
    follow.update(stamp(file))
    other = file.with_name("other")
    append(other, {"val/accuracy": 0.5}, {"val/accuracy": 0.6}, {"val/accuracy": 0.55})
    other.replace(file)
    follow.update(stamp(file))
    assert (follow.best, follow.last) == (0.6, 0.55)


def test_samples_of_the_best_value_are_kept(file):
    append(file, {"val/loss": 2.0, "n": {"val/loss": 144}}, {"val/loss": 3.0, "n": {"val/loss": 7}})
    follow = Monitored(file, "val/loss", "min")
    follow.update(stamp(file))
    assert (follow.best, follow.n) == (2.0, 144)
    append(file, {"val/loss": 1.0, "n": {"val/loss": "x"}})
    follow.update(stamp(file))
    assert (follow.best, follow.n) == (1.0, None)


def test_other_names_damaged_lines_and_what_is_no_number_are_passed_over(file):
    append(
        file, {"val/loss/class/a": 0.1}, {"note": "val/loss"}, {"val/loss": "nan"}, end='{"val/loss": 0.0\n'
    )
    append(file, {"val/loss": 2.0}, {"val/loss": "text"}, {"val/loss": None})
    follow = Monitored(file, "val/loss", "min")
    follow.update(stamp(file))
    assert (follow.best, follow.last, follow.not_numbers) == (2.0, 2.0, 1)
