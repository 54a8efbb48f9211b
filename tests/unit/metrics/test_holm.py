import numpy as np
import pytest

from mmdl.metrics.holm import holm


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_equals_statsmodels(count):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    values = np.random.default_rng(count).random(count) ** 3
    expected = multitest.multipletests(values, method="holm")[1]
    np.testing.assert_allclose(holm(values), expected, rtol=1e-12)


def test_equal_values_and_ends():
    assert holm([0.02, 0.02, 0.02]).tolist() == pytest.approx([0.06, 0.06, 0.06])
    assert holm([0.0, 1.0, 0.9]).tolist() == [0.0, 1.0, 1.0]
    assert holm([]).tolist() == []


@pytest.mark.parametrize("values", [[-0.1], [1.1], [float("nan")]])
def test_what_is_no_p_value_is_refused(values):
    with pytest.raises(ValueError, match="p-values"):
        holm(values)
