import numpy as np
import pytest
from scipy import stats

from mmdl.metrics import bootstrap
from mmdl.metrics.bootstrap import bootstrap_interval

_SOFT_SCORES = [0.0, 0.3, 0.6, 0.9, 1.0]


def _scipy_interval(scores, level):
    result = stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, confidence_level=level, method="percentile", rng=1, batch=500
    )
    return result.confidence_interval


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize("kind", ["soft", "continuous"])
def test_equals_scipys_percentile_bootstrap(kind, level):
    rng = np.random.default_rng(0)
    scores = rng.choice(_SOFT_SCORES, 200) if kind == "soft" else rng.exponential(size=200)
    low, high = bootstrap_interval(scores, resamples=20_000, level=level)
    expected = _scipy_interval(scores, level)
    # The end of an interval from 20,000 resamples is known to about 2% of the standard error.
    tolerance = 0.08 * scores.std() / len(scores) ** 0.5
    assert low == pytest.approx(expected.low, abs=tolerance)
    assert high == pytest.approx(expected.high, abs=tolerance)


def test_same_seed_same_interval():
    scores = np.random.default_rng(0).random(50)
    assert bootstrap_interval(scores, seed=3) == bootstrap_interval(list(scores), seed=3)
    assert bootstrap_interval(scores, seed=3) != bootstrap_interval(scores, seed=4)


def test_chunks_do_not_change_the_distribution(monkeypatch):
    scores = np.random.default_rng(0).random(50)
    whole = bootstrap_interval(scores, resamples=500)
    monkeypatch.setattr(bootstrap, "_CHUNK_ELEMENTS", 50 * 7)  # 72 chunks, the last one smaller
    assert bootstrap_interval(scores, resamples=500) == whole


def test_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(300):
        low, high = bootstrap_interval(rng.random(100) < 0.7, resamples=400, seed=seed)
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / 300 <= 0.98


def test_clusters_of_equal_scores_count_once():
    scores = np.random.default_rng(0).choice(_SOFT_SCORES, 300)
    images = np.arange(300)
    single = bootstrap_interval(scores, resamples=4000)
    repeated = bootstrap_interval(np.repeat(scores, 5), resamples=4000, clusters=np.repeat(images, 5))
    naive = bootstrap_interval(np.repeat(scores, 5), resamples=4000)
    assert repeated == pytest.approx(single, abs=0.004)
    ratio = (repeated[1] - repeated[0]) / (naive[1] - naive[0])
    assert ratio == pytest.approx(5**0.5, rel=0.08)


def test_clusters_of_one_sample_are_no_clusters():
    scores = np.random.default_rng(0).random(40)
    names = [f"image {number:02d}" for number in range(40)]
    assert bootstrap_interval(scores, clusters=names) == bootstrap_interval(scores)


def test_clusters_of_different_size_give_the_ratio_of_sums():
    scores = [1.0] + [0.0] * 9
    # Two clusters, drawn twice: means 1, 1/10 and 0, with probability 1/4, 1/2 and 1/4.
    low, high = bootstrap_interval(scores, resamples=4000, level=0.4, clusters=[0] + [1] * 9)
    assert (low, high) == (pytest.approx(0.1), pytest.approx(0.1))
    assert bootstrap_interval(scores, resamples=4000, level=0.8, clusters=[0] + [1] * 9) == (0.0, 1.0)


def test_one_unit_gives_an_interval_without_width():
    assert bootstrap_interval([0.3]) == (0.3, 0.3)
    assert bootstrap_interval([0.25, 0.75], clusters=["a", "a"]) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": []}, "not empty"),
        ({"scores": [[1.0]]}, "1-D"),
        ({"scores": [1.0, float("nan")]}, "1 of 2 scores are not finite"),
        ({"scores": [1.0], "resamples": 0}, "resamples"),
        ({"scores": [1.0], "level": 1.0}, "level"),
        ({"scores": [1.0, 0.0], "clusters": [1]}, r"clusters has shape \(1,\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(**arguments)
