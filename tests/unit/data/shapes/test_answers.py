from collections import Counter

import pytest

from mmdl.data.shapes.answers import ten_answers
from mmdl.data.shapes.balance import soft_score
from mmdl.data.shapes.draws import Draws
from mmdl.data.shapes.scene import COLORS, PATTERNS, SHAPES, SIZES

# From GT-Vision-Lab/VQA, vqaEval.py: words that the official scorer would change or drop.
NOT_NORMAL = {"none", "zero", "one", "two", "three", "four", "five", "a", "an", "the"}


@pytest.mark.parametrize(
    ("answer_type", "truths"),
    [("yes/no", ("yes", "no")), ("number", tuple("012345")), ("other", COLORS + SHAPES + SIZES + PATTERNS)],
)
def test_most_agree_and_the_truth_scores_one(answer_type, truths):
    draws = Draws(5)
    agreeing = Counter()
    for turn in range(4000):
        truth = truths[turn % len(truths)]
        words = [row["answer"] for row in ten_answers(truth, answer_type, draws)]
        assert soft_score(truth, words) == 1.0
        assert Counter(words).most_common(1)[0][0] == truth
        for word in words:
            assert word == word.strip().lower()
            assert not NOT_NORMAL & set(word.split())
        agreeing[words.count(truth)] += 1
    assert min(agreeing) >= 6
    assert sum(agreeing[number] for number in (8, 9, 10)) >= 0.92 * 4000
    assert 0.55 * 4000 < agreeing[10] < 0.90 * 4000


def test_counts_are_misread_by_one():
    draws = Draws(6)
    wrong = Counter(row["answer"] for _ in range(500) for row in ten_answers("0", "number", draws))
    assert set(wrong) == {"0", "1"}
    wrong = Counter(row["answer"] for _ in range(500) for row in ten_answers("3", "number", draws))
    assert set(wrong) == {"2", "3", "4"}
