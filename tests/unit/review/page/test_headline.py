"""The sentences on top of the page."""

from mmdl.review.model import Comparison, Entrant, Review, RunView
from mmdl.review.page.headline import headlines


def pair(second, difference=0.0, shown=False, refused=""):
    return Comparison(
        "a",
        second,
        ["a"],
        [second],
        "test/accuracy",
        f"a and {second}",
        shown,
        refused,
        values=(0.9, 0.9 - difference),
        difference=difference,
    )


def test_few_comparisons_stand_as_they_are(tmp_path):
    review = Review([], comparisons=[pair("b"), pair("c")])
    assert headlines(review) == (["a and b.", "a and c."], [])


def test_many_comparisons_are_told_in_one_sentence(tmp_path):
    found = [
        pair("b"),
        pair("c", 0.2, True),
        pair("d", -0.1, True),
        pair("e", refused="other items"),
        pair("f", 0.3, True),
    ]
    baseline = Entrant("question only", ["a"], baseline="question_only")
    review = Review([], [Entrant("a", ["a"]), baseline], [*found, pair("question only", 0.5, True)])
    [first], _ = headlines(review)
    assert first == (
        "a (0.9000 test/accuracy), against 5 others: better than c, f; worse than d; no difference shown to b; "
        "not compared with e."
    )


def test_smaller_may_be_better(tmp_path):
    runs = [RunView(tmp_path, "a", mode="min")]
    review = Review(runs, [Entrant("a", ["a"])], [pair(name, -0.1, True) for name in "bcdefg"])
    assert headlines(review)[0][0] == "a (0.9000 test/accuracy), against 6 others: better than all of them."


def test_without_comparisons_the_score_is_said(tmp_path):
    best = Entrant("a", ["a"], metric="test/accuracy", mean=0.91, ci95=(0.9, 0.92))
    said = "a reaches 0.9100 test/accuracy, 95% interval [0.9000, 0.9200]."
    assert headlines(Review([], [best])) == ([said], [])
    running = RunView(tmp_path, "a", state="running")
    assert headlines(Review([running], [Entrant("a", ["a"])]))[0] == ["a has no score yet: it is running."]


def test_what_was_compared_is_told_first_and_a_score_before_a_missing_baseline():
    best = Entrant("a", ["a"], metric="test/accuracy", mean=0.91)
    baseline = Entrant("prior", ["a"], baseline="prior", metric="test/accuracy", mean=0.1)
    no_baseline = pair("prior", refused="no predictions were kept")
    assert headlines(Review([], [best, baseline], [no_baseline])) == (
        ["a reaches 0.9100 test/accuracy."],
        ["a and prior."],
    )
    other_items = pair("b", refused="other items")
    assert headlines(Review([], [best, baseline], [no_baseline, other_items])) == (
        ["a and b."],
        ["a and prior."],
    )
    made = pair("c", 0.1, True)
    assert headlines(Review([], [best, baseline], [no_baseline, other_items, made])) == (
        ["a and c."],
        ["a and prior.", "a and b."],
    )
