import json

import pytest
import yaml

from mmdl.errors import UserError
from mmdl.review.building import build_review


def change(path, file="config.yaml", **facts):
    load, dump = (yaml.safe_load, yaml.safe_dump) if file.endswith("yaml") else (json.loads, json.dumps)
    (path / file).write_text(dump(load((path / file).read_text()) | facts))
    return path


def validated(path, value):
    return change(path, "summary.json", **{"best/val/vqa_accuracy": {"value": value}})


def verdicts(review):
    return [found.verdict for found in review.comparisons]


def test_the_same_model_with_other_seeds_shows_no_difference(tmp_path, folders):
    paths = [
        folders.vqa(tmp_path, f"s{seed}", items=300, seed=seed, baseline=False, images=False)
        for seed in (0, 1)
    ]
    review = build_review(paths)
    [entrant] = review.entrants
    assert entrant.deviation > 0
    [found] = review.comparisons
    assert found.verdict.startswith(
        "no difference shown: s0 and s1 differ in their seed only; from seed to seed "
    )
    assert not found.shown
    assert found.ci95[0] <= found.difference <= found.ci95[1]


def test_seeds_are_no_difference_however_far_apart_they_are(tmp_path, folders):
    paths = [
        folders.vqa(tmp_path, f"s{s}", 600, right, s, False, images=False)
        for s, right in enumerate((0.9, 0.1, 0.5))
    ]
    [found] = build_review(paths).comparisons
    assert found.verdict.startswith("no difference shown: the 3 runs of vqa differ in their seed only")
    assert (found.shown, found.tests, found.ci95) == (False, [], None)


def test_a_model_is_better_than_its_question_only_baseline_by_so_much(tmp_path, folders):
    review = build_review([folders.vqa(tmp_path, "a", items=300, images=False)])
    assert [entrant.label for entrant in review.entrants] == ["a", "question-only baseline"]
    [found] = review.comparisons
    difference = found.values[0] - found.values[1]
    assert found.verdict.startswith(
        f"a is better than its question-only baseline by {difference:.3f} (95% interval "
    )
    assert found.verdict.endswith(", 300 questions in 100 images)")
    assert found.shown
    assert found.caveats == []


def test_three_seeds_against_their_baselines(tmp_path, folders):
    review = build_review(
        [folders.vqa(tmp_path, f"s{seed}", items=300, seed=seed, images=False) for seed in range(3)]
    )
    assert verdicts(review)[0].startswith("vqa (3 seeds) is better than its question-only baseline by 0.")
    assert review.comparisons[0].tests[0].name == "t test over seeds and items"


def test_seeds_without_predictions_are_not_counted(tmp_path, folders):
    paths = [folders.vqa(tmp_path, f"s{seed}", items=300, seed=seed, images=False) for seed in range(3)]
    (paths[2] / "predictions" / "test.jsonl").unlink()
    review = build_review(paths)
    assert verdicts(review)[0].startswith("vqa (2 of 3 seeds) is better than its question-only baseline")
    assert "s2: no test predictions (predictions/test.jsonl is missing)" in review.comparisons[0].caveats


def test_the_best_on_validation_meets_the_others(tmp_path, folders):
    shares = {"low": (0.5, 0.1), "high": (0.9, 0.2), "chosen": (0.7, 0.3)}
    paths = [
        validated(change(folders.vqa(tmp_path, name, 300, right, 1, False, images=False), lr=number), val)
        for number, (name, (right, val)) in enumerate(shares.items())
    ]
    review = build_review(paths)
    assert [(found.first, found.second) for found in review.comparisons] == [
        ("chosen", "low"),
        ("chosen", "high"),
    ]
    assert verdicts(review)[1].startswith("high is better than chosen by")
    assert "after Holm's correction for 2 comparisons" in verdicts(review)[1]
    note = "all are compared with chosen, the best on validation (val/vqa_accuracy 0.3000)"
    assert any(line.startswith(note) for line in review.notes)
    assert [entrant.label for entrant in review.entrants] == ["high", "chosen", "low"]
    asked = build_review(paths, against="low")
    assert [found.first for found in asked.comparisons] == ["low", "low"]
    with pytest.raises(UserError) as caught:
        build_review(paths, against="hihg")
    assert caught.value.valid.startswith("high")


