import json

from mmdl.review.building import build_review


def test_a_repeated_run_with_other_scores_is_said(tmp_path, folders):
    paths = [folders.vqa(tmp_path, name, 60, 0.7, 0, False, False) for name in "ab"]
    file = paths[1] / "predictions" / "test.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    for record in records[:6]:
        record["score"] = 1 - record["score"]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    [found] = build_review(paths).comparisons
    assert found.verdict.startswith(
        "no difference shown: a and b have the same configuration and seed; their scores "
    )
    assert found.verdict.endswith("the training does not repeat bit for bit, or the code has changed")
    assert not found.shown


def test_the_ends_of_two_seeds_are_compared_item_by_item(tmp_path, folders):
    paths = [
        folders.vqa(tmp_path, f"s{seed}", 300, right, seed, False, False)
        for seed, right in enumerate((0.4, 0.7))
    ]
    [found] = build_review(paths).comparisons
    assert (found.first, found.second) == ("s1", "s0")
    assert found.difference > 0
    assert found.ci95[0] > 0  # on these items; it is the seed all the same
    assert not found.shown
    assert sum(found.counts) == 300
    assert found.caveats == ["the interval and the tests are over the items of two runs, not over seeds"]


def test_runs_without_predictions_have_no_spread_over_items(tmp_path, folders):
    paths = [
        folders.vqa(tmp_path, f"s{seed}", 30, seed=seed, baseline=False, images=False) for seed in (0, 1)
    ]
    (paths[1] / "predictions" / "test.jsonl").unlink()
    review = build_review(paths)
    assert review.comparisons == []
    assert len(review.entrants[0].values) == 2
    assert "s1: no test predictions (predictions/test.jsonl is missing)" in review.notes
