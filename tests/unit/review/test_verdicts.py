import pytest

from mmdl.review.model import Comparison, SignificanceTest
from mmdl.review.verdicts import Words, counted, judge

WORDS = {
    "a": Words("a (3 seeds)", "vqa"),
    "b": Words("b", "vqa"),
    "q": Words("the question-only baseline of a", "vqa", "a", "its question-only baseline"),
}


def _comparison(first="a", second="b", difference=0.05, half=0.02, p=0.001, **facts):
    return Comparison(
        first,
        second,
        [first],
        [second],
        "test/vqa_accuracy",
        "",
        n=1200,
        clusters=150,
        difference=difference,
        ci95=(difference - half, difference + half),
        tests=[SignificanceTest("paired permutation", p, "")],
        **facts,
    )


def _judged(*comparisons):
    judge(comparisons, WORDS)
    return [found.verdict for found in comparisons]


def test_the_better_one_comes_first():
    better, worse = _comparison(), _comparison(difference=-0.05)
    assert _judged(better) == [
        "a (3 seeds) is better than b by 0.050 (95% interval 0.030 to 0.070, 1,200 questions in 150 images)"
    ]
    assert _judged(worse)[0].startswith("b is better than a (3 seeds) by 0.050 (95% interval 0.030 to 0.070,")
    assert better.shown
    assert worse.shown


def test_a_baseline_is_that_of_the_entrant():
    [better], [worse] = _judged(_comparison(second="q")), _judged(_comparison(second="q", difference=-0.05))
    assert better.startswith("a (3 seeds) is better than its question-only baseline by 0.050")
    assert worse.startswith("the question-only baseline of a is better than a (3 seeds) by 0.050")


def test_no_difference_shown():
    found = _comparison(difference=0.003, half=0.015, p=0.7)
    assert _judged(found) == [
        "no difference shown between a (3 seeds) and b: 0.003 "
        "(95% interval −0.012 to 0.018, 1,200 questions in 150 images)"
    ]
    assert not found.shown


def test_many_comparisons_need_more():
    found = [_comparison(p=0.03), *(_comparison(p=0.9, half=0.1) for _ in range(4))]
    verdict = _judged(*found)[0]
    assert verdict.startswith("no difference shown between a (3 seeds) and b: 0.050 (95% interval 0.030")
    assert verdict.endswith("p = 0.030, p = 0.15 after Holm's correction for 5 comparisons")
    assert not found[0].shown
    assert found[0].tests[-1].p == pytest.approx(0.15)
    strong = [_comparison(p=0.001), *(_comparison(p=0.9, half=0.1) for _ in range(4))]
    assert _judged(*strong)[0].endswith("; p = 0.005 after Holm's correction for 5 comparisons")
    assert strong[0].shown


def test_interval_and_test_must_agree():
    found = _comparison(p=0.08)
    assert _judged(found)[0].endswith("150 images); p = 0.080")
    assert not found.shown


def test_what_was_refused_is_said():
    found = Comparison("a", "q", ["a"], ["q"], "m", "", refused="of 9 test items 2 only in a (1, 2)")
    assert _judged(found) == [
        "a (3 seeds) and its question-only baseline are not compared: of 9 test items 2 only in a (1, 2)"
    ]


def test_verdicts_that_are_there_stay():
    found = _comparison()
    found.verdict = "said already"
    assert _judged(found, _comparison())[0] == "said already"
    assert len(found.tests) == 1


@pytest.mark.parametrize(
    ("kind", "n", "clusters", "text"),
    [
        ("vqa", 1, 1, "1 question"),
        ("classification", 1000, 1000, "1,000 images"),
        ("retrieval", 50, 10, "50 queries in 10 images"),
        ("", 5, 5, "5 items"),
    ],
)
def test_items_are_counted_by_their_kind(kind, n, clusters, text):
    found = _comparison()
    found.n, found.clusters = n, clusters
    assert counted(found, kind) == text
