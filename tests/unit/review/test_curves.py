"""Curves are read incrementally, and thinned without loss of their peaks."""

import json
import os

import numpy as np
import pytest

from mmdl.review import curves
from mmdl.review.curves import CurveReader, thinned
from mmdl.review.model import Curve


def line(step, **values):
    return json.dumps({"step": step, "time": step * 2.0, **values}) + "\n"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "metrics.jsonl"


def test_without_a_file_there_are_no_curves(file):
    assert CurveReader(file).read() == {}


def test_only_what_was_appended_is_read_again(file, monkeypatch):
    reader = CurveReader(file)
    file.write_text(line(1, loss=3) + line(2, loss=2, accuracy=0.5))
    assert reader.read()["loss"].values.tolist() == [3, 2]
    read = []
    parsed = curves.parsed
    monkeypatch.setattr(curves, "parsed", lambda content: read.append(content) or parsed(content))
    with file.open("a") as handle:
        handle.write(line(3, loss=1, accuracy=0.75))
    found = reader.read()
    assert read == [line(3, loss=1, accuracy=0.75).encode()]
    assert found["loss"].values.tolist() == [3, 2, 1]
    assert found["accuracy"].steps.tolist() == [2, 3]
    assert found["accuracy"].times.tolist() == [4, 6]


def test_a_half_written_line_waits_for_its_end(file):
    reader = CurveReader(file)
    whole = line(2, loss=2)
    file.write_text(line(1, loss=3) + whole[:10])
    assert reader.read()["loss"].values.tolist() == [3]
    with file.open("a") as handle:
        handle.write(whole[10:])
    assert reader.read()["loss"].values.tolist() == [3, 2]
    assert reader.damaged == 0


def test_a_file_that_was_cut_and_has_grown_again_is_read_anew(file):
    reader = CurveReader(file)
    file.write_text(line(1, loss=3) + line(2, loss=2) + "damaged\n")
    assert reader.read()["loss"].steps.tolist() == [1, 2]
    assert reader.damaged == 1
    with file.open("r+") as handle:  # the same file, and longer than before
        handle.truncate(len(line(1, loss=3)))
        handle.seek(0, os.SEEK_END)
        handle.write("".join(line(step, loss=9) for step in range(5, 20)))
    assert reader.read()["loss"].steps.tolist() == [1, *range(5, 20)]
    assert reader.damaged == 0


def test_another_file_in_its_place_is_read_from_the_start(file):
    reader = CurveReader(file)
    file.write_text(line(1, loss=3))
    reader.read()
    other = file.with_name("other")
    other.write_text(line(1, loss=5) + line(2, loss=4))
    other.replace(file)
    assert reader.read()["loss"].values.tolist() == [5, 4]
    file.unlink()
    assert reader.read() == {}


def test_lines_in_many_chunks_are_one_curve(file, monkeypatch):
    monkeypatch.setattr(curves, "CHUNK", 100)
    values = [step / 7 for step in range(200)]
    file.write_text("".join(line(step, loss=value) for step, value in enumerate(values)))
    assert CurveReader(file).read()["loss"].values.tolist() == values


def test_steps_that_fall_are_put_in_order(file):
    file.write_text(line(5, loss=1) + line(3, loss=2) + line(5, loss=3))
    found = CurveReader(file).read()["loss"]
    assert found.steps.tolist() == [3, 5, 5]
    assert found.values.tolist() == [2, 1, 3]


def test_the_size_is_that_of_the_arrays(file):
    file.write_text("".join(line(step, loss=1.5, accuracy=0.5) for step in range(1000)))
    reader = CurveReader(file)
    assert reader.size == 0
    reader.read()
    assert 1000 * (16 + 2 * 12) <= reader.size <= 1000 * (16 + 2 * 12) + 100


def curve(values):
    count = len(values)
    return Curve(np.arange(count), np.asarray(values, dtype=float), np.arange(count) * 1.0)


def test_a_short_curve_stays_as_it_is():
    short = curve([1, 2, 3])
    assert thinned(short, 8) is short


@pytest.mark.parametrize("count", [9, 100, 9_999, 10_000, 10_001])
@pytest.mark.parametrize("points", [8, 300, 1000])
def test_thinning_keeps_peaks_ends_and_order(count, points):
    if count <= points:
        return
    values = np.random.default_rng(0).normal(size=count)
    values[count // 3], values[count // 2] = 100, -100
    found = thinned(curve(values), points)
    assert len(found.steps) <= points
    assert (np.diff(found.steps) > 0).all()
    assert found.steps[[0, -1]].tolist() == [0, count - 1]
    assert (found.values.max(), found.values.min()) == (100, -100)
    np.testing.assert_array_equal(found.values, values[found.steps])


def test_thinning_keeps_what_is_not_finite():
    values = np.ones(10_000)
    values[5_000] = np.nan
    values[7_000] = np.inf
    found = thinned(curve(values), 100)
    assert np.isnan(found.values).sum() == 1
    assert np.isinf(found.values).sum() == 1


def test_a_curve_of_nothing_but_nan_is_thinned():
    found = thinned(curve(np.full(10_000, np.nan)), 100)
    assert 2 <= len(found.steps) <= 100
    assert np.isnan(found.values).all()
