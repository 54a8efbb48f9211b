from __future__ import annotations

import pytest

from mmdl.cli.annotations import mismatch

FITS = [
    (3, "int"), (0, "int"), (3, "float"), (0.5, "float"), (float("inf"), "float"), (True, "bool"), ("x", "str"),
    (None, "int | None"), (None, "Optional[int]"), (3, "Union[str, int]"), (None, "None"), ("x", "Literal['x', 'y']"),
    (1, "Literal[1, 2] | None"), ([1, 2], "list[int]"), ((1, 2), "Sequence[int]"), ([], "abc.Sequence[str]"),
    ([1, "a"], "tuple[int, str]"), ([1, 2, 3], "tuple[int, ...]"), ([0.5, 1], "tuple[float, float]"),
    ({"a": 1}, "dict[str, int]"), ({"a": [1]}, "Mapping[str, list[int]]"), ({}, "dict"), ("a/b", "Path"),
    ("a", "str | os.PathLike[str]"), (object(), ""), (3, "Any"), ("x", "torch.dtype"), (None, "nn.Module"),
    ({"_target_": "a.B"}, "int"), ([{"_target_": "a.B"}], "list[nn.Module]"), (3, "'int'"), (3, "Annotated[int, 'x']"),
    ([[1, 2], [3, 4]], "list[tuple[int, int]]"), (3, "not an annotation !"), ([1], "Sequence"),
]  # fmt: skip
FAILS = [
    ("3", "int", "int", "3"), ("1e3", "int", "int", "1000"), (0.5, "int", "int", ""), (True, "int", "int", ""),
    ("1e-3", "float", "float", "0.001"), ("abc", "float", "float", ""), (True, "float", "float", ""),
    ("yes", "bool", "bool", "true"), (0, "bool", "bool", "false"), (3, "str", "str", "\"'3'\""),
    (None, "int", "int", ""), (None, "list[int]", "list[int]", ""), (3, "list[int]", "list[int]", "[3]"),
    ("abc", "list[str]", "list[str]", "[abc]"), ([1, "a"], "list[int]", "list[int]", ""),
    ([1], "tuple[int, int]", "tuple[int, int]", ""),
    ("bse", "Literal['bce', 'ce']", "bce, ce", "bce"), ({"a": "x"}, "dict[str, int]", "dict[str, int]", ""),
    ([1], "dict[str, int]", "dict[str, int]", ""), (3, "Path", "Path", ""), ("x", "int | None", "int | None", ""),
    ([1], "str | int", "str | int", ""),
]  # fmt: skip


@pytest.mark.parametrize(("value", "annotation"), FITS)
def test_values_that_fit(value, annotation):
    assert mismatch(value, annotation) is None


@pytest.mark.parametrize(("value", "annotation", "valid", "fix"), FAILS)
def test_values_that_do_not_fit(value, annotation, valid, fix):
    assert mismatch(value, annotation) == (valid, fix)