def test_a_baseline_can_be_asked_for(tmp_path, folders):
    review = build_review(
        [folders.vqa(tmp_path, "a", items=300, images=False)], against="question-only baseline"
    )
    assert verdicts(review)[0].startswith("a is better than the question-only baseline of a by")
    assert len(review.comparisons) == 1


def test_tasks_are_not_compared_with_each_other(tmp_path, folders):
    review = build_review(
        [folders.vqa(tmp_path, "v", baseline=False, images=False), folders.classification(tmp_path, "c")]
    )
    assert verdicts(review) == [
        "v and c are not compared: one is scored by test/vqa_accuracy, the other by test/accuracy"
    ]


def test_other_test_items_are_refused_by_name(tmp_path, folders):
    paths = [
        folders.vqa(tmp_path, "a", 30, baseline=False, images=False),
        change(folders.vqa(tmp_path, "b", 36, baseline=False, images=False), lr=2),
    ]
    [verdict] = verdicts(build_review(paths))
    assert verdict == "a and b are not compared: of 36 test items 6 only in b (e.g. 1030, 1031, 1032)"


def test_with_many_entrants_only_the_reference_meets_its_baselines(tmp_path, folders):
    paths = [
        validated(change(folders.vqa(tmp_path, f"r{n}", 60, images=False), lr=n), n / 10) for n in range(6)
    ]
    review = build_review(paths)
    assert [entrant.label for entrant in review.entrants if entrant.baseline] == [
        "r5: question-only baseline"
    ]
    assert "baselines of 5 entrants are left out: review fewer runs to see them" in review.notes


def test_older_runs_keep_no_predictions_of_baselines(tmp_path, folders):
    path = folders.vqa(tmp_path, "a", 30, baseline=False, images=False)
    figure = {"value": 0.25, "n": 30, "ci95": [0.1, 0.4]}
    change(path, "summary.json", **{"baseline/question_only/vqa_accuracy": figure})
    review = build_review([path])
    baseline = next(entrant for entrant in review.entrants if entrant.baseline)
    assert (baseline.mean, baseline.ci95, baseline.n) == (0.25, (0.1, 0.4), 30)
    assert verdicts(review)[0] == (
        "a and its question-only baseline are not compared: no predictions of the baseline were kept; "
        "by the summary they score 0.733 and 0.250"
    )


def test_a_baseline_that_is_the_same_for_all_is_there_once(tmp_path, folders):
    paths = [change(folders.vqa(tmp_path, name, 60, images=False), lr=n) for n, name in enumerate("ab")]
    review = build_review(paths)
    assert [entrant.label for entrant in review.entrants if entrant.baseline] == ["question-only baseline"]
    met = [(found.first, found.second) for found in review.comparisons]
    assert met == [("a", "b"), ("a", "question-only baseline"), ("b", "question-only baseline")]
    assert "b is better than its question-only baseline by" in verdicts(review)[2]
    for name in ("a: question-only baseline", "question-only baseline", "question_only"):
        asked = build_review(paths, against=name)
        assert [found.first for found in asked.comparisons] == ["question-only baseline"] * 2


def test_the_chance_level_needs_no_predictions(tmp_path, folders):
    path = folders.retrieval(tmp_path, "a", images=60, right=0.6)
    figure = {"value": 1 / 60, "n": 120, "ci95": None}
    change(path, "summary.json", **{"baseline/chance/text_to_image/recall@1": figure})
    review = build_review([path])
    [found] = review.comparisons
    assert found.verdict.startswith("a is better than its chance baseline by 0.")
    assert found.verdict.endswith(", 120 queries in 60 images)")
    assert found.values[1] == pytest.approx(1 / 60)
    assert (len(found.tests), found.counts) == (1, None)
    assert [entrant.ci95 is None for entrant in review.entrants] == [False, True]


