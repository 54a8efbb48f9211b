import numpy as np
import pytest
from scipy import stats

from mmdl.metrics.seeds_and_items import runs_difference


def _runs(rng, runs, easiness, mean, seed_spread, item_noise=0.0):
    """Right or wrong: runs of one configuration on items that are more or less easy."""
    chance = mean + easiness + rng.normal(0, seed_spread, (runs, 1))
    return (
        rng.random((runs, easiness.size)) < chance
        if not item_noise
        else chance + rng.normal(0, item_noise, (runs, easiness.size))
    )


def test_without_item_noise_it_is_welchs_test():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.7, 0.02, 4), rng.normal(0.68, 0.01, 3)
    ones = np.ones(50)
    found = runs_difference(first[:, None] * ones, second[:, None] * ones)
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.degrees == pytest.approx(expected.df)


def test_one_run_borrows_the_variation_of_the_other_group():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.7, 0.02, 4), rng.normal(0.6, 0.02, 1)
    found = runs_difference(first[:, None] * np.ones(9), second[:, None] * np.ones(9))
    expected = stats.ttest_ind(first, second, equal_var=True)
    assert found.p == pytest.approx(expected.pvalue)


def test_without_seed_variation_it_is_the_paired_t_test_of_the_items():
    rng = np.random.default_rng(0)
    first, second = rng.random(40), rng.random(40)
    found = runs_difference([first, first], [second, second])
    expected = stats.ttest_rel(first, second)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.error_of_seeds == 0


def test_items_of_a_cluster_count_as_one():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 30)), rng.random((2, 30))
    single = runs_difference(first, second)
    repeated = runs_difference(
        np.repeat(first, 4, axis=1), np.repeat(second, 4, axis=1), np.repeat(np.arange(30), 4)
    )
    assert repeated == pytest.approx(single)


def test_scores_that_never_vary_have_an_interval_without_width():
    assert runs_difference([[1.0, 1.0]] * 2, [[0.0, 0.0]] * 2)[:4] == (1.0, 1.0, 1.0, 0.0)
    assert runs_difference([[1.0, 1.0]] * 2, [[1.0, 1.0]] * 2).p == 1.0


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([[1.0, 0.0]], [[1.0, 0.0]], "two runs"),
        ([[1.0, 0.0]] * 2, [[1.0]], "shape"),
        ([[1.0, float("nan")]] * 2, [[1.0, 0.0]], "finite"),
    ],
)
def test_bad_arguments_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        runs_difference(first, second)


@pytest.mark.parametrize(("runs", "seed_spread"), [(2, 0.03), (3, 0.03), (3, 0.0), (5, 0.01)])
def test_it_covers_the_true_difference_over_seeds_and_items(runs, seed_spread):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        easiness = rng.uniform(-0.2, 0.2, 300)
        first = _runs(rng, runs, easiness, 0.60, seed_spread)
        second = _runs(rng, runs, easiness, 0.55, seed_spread)
        found = runs_difference(first, second)
        covered += found.low <= 0.05 <= found.high
    assert covered / 1000 >= 0.94
