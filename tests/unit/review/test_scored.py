import json

import numpy as np
import pytest

from mmdl.review.items import read_items
from mmdl.review.scored import aligned, baseline_names, items_name, read_scored
from mmdl.review.views import read_runs


def _views(*paths):
    return read_runs(paths)


def _rewrite(path, change):
    file = path / "predictions" / "test.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(record) + "\n" for record in change(records)))
    file.with_suffix(".json").unlink(missing_ok=True)


def test_the_items_of_a_figure_are_found_by_its_name(tmp_path, folders):
    vqa, clip = _views(folders.vqa(tmp_path, "a", items=6), folders.retrieval(tmp_path, "c"))
    assert items_name(vqa, "test/vqa_accuracy") == "test"
    assert items_name(vqa, "test/loss") == "test"
    assert items_name(vqa, "test/vqa_accuracy", "question_only") == "test_baseline_question_only"
    assert items_name(clip, "test/image_to_text/recall@1") == "test_image_to_text"
    assert items_name(clip, "test/zero_shot/accuracy") in ("test_image_to_text", "test_text_to_image")


def test_baselines_are_those_with_predictions_and_those_with_a_figure(tmp_path, folders):
    path = folders.vqa(tmp_path, "a", items=6)
    summary = json.loads((path / "summary.json").read_text())
    summary["baseline/most_common/vqa_accuracy"] = {"value": 0.2, "n": 6, "ci95": None}
    (path / "summary.json").write_text(json.dumps(summary))
    assert baseline_names(_views(path)[0]) == ["question_only", "most_common"]


def test_runs_are_scored_on_the_same_items_whatever_their_order(tmp_path, folders):
    paths = [folders.vqa(tmp_path, f"s{seed}", items=12, seed=seed) for seed in (0, 1)]
    straight = read_scored(_views(*paths), "test/vqa_accuracy")
    _rewrite(paths[1], lambda records: records[::-1])
    turned = read_scored(_views(*paths), "test/vqa_accuracy")
    np.testing.assert_array_equal(straight.scores, turned.scores)
    assert (straight.scores.shape, straight.runs, straight.notes) == ((2, 12), ["s0", "s1"], [])


def test_a_run_with_other_items_is_left_out_and_said(tmp_path, folders):
    paths = [folders.vqa(tmp_path, f"s{seed}", items=12, seed=seed) for seed in (0, 1)]
    _rewrite(paths[1], lambda records: records[:10])
    found = read_scored(_views(*paths), "test/vqa_accuracy")
    assert (found.runs, len(found.notes)) == (["s0"], 1)
    assert "s1 is left out of the comparison: of 12 test items 2 only in s0 (1010, 1011)" in found.notes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rs: rs[:8], "of 12 test items 4 only in A (e.g. 1008, 1009, 1010)"),
        (
            lambda rs: [r | {"question_id": 7} if r["question_id"] == 1003 else r for r in rs],
            "of 13 test items 1 only in A (1003), 1 only in B (7)",
        ),
        (
            lambda rs: [r | {"answers": ["x"] * 10} if r["question_id"] > 1009 else r for r in rs],
            "of 12 test items 2 with other references (1010, 1011)",
        ),
    ],
)
def test_items_that_differ_are_named(tmp_path, folders, change, said):
    paths = [folders.vqa(tmp_path, name, items=12) for name in "ab"]
    _rewrite(paths[1], change)
    first, other = (read_items(path, "test") for path in paths)
    assert aligned(first, other, ("A", "B")) == said


def test_another_split_or_metric_is_not_the_same(tmp_path, folders):
    items = read_items(folders.vqa(tmp_path, "a", items=6), "test")
    other = type(items)(**vars(items) | {"split": "val", "metric": "exact"})
    said = "they are scored otherwise: split 'test' against 'val', metric 'vqa_accuracy' against 'exact'"
    assert aligned(items, other, ("A", "B")) == said


def test_the_order_of_reference_answers_does_not_matter(tmp_path, folders):
    paths = [folders.vqa(tmp_path, name, items=12) for name in "ab"]
    _rewrite(paths[1], lambda records: [r | {"answers": r["answers"][::-1]} for r in records])
    assert not isinstance(aligned(*(read_items(path, "test") for path in paths), ("A", "B")), str)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"status": "running", "host": "elsewhere"}, "a: not tested yet, still running"),
        ({"status": "running", "pid": 0}, "a: killed before the test"),
        ({"status": "failed"}, "a: failed before the test"),
        ({"status": "finished"}, "a: no test predictions (predictions/test.jsonl is missing)"),
    ],
)
def test_why_there_are_no_scores(tmp_path, folders, status, said):
    path = folders.vqa(tmp_path, "a", items=6)
    (path / "predictions" / "test.jsonl").unlink()
    (path / "status.json").write_text(json.dumps(status | {"monitor": "val/vqa_accuracy"}))
    assert read_scored(_views(path), "test/vqa_accuracy") == said
