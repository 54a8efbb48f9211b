import json

from mmdl.runs.progress_file import write_progress


def test_the_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "progress.json"
    for step in (1, 2):
        write_progress(path, {"step": step})
    found = json.loads(path.read_text())
    assert found.pop("time") > 1e9
    assert found == {"step": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["progress.json"]


def test_what_can_not_be_written_ends_no_run(tmp_path):
    write_progress(tmp_path / "missing" / "progress.json", {"step": 1})
    assert list(tmp_path.iterdir()) == []
