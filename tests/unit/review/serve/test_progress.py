"""Progress and time left are right for new, old, continued and finished runs."""

import json

import pytest

from mmdl.review.serve.progress import Tail, progress_of, read_tail


@pytest.fixture
def tail(tmp_path):
    def write(rows, end=""):
        path = tmp_path / "metrics.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows) + end)
        return read_tail(path)

    return write


def row(step, time, epoch=0, **values):
    return {"step": step, "time": time, "epoch": epoch, **values}


def test_the_pace_is_that_of_the_last_lines(tail):
    found = tail([row(10 * n, 1000 + 5 * n, n // 4) for n in range(20)], end='{"step": 999')
    assert (found.step, found.epoch, found.time) == (190, 4, 1095)
    assert found.pace == pytest.approx(0.5)
    assert found.steps_per_epoch == pytest.approx(40)


def test_validation_counts_and_a_pause_does_not(tail):
    rows = [row(step, 1000 + step) for step in range(0, 50, 10)]
    rows.append(row(40, 1048, **{"val/loss": 1}))  # 8 s of validation
    rows += [row(step, 100_000 + step) for step in range(50, 90, 10)]  # continued a day later
    assert tail(rows).pace == pytest.approx((40 + 8 + 30) / 70)


def test_a_file_that_is_long_is_read_from_its_end_only(tail, monkeypatch):
    rows = [row(n, n) for n in range(5000)]
    assert tail(rows).step == 4999
    assert tail(rows).pace == pytest.approx(1)


@pytest.mark.parametrize("lines", [[], [{"step": None}], [{"x": 1}], [[1]], [{"step": 1e400, "time": 1}]])
def test_lines_without_a_step_say_nothing(tail, lines):
    assert tail(lines) == Tail()


def test_without_a_file_nothing_is_known(tmp_path):
    assert read_tail(tmp_path / "none") == Tail()


def test_a_new_run():
    written = {
        "step": 250,
        "total_steps": 1000,
        "epoch": 2,
        "max_epochs": 8,
        "time": 5.0,
        "samples_per_s": 321.5,
    }
    found = progress_of(written, Tail(step=240, pace=2.0), None, 8, finished=False)
    assert (found.share, found.left_s, found.samples_per_s) == (0.25, 1500, 321.5)


def test_a_run_of_an_older_version():
    by_steps = progress_of({}, Tail(step=50, epoch=1, pace=2.0), 200, None, finished=False)
    assert (by_steps.step, by_steps.total, by_steps.share, by_steps.left_s) == (50, 200, 0.25, 300)
    by_epochs = progress_of({}, Tail(step=50, epoch=1, pace=2.0), None, 4, finished=False)
    assert (by_epochs.share, by_epochs.left_s) == (0.25, None)
    both = progress_of({}, Tail(step=50, epoch=1, pace=2.0, steps_per_epoch=25.0), None, 4, finished=False)
    assert (both.total, both.share, both.left_s) == (100, 0.5, 100)


def test_a_finished_run_is_whole_and_has_no_time_left():
    found = progress_of({"step": 7, "total_steps": 1000}, Tail(pace=1.0), None, None, finished=True)
    assert (found.share, found.left_s) == (1.0, None)


@pytest.mark.parametrize("odd", ["many", float("nan"), float("inf"), -1, 0, 10**400, True, [], {}])
def test_odd_values_break_nothing(odd):
    facts = dict.fromkeys(("step", "total_steps", "epoch", "max_epochs", "time", "samples_per_s"), odd)
    found = progress_of(facts, Tail(), None, None, finished=False)
    json.dumps(found._asdict(), allow_nan=False)
    assert found.share is None or 0 <= found.share <= 1
