"""Reading the scored items of a run folder, whole and damaged."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from mmdl.review.items import list_items, read_items
from mmdl.review.model import Items
from mmdl.runs.item_files import write_items

VQA = [
    {"question_id": 7, "image": "a.png", "question": "?", "answers": ["no", "yes"], "score": 0.3},
    {"question_id": 8, "image": "b.png", "question": "?", "answers": [], "score": None},
]
IMAGES = [
    {"id": "a", "label": "cat", "prediction": "cat", "correct": True, "top": []},
    {"id": "b", "label": "dog", "prediction": "cat", "correct": False, "top": []},
]
QUERIES = [
    {"id": "1#0", "query": "a cat", "image": "1", "rank": 1, "hit": True, "among": 2, "right": 1, "top": []},
    {"id": "2#0", "query": "a dog", "image": "2", "rank": 2, "hit": False, "among": 2, "right": 1, "top": []},
]


def run_with(folder: Path, records: list[dict[str, Any]], name: str = "test", tail: str = "") -> Path:
    """A run folder of an older version: it has no file beside the records."""
    (folder / "predictions").mkdir(parents=True)
    text = "".join(json.dumps(record) + "\n" for record in records) + tail
    (folder / "predictions" / f"{name}.jsonl").write_text(text)
    return folder


def items_of(run: Path, name: str = "test") -> Items:
    """Items that are there."""
    found = read_items(run, name)
    assert isinstance(found, Items), found
    return found


def test_older_folders_tell_the_kind_by_their_records(tmp_path: Path) -> None:
    vqa = items_of(run_with(tmp_path / "v", VQA))
    assert (vqa.kind, vqa.split, vqa.metric, vqa.ids) == ("vqa", "test", "vqa_accuracy", ["7", "8"])
    assert vqa.clusters == ["a.png", "b.png"]
    assert vqa.scores[0] == 0.3
    assert math.isnan(vqa.scores[1])
    assert vqa.references == ['["no","yes"]', "[]"]
    images = items_of(run_with(tmp_path / "c", IMAGES))
    assert (images.kind, images.metric, images.clusters) == ("classification", "accuracy", None)
    assert images.scores.tolist() == [1.0, 0.0]
    assert images.references == ['"cat"', '"dog"']
    name = "val_image_to_text"
    found = items_of(run_with(tmp_path / "r", QUERIES, name), name)
    assert (found.kind, found.split, found.metric) == ("retrieval", "val", "image_to_text/recall@1")
    assert found.clusters == ["1", "2"]
    assert found.references[0] == '{"among":2,"image":"1","query":"a cat","right":1}'


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "other-test.jsonl"
    write_items(path, IMAGES, kind="classification", split="test", metric="accuracy")
    found = items_of(tmp_path, "other-test")
    assert (found.split, found.metric, found.records, found.gaps) == ("test", "accuracy", IMAGES, [])
    assert read_items(tmp_path, "other-test", keep_records=False).records == []  # type: ignore[union-attr]
    beside = json.loads(path.with_suffix(".json").read_text())
    assert beside["count"] == 2
    assert beside["version"] == 1


def test_the_hash_is_that_of_ids_and_references_in_any_order(tmp_path: Path) -> None:
    hashes = []
    for name, records in (
        ("a", IMAGES),
        ("b", IMAGES[::-1]),
        ("c", [IMAGES[0], IMAGES[1] | {"label": "cat"}]),
    ):
        write_items(
            tmp_path / f"{name}.jsonl", records, kind="classification", split="test", metric="accuracy"
        )
        hashes.append(json.loads((tmp_path / f"{name}.json").read_text())["items_sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_repeated_ids_are_told_apart_where_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "test.jsonl"
    twice = [IMAGES[0], IMAGES[0] | {"correct": False}, IMAGES[1]]
    write_items(path, twice, kind="classification", split="test", metric="accuracy")
    found = items_of(tmp_path)
    assert found.ids == ["a", "a#2", "b"]
    assert found.scores.tolist() == [1.0, 0.0, 0.0]
    assert found.gaps == []


def test_a_last_line_that_is_cut_off_and_damaged_ones_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "test.jsonl"
    write_items(path, IMAGES, kind="classification", split="test", metric="accuracy")
    lines = path.read_text().splitlines()
    path.write_text(lines[0] + '\n[1]\n{"id": "x", "correct": 7}\n\xff\n' + lines[1][:20])
    found = items_of(tmp_path)
    assert found.ids == ["a"]
    label = "predictions/test.jsonl"
    assert found.gaps == [
        f"{label}: 3 damaged lines were left out",
        f"{label}: the last line is cut off and was left out",
        f"{label}: it holds 1 of 2 records",
    ]


def test_references_that_were_changed_are_said(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "test.jsonl"
    write_items(path, IMAGES, kind="classification", split="test", metric="accuracy")
    path.write_text(path.read_text().replace('"dog"', '"cow"'))
    assert items_of(tmp_path).gaps == [
        "predictions/test.jsonl: ids or references are not those that were written"
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("{\n[]\n", "is damaged: none of its lines can be read"),
        ('{"a": 1}\n', "holds no predictions of a known kind"),
        ('{"id": [1], "correct": true}\n', "is damaged: none of its records has an id and a score"),
        ('{"id": 1, "correct": true}\n{"id": "1", "correct": true}\n', "has 1 ids more than once, the first is '1'"),
        ('{"id": 1, "label": null, "correct": null}\n', "has no references, so nothing is scored"),
        ("[" * 100_000 + "\n", "is damaged: none of its lines can be read"),
    ],
)  # fmt: skip
def test_why_there_are_no_items(tmp_path: Path, content: str, reason: str) -> None:
    run = run_with(tmp_path / "run", [], tail=content)
    assert read_items(run, "test") == f"predictions/test.jsonl {reason}"


def test_missing_files_and_names_that_leave_the_folder(tmp_path: Path) -> None:
    assert read_items(tmp_path, "test") == "predictions/test.jsonl is missing"
    assert list_items(tmp_path) == []
    run_with(tmp_path, VQA)
    (tmp_path / "predictions" / "b.jsonl").write_text("")
    assert list_items(tmp_path) == ["b", "test"]
    assert read_items(tmp_path / "predictions", "../predictions/test") == (
        "'../predictions/test' is no name of predictions"
    )


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"kind": 1, "count": "x", "items_sha256": 0, "split": null}']
)
def test_a_damaged_file_beside_the_records_costs_nothing(tmp_path: Path, content: str) -> None:
    run = run_with(tmp_path / "run", IMAGES)
    (run / "predictions" / "test.json").write_text(content)
    found = items_of(run)
    assert (found.kind, found.split, found.metric) == ("classification", "test", "accuracy")
    assert found.gaps == ([] if "kind" in content else ["predictions/test.json is damaged"])
