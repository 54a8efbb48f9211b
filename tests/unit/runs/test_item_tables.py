"""Tables of predictions for trackers: what they show of each kind, worst first, and within their limits."""

import json

import pytest

from mmdl.runs import item_tables as module
from mmdl.runs.item_tables import Picture, item_tables


def cells(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_questions_come_by_answer_type_the_most_confident_mistakes_first(folders, tmp_path):
    run = folders.vqa(tmp_path)
    rows = cells(item_tables(run, "test")["predictions"])
    types = [row["answer_type"] for row in rows]
    assert types == sorted(types)
    assert set(types) == {"number", "other", "yes/no"}
    records = {
        str(r["question_id"]): r
        for r in map(json.loads, (run / "predictions" / "test.jsonl").read_text().splitlines())
    }
    for answer_type in set(types):
        own = [row for row in rows if row["answer_type"] == answer_type]
        wrong = [row["score"] < 0.5 for row in own]
        assert wrong == sorted(wrong, reverse=True)
        sure = [records[row["question_id"]]["top"][0]["probability"] for row in own if row["score"] < 0.5]
        assert sure == sorted(sure, reverse=True)
    row = rows[0]
    record = records[row["question_id"]]
    assert row["question"] == record["question"]
    assert row["top"].startswith(f"{record['prediction']} {record['top'][0]['probability']:.2f}")
    assert set(row["answers"].split(", ")) == set(record["answers"])
    assert isinstance(row["image"], Picture)
    assert row["image"].path.is_file()


def test_mistakes_of_a_classifier_come_first(folders, tmp_path):
    rows = cells(item_tables(folders.classification(tmp_path), "test")["predictions"])
    right = [row["correct"] for row in rows]
    assert right == sorted(right)
    assert {True, False} == set(right)
    wrong = [row["confidence"] for row in rows if not row["correct"]]
    assert wrong == sorted(wrong, reverse=True)


def test_retrieval_has_a_table_each_way_with_what_was_found(folders, tmp_path):
    tables = item_tables(folders.retrieval(tmp_path), "test")
    assert set(tables) == {"predictions/text_to_image", "predictions/image_to_text"}
    row = cells(tables["predictions/text_to_image"])[0]
    assert row["rank"] == max(r["rank"] for r in cells(tables["predictions/text_to_image"]))
    assert isinstance(row["top 1"], Picture)
    assert row["top 1"].caption
    hit = next(r for r in cells(tables["predictions/text_to_image"]) if r["hit"])
    assert hit["top 1"].caption.endswith("right")
    assert isinstance(cells(tables["predictions/image_to_text"])[0]["top 1"], str)


def test_prompts_and_generations_are_text(folders, tmp_path):
    rows = cells(item_tables(folders.generation(tmp_path), "test")["predictions"])
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores)
    assert {0.0, 1.0} == set(scores)
    row = rows[0]
    demonstration, query = row["prompt"].splitlines()
    assert demonstration == "[image0.png] Question: What color? Answer: red"
    assert query.endswith("Question: What color? Answer:")
    assert row["references"] == "blue, navy"
    assert row["generation"]
    assert isinstance(row["image"], Picture)


@pytest.mark.parametrize("most", [1, 7, 100])
def test_rows_are_limited(folders, tmp_path, monkeypatch, most):
    monkeypatch.setattr(module, "MOST_ROWS", most)
    table = item_tables(folders.vqa(tmp_path), "test")["predictions"]
    assert 1 <= len(table.rows) <= most


def test_bytes_and_characters_are_limited(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 400)
    monkeypatch.setattr(module, "MOST_CHARACTERS", 5)
    table = item_tables(folders.vqa(tmp_path), "test")["predictions"]
    shown = [cell for row in table.rows for cell in row if isinstance(cell, Picture)]
    assert shown
    assert sum(cell.path.stat().st_size for cell in shown) <= 400
    texts = [cell for row in table.rows for cell in row if isinstance(cell, str)]
    assert max(map(len, texts)) == 5


def test_what_is_missing_or_damaged_is_left_out(folders, tmp_path):
    assert item_tables(tmp_path / "nothing", "test") == {}
    run = folders.vqa(tmp_path)
    path = run / "predictions" / "test.jsonl"
    path.write_text(path.read_text() + '{"question_id": 5, "sco')
    (run / "media" / "items" / "index.json").write_text("{")
    table = item_tables(run, "test")["predictions"]
    assert "image" not in table.columns
    assert table.rows
    path.write_text("nonsense\n")
    assert item_tables(run, "test") == {}


def test_records_of_an_unknown_form_are_shown_all_the_same(tmp_path):
    (tmp_path / "predictions").mkdir()
    records = [
        {"id": 1, "text": "<script>", "value": 1},
        {"id": "b", "text": None, "value": "x", "more": [1]},
    ]
    (tmp_path / "predictions" / "test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    rows = cells(item_tables(tmp_path, "test")["predictions"])
    assert rows[0]["text"] == "<script>"
    assert [row["value"] for row in rows] == ["1", "x"], "one type a column"
    assert rows[1]["more"] == "[1]"
