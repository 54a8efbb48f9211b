"""The probe set as a table: an item a row, a validation a column."""

import json

from mmdl.runs.item_tables import Picture
from mmdl.runs.probe_table import MOST_STEPS, probe_table


def record(number, answer, score):
    return {
        "question_id": number,
        "image": f"{number}.png",
        "question": f"What is {number}?",
        "answers": ["a", "b", "a"],
        "prediction": answer,
        "score": score,
    }


def write(run, steps, index=None):
    folder = run / "media" / "probe"
    folder.mkdir(parents=True)
    for step, records in steps.items():
        (folder / f"step-{step}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    (folder / "index.json").write_text(json.dumps(index or {"version": 1, "split": "val"}))
    return folder


def test_an_item_a_row_and_a_validation_a_column(tmp_path):
    write(
        tmp_path,
        {
            9: [record(1, "b", 0.3), record(2, "c", 0.0)],
            10: [record(1, "a", 1.0), record(2, "c", 0.0), record(3, "a", 1.0)],
        },
    )
    table = probe_table(tmp_path)
    assert table.columns == ["item", "reference", "step 9", "step 10"]
    assert table.rows == [
        ["What is 1?", "a, b", "b (0.30)", "a (1.00)"],
        ["What is 2?", "a, b", "c (0.00)", "c (0.00)"],
        ["What is 3?", "a, b", None, "a (1.00)"],
    ]


def test_of_many_validations_the_first_and_the_last_are_there(tmp_path):
    write(tmp_path, {step: [record(1, "a", 1.0)] for step in range(0, 1000, 10)})
    columns = probe_table(tmp_path).columns
    assert len(columns) == 2 + MOST_STEPS
    assert (columns[2], columns[-1]) == ("step 0", "step 990")


def test_other_kinds(tmp_path):
    classified = {"id": "x", "label": "cat", "prediction": "dog", "correct": False}
    found = {"id": "y", "query": "a cat", "rank": 3, "among": 9, "direction": "text_to_image"}
    back = found | {"direction": "image_to_text", "rank": 1}
    write(tmp_path, {1: [classified, found, back]})
    assert probe_table(tmp_path).rows == [
        ["x", "cat", "dog (wrong)"],
        ["a cat", "rank 1 of 9", "rank 3"],
        ["a cat", "rank 1 of 9", "rank 1"],
    ]


def test_without_a_probe_set_there_is_no_table(tmp_path):
    assert probe_table(tmp_path) is None
    (write(tmp_path, {}) / "index.json").write_text("{")
    assert probe_table(tmp_path) is None


def test_a_run_of_the_review_folders_has_one(folders, tmp_path):
    table = probe_table(folders.vqa(tmp_path))
    assert table.columns[-1].startswith("step ")
    assert not [
        cell for row in table.rows for cell in row if isinstance(cell, Picture) and not cell.path.is_file()
    ]
