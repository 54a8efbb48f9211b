"""`mmdl review` over real runs: two seeds of one model, and the model against its baselines."""

import json
import shutil

import pytest

from mmdl.commands.review import main
from mmdl.review.building import build_review

QUICK = ("+experiment=vqa", "quick=true", "logger=none", "trainer.max_epochs=2")


@pytest.fixture(scope="module")
def runs(tmp_path_factory, trained, run_command):
    """`one` with seed 0, and `two` with seed 1."""
    root = tmp_path_factory.mktemp("reviewed") / "runs"
    shutil.copytree(trained.path, root / "one")
    run_command("train", *QUICK, f"run.root={root}", "run.id=two", "seed=1")
    return root


def test_two_seeds_of_one_model_show_no_difference(runs):
    review = build_review([runs / "one", runs / "two"])
    found = review.comparisons[-1]
    assert found.verdict.startswith("no difference shown: one and two differ in their seed only")
    assert not found.shown
    assert found.n == 144
    assert found.clusters == 16
    assert [difference.key for difference in review.differences] == ["seed"]
    [entrant] = [one for one in review.entrants if not one.baseline]
    summaries = [json.loads((runs / name / "summary.json").read_text()) for name in ("one", "two")]
    assert entrant.values == [summary["test/vqa_accuracy"]["value"] for summary in summaries]
    assert None not in (*entrant.seconds, *entrant.samples, *entrant.flops)


def test_a_model_meets_its_baselines_on_the_same_items(runs):
    review = build_review([runs / "one"])
    compared = {found.second: found for found in review.comparisons}
    summary = json.loads((runs / "one" / "summary.json").read_text())
    for label, name in (("question-only baseline", "question_only"), ("most-common baseline", "most_common")):
        found = compared[label]
        expected = [summary[key]["value"] for key in ("test/vqa_accuracy", f"baseline/{name}/vqa_accuracy")]
        assert list(found.values) == pytest.approx(expected)
        assert found.difference == pytest.approx(expected[0] - expected[1])
        assert found.ci95[0] < found.difference < found.ci95[1]
        assert label in found.verdict
        assert found.shown == ("is better than" in found.verdict)


def test_the_command_says_it_and_writes_a_page(runs, capsys):
    assert main(["one", "two", "--root", str(runs)]) == 0
    out = capsys.readouterr().out
    assert "no difference shown: one and two differ in their seed only" in out
    page = runs / "reviews" / "one-two.html"
    assert "differ in their seed only" in page.read_text()