def test_predictions_of_another_evaluation_are_noticed(tmp_path, folders):
    path = folders.vqa(tmp_path, "a", 30, baseline=False, images=False)
    change(path, "summary.json", **{"test/vqa_accuracy": {"value": 0.123, "n": 30, "ci95": None}})
    assert any(
        "its summary says 0.1230: they are of different evaluations" in note
        for note in build_review([path]).notes
    )


def test_runs_that_run_or_were_killed_are_told_of(tmp_path, folders):
    paths = [
        folders.vqa(tmp_path, name, 30, baseline=False, images=False)
        for name in ("done", "runs", "dead", "new")
    ]
    states = {"runs": {"status": "running", "host": "elsewhere"}, "dead": {"status": "running", "pid": 0}}
    for number, path in enumerate(paths[1:]):
        (path / "summary.json").unlink()
        (path / "predictions" / "test.jsonl").unlink()
        change(path, lr=number)
        change(path, "status.json", **states.get(path.name, {"status": "running", "host": "elsewhere"}))
    (paths[3] / "metrics.jsonl").unlink()
    review = build_review(paths)
    assert [run.state for run in review.runs] == ["finished", "running", "killed", "running"]
    assert (
        "runs is running: step 40, best val/vqa_accuracy so far 0.9375; it has no test/vqa_accuracy"
        in review.notes
    )
    assert any(
        note.startswith("dead was killed at step 40, best val/vqa_accuracy so far") for note in review.notes
    )
    assert any(note.startswith("new is running, and has logged nothing yet") for note in review.notes)
    assert "done and runs are not compared: runs: not tested yet, still running" in verdicts(review)
    assert [entrant.mean is None for entrant in review.entrants] == [False, True, True, True]


def test_a_metric_of_all_nan_is_said(tmp_path, folders):
    path = folders.classification(tmp_path, "a", items=20)
    file = path / "predictions" / "test.jsonl"
    records = [json.loads(line) | {"correct": None, "label": None} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    change(path, "summary.json", **{"test/accuracy": {"value": float("nan"), "n": 20, "ci95": None}})
    review = build_review([path, change(folders.classification(tmp_path, "b", items=20), lr=1)])
    assert "a: test/accuracy is not a number" in review.notes
    assert "has no references, so nothing is scored" in verdicts(review)[0]
    assert review.entrants[0].label == "b"


@pytest.mark.parametrize(
    "file", ["config.yaml", "status.json", "summary.json", "manifest.json", "metrics.jsonl"]
)
@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff\xfe\x00", b"null"])
def test_damaged_folders_are_reviewed_all_the_same(tmp_path, folders, file, content):
    path = folders.vqa(tmp_path, "a", 12, images=False)
    other = change(folders.vqa(tmp_path, "b", 12, images=False), lr=1)
    (path / file).unlink() if content is None else (path / file).write_bytes(content)
    review = build_review([path, other])
    assert {run.id for run in review.runs} == {"a", "b"}
    assert all(found.verdict for found in review.comparisons)


def test_runs_from_other_code_are_marked(tmp_path, folders):
    paths = [
        folders.vqa(tmp_path, f"s{seed}", 30, seed=seed, baseline=False, images=False) for seed in (0, 1)
    ]
    change(paths[1], "manifest.json", git={"commit": "1" * 40})
    notes = build_review(paths).notes
    assert (
        "vqa: its runs were trained with other code (00000000, 11111111), which is not told from the seed"
        in notes
    )


def test_a_run_that_repeats_another_is_compared_with_it(tmp_path, folders):
    paths = [folders.vqa(tmp_path, name, 30, baseline=False, images=False) for name in "ab"]
    [found] = build_review(paths).comparisons
    assert found.verdict == (
        "no difference shown: a and b have the same configuration and seed, and the same scores"
    )


@pytest.mark.slow
def test_verdicts_are_right_as_often_as_they_say(tmp_path, folders):
    shown = 0
    for trial in range(200):
        paths = [
            change(folders.vqa(tmp_path, f"{trial}-{side}", 90, 0.6, 2 * trial + side, False, False), lr=side)
            for side in (0, 1)
        ]
        shown += build_review(paths).comparisons[0].shown
    assert shown / 200 <= 0.09
