import itertools

import numpy as np
import pytest
from scipy import stats

from mmdl.metrics.mcnemar import mcnemar
from mmdl.metrics.paired_permutation import paired_permutation_test

_SOFT_SCORES = [0.0, 0.3, 0.6, 0.9, 1.0]


def _scipy(first, second, **options):
    result = stats.permutation_test(
        (first, second),
        lambda a, b, axis=-1: np.mean(a, axis=axis) - np.mean(b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        **options,
    )
    return result.pvalue


@pytest.mark.parametrize("seed", range(5))
def test_equals_scipys_exact_test(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.choice(_SOFT_SCORES, 12), rng.choice(_SOFT_SCORES, 12)
    assert paired_permutation_test(first, second) == pytest.approx(_scipy(first, second, n_resamples=np.inf))


def test_agrees_with_scipys_random_test():
    rng = np.random.default_rng(0)
    first, second = rng.random(200) + 0.03, rng.random(200)  # 200 differences of unequal size: drawn
    found = paired_permutation_test(first, second, resamples=9999)
    expected = _scipy(first, second, n_resamples=9999, rng=1)
    assert found == pytest.approx(expected, abs=4 * (expected * (1 - expected) * 2 / 9999) ** 0.5)


def test_with_right_and_wrong_it_is_mcnemars_exact_test():
    rng = np.random.default_rng(0)
    first, second = rng.random(5000) < 0.7, rng.random(5000) < 0.71
    expected = mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))
    assert paired_permutation_test(first, second) == pytest.approx(expected, rel=1e-6)


def test_clusters_are_swapped_whole():
    first = np.array([1.0, 1.0, 0.3, 1.0, 0.6, 1.0, 0.9])
    second = np.array([0.0, 0.6, 0.6, 0.0, 0.6, 0.3, 1.0])
    images = np.array(["a", "a", "b", "b", "c", "d", "d"])
    sums = [sum((first - second)[images == image]) for image in "abcd"]
    flipped = [abs(np.dot(signs, sums)) for signs in itertools.product((1, -1), repeat=4)]
    expected = np.mean([value >= abs(sum(sums)) - 1e-12 for value in flipped])
    assert paired_permutation_test(first, second, clusters=images) == pytest.approx(expected)


def test_drawn_and_counted_agree():
    rng = np.random.default_rng(0)
    first, second = rng.choice(_SOFT_SCORES, 60), rng.choice(_SOFT_SCORES, 60)
    exact = paired_permutation_test(first, second, most_exact=1 << 22)
    drawn = paired_permutation_test(first, second, most_exact=0, resamples=40_000)
    assert drawn == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 40_000) ** 0.5)
    assert paired_permutation_test(first, second, most_exact=0) == paired_permutation_test(
        first, second, most_exact=0
    )


def test_equal_scores_show_nothing():
    assert paired_permutation_test([0.3, 1.0], [0.3, 1.0]) == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], []), "not empty"),
        (([1.0], [1.0, 0.0]), "second"),
        (([1.0, float("nan")], [1.0, 0.0]), "1 of 2 scores are not finite"),
        (([1.0, 0.0], [1.0, 0.0], [1]), r"clusters has shape \(1,\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        paired_permutation_test(*arguments)


def test_it_seldom_rejects_where_images_differ_and_models_do_not():
    rng = np.random.default_rng(0)
    images, rejected, naive = np.repeat(np.arange(100), 6), 0, 0
    for _ in range(400):
        ease = np.repeat(
            rng.uniform(-0.4, 0.4, 100), 6
        )  # which model an image suits, the same for its questions
        first, second = rng.random(600) < 0.5 + ease, rng.random(600) < 0.5 - ease
        rejected += paired_permutation_test(first, second, clusters=images, resamples=999) <= 0.05
        naive += paired_permutation_test(first, second) <= 0.05
    assert rejected / 400 <= 0.07
    assert naive / 400 > 0.1
