import numpy as np
import pytest
from scipy import stats

from mmdl.metrics.bootstrap import bootstrap_interval
from mmdl.metrics.paired_bootstrap import paired_bootstrap_interval, paired_differences

_SOFT_SCORES = [0.0, 0.3, 0.6, 0.9, 1.0]


def _pair(count, seed=0):
    """Soft scores of two models that find the same samples hard."""
    rng = np.random.default_rng(seed)
    first = rng.choice(_SOFT_SCORES, count)
    return first, np.where(rng.random(count) < 0.7, first, rng.choice(_SOFT_SCORES, count))


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_equals_scipys_paired_percentile_bootstrap(level):
    first, second = _pair(200)
    found = paired_bootstrap_interval(first, second, resamples=20_000, level=level)
    expected = stats.bootstrap(
        (first, second),
        lambda a, b, axis=-1: np.mean(a, axis=axis) - np.mean(b, axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        confidence_level=level,
        method="percentile",
        rng=1,
        batch=500,
    ).confidence_interval
    # The end of an interval from 20,000 resamples is known to about 2% of the standard error.
    tolerance = 0.08 * (first - second).std() / 200**0.5
    assert found == pytest.approx((expected.low, expected.high), abs=tolerance)


def test_many_samples_give_the_normal_interval():
    first, second = _pair(50_000)
    differences = first - second
    error = differences.std(ddof=1) / len(first) ** 0.5
    expected = stats.norm.interval(0.95, loc=differences.mean(), scale=error)
    found = paired_bootstrap_interval(first, second, resamples=20_000)
    assert found == pytest.approx(expected, abs=0.08 * error)


def test_what_both_find_hard_drops_out():
    first, second = _pair(500)
    low, high = paired_bootstrap_interval(first, second)
    ends, others = bootstrap_interval(first), bootstrap_interval(second)
    unpaired = ((ends[1] - ends[0]) ** 2 + (others[1] - others[0]) ** 2) ** 0.5
    assert high - low < 0.7 * unpaired
    assert paired_bootstrap_interval(first, first) == (0.0, 0.0)


def test_clusters_of_equal_differences_count_once():
    first, second = _pair(300)
    images = np.arange(300)
    single = paired_bootstrap_interval(first, second)
    repeated = paired_bootstrap_interval(
        np.repeat(first, 5), np.repeat(second, 5), clusters=np.repeat(images, 5)
    )
    assert repeated == pytest.approx(single, abs=0.004)


def test_equal_differences_are_one_unit_whatever_their_last_bit():
    found = paired_differences([0.9, 0.6, 0.3], [0.6, 0.3, 0.0])
    assert len(set(found.tolist())) == 1


def test_scores_of_other_samples_are_refused():
    with pytest.raises(ValueError, match=r"first has shape \(2,\), but second \(3,\)"):
        paired_bootstrap_interval([0.0, 1.0], [0.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="not finite"):
        paired_bootstrap_interval([0.0, float("nan")], [0.0, 1.0])


def test_it_covers_the_true_difference_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(400):
        hard = rng.random(400) < 0.5
        first = rng.random(400) < np.where(hard, 0.4, 0.9)
        second = rng.random(400) < np.where(hard, 0.3, 0.85)
        low, high = paired_bootstrap_interval(first, second, resamples=1000, seed=seed)
        covered += low <= 0.075 <= high
    assert 0.93 <= covered / 400 <= 0.97


@pytest.mark.slow
def test_clusters_keep_the_coverage_where_samples_depend():
    rng = np.random.default_rng(1)
    truth = np.clip(rng.normal(0.05, 0.3, 1_000_000), -0.45, 0.45).mean()
    covered = naive = 0
    images = np.repeat(np.arange(150), 6)
    for seed in range(400):
        ease = np.repeat(rng.normal(0.05, 0.3, 150), 6)  # of the first model on an image, over the second
        first, second = rng.random(900) < 0.5 + np.clip(ease, -0.45, 0.45), rng.random(900) < 0.5
        low, high = paired_bootstrap_interval(first, second, resamples=1000, seed=seed, clusters=images)
        covered += low <= truth <= high
        low, high = paired_bootstrap_interval(first, second, resamples=1000, seed=seed)
        naive += low <= truth <= high
    assert 0.93 <= covered / 400 <= 0.97
    assert naive / 400 < 0.9
