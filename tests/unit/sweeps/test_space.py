import pytest

from mmdl.errors import UserError
from mmdl.sweeps.space import Bounds, dimension, grid, is_swept, space_of


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("a=1e-3,3e-3", ("0.001", "0.003")),
        ("a=choice(x,y)", ("x", "y")),
        ("a=range(1,7,2)", ("1", "3", "5")),
        ("a=[1,2],[3]", ("[1,2]", "[3]")),
        ("a=null,true", ("null", "True")),
        ("a='x,y',z", ("'x,y'", "z")),
        ("+experiment=vqa,clip", ("vqa", "clip")),
    ],
)
def test_values_are_those_of_hydra(word, values):
    assert is_swept(word)
    assert dimension(word).values == values


@pytest.mark.parametrize(
    ("word", "bounds"),
    [
        ("a=interval(0.1,0.2)", Bounds(0.1, 0.2)),
        ("a=tag(log,interval(1e-4,1e-2))", Bounds(1e-4, 1e-2, log=True)),
        ("a=int(interval(1,8))", Bounds(1, 8)),
        ("a=tag(int,log,interval(1,8))", Bounds(1, 8, log=True)),
        ("a=range(1,7,2)", Bounds(1, 5, step=2)),
        ("a=choice(1,2)", None),
        ("a=range(1,2)", None),
    ],
)
def test_bounds_are_those_of_hydras_sweeper_for_optuna(word, bounds):
    assert dimension(word).bounds == bounds


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing is swept"),
        (["seed=range(5,5)"], "has no values"),
        (["lr=0.003,3e-3"], "lr=0.003 is there more than once"),
        (["lr=interval(0.1,0.01)"], "encloses nothing"),
        (["lr=tag(log,interval(0,0.1))"], "no logarithm of 0"),
        (["monitor.mode=max,min"], "monitor.mode can't be swept"),
        (["logger=csv,none"], "logger can't be swept"),
        (["lr=1,2", "lr=3,4"], "lr is swept twice"),
    ],
)
def test_wrong_spaces_are_refused(words, said):
    with pytest.raises(UserError, match=said):
        space_of(words)


def test_the_last_key_changes_fastest():
    space = [dimension("a=1,2"), dimension("b=x,y")]
    assert grid(space) == [["a=1", "b=x"], ["a=1", "b=y"], ["a=2", "b=x"], ["a=2", "b=y"]]


def test_words_that_are_no_sweeps():
    assert not any(map(is_swept, ("a=[1,2]", "a='x,y'", "~a", "a={b:1}", "a=", "a=[1,2")))
