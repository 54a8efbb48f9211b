import pytest

from mmdl.evaluators.class_keys import class_keys


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["0", "1"], ["0", "1"]),
        (["n01440764 tench, Tinca tinca"], ["n01440764_tench_Tinca_tinca"]),
        (["cat/indoor", "cat indoor", "cat_indoor"], ["cat_indoor", "cat_indoor_2", "cat_indoor_3"]),
        (["a b", "a_b_2", "a/b"], ["a_b", "a_b_2", "a_b_3"]),
        (["Kätzchen", "猫"], ["Kätzchen", "猫"]),
        (["/", " ", "$"], ["class", "class_2", "class_3"]),
    ],
)
def test_keys_are_readable_and_all_different(classes, expected):
    assert class_keys(classes) == expected
    assert len(set(expected)) == len(classes)
