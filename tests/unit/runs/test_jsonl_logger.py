import json

from mmdl.review.curves import CurveReader
from mmdl.runs.jsonl_logger import JsonlLogger, note_counts, read_metrics


def test_every_line_is_on_disk_at_once_and_valid_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    logger = JsonlLogger(path)
    logger.log_metrics({"a": 1.5, "b": float("nan")}, step=3)
    line = json.loads(path.read_text())
    assert (line["step"], line["a"], line["b"]) == (3, 1.5, "nan")
    logger.finalize("success")
    logger.log_metrics({"a": 2.0}, step=4)
    assert [row["step"] for row in read_metrics(path)] == [3, 4]


def test_a_torn_last_line_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "a": 1}\n{"step": 2, "a"')
    assert read_metrics(path) == [{"step": 1, "a": 1}]


def test_rewinding_drops_what_came_after(tmp_path):
    logger = JsonlLogger(tmp_path / "metrics.jsonl")
    logger.rewind(logger.size())  # nothing was logged
    for step in (1, 2):
        logger.log_metrics({"a": 1.0}, step=step)
    size = logger.size()
    for step in (2, 3):
        logger.log_metrics({"a": 2.0}, step=step)
    logger.rewind(size)
    assert [row["step"] for row in read_metrics(logger.path)] == [1, 2]
    logger.log_metrics({"a": 3.0}, step=2)
    assert [row["a"] for row in read_metrics(logger.path)] == [1.0, 1.0, 3.0]
    logger.rewind(size + 5)  # the rest of a line that is not whole
    assert logger.size() == size
    logger.rewind(10 * size)
    assert logger.size() == size


def test_figures_stand_with_the_number_of_samples_that_they_were_taken_over(tmp_path):
    logger = JsonlLogger(tmp_path / "metrics.jsonl")
    note_counts([object(), logger], {"val/loss": 7, "val/accuracy": 5})
    logger.log_metrics({"train/loss": 1.0}, step=1)
    logger.log_metrics({"val/loss": 2.0, "epoch": 0}, step=2)
    first, second = read_metrics(logger.path)
    assert "n" not in first
    assert second["n"] == {"val/loss": 7}
    assert set(CurveReader(logger.path).read()) == {"train/loss", "val/loss", "epoch"}
