import numpy as np
import pytest
from scipy import stats

from mmdl.metrics.mcnemar import mcnemar

TABLES = [(0, 1), (1, 9), (5, 5), (12, 30), (59, 6), (0, 40), (1000, 1100), (20_000, 20_500)]


@pytest.mark.parametrize(("only_first", "only_second"), TABLES)
def test_equals_scipys_binomial_test(only_first, only_second):
    expected = stats.binomtest(only_first, only_first + only_second, 0.5).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(only_second, only_first) == mcnemar(only_first, only_second)


@pytest.mark.parametrize(("only_first", "only_second"), TABLES)
def test_equals_statsmodels(only_first, only_second):
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    expected = tables.mcnemar([[101, only_first], [only_second, 33]], exact=True).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def test_a_published_table():
    # Agresti, "Categorical Data Analysis", table 11.1: approval of the prime minister, 150 and 86 changed their mind
    assert mcnemar(150, 86) == pytest.approx(3.7e-5, rel=0.02)


def test_models_that_agree_show_no_difference():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(7, 7) == 1.0


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="-1"):
        mcnemar(-1, 3)


def test_it_seldom_rejects_where_there_is_no_difference():
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(2000):
        first, second = rng.random(300) < 0.7, rng.random(300) < 0.7
        rejected += mcnemar(int((first & ~second).sum()), int((second & ~first).sum())) <= 0.05
    assert rejected / 2000 <= 0.06
