import sys
import warnings

import pytest

from mmdl.figures.style import new_figure, plain, save_png, style, tidy


def _draw(title="a figure"):
    with style():
        figure = new_figure(3, 2)
        axes = figure.add_subplot()
        axes.plot([0, 1], [1, 0])
        axes.set_title(plain(title))
        tidy(axes, "y")
    return figure


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    first, second = save_png(_draw(), tmp_path / "a.png"), save_png(_draw(), tmp_path / "b.png")
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_settings_of_the_user_neither_count_nor_change(tmp_path):
    import matplotlib

    expected = save_png(_draw(), tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "savefig.dpi": 20}):
        before = dict(matplotlib.rcParams)
        assert save_png(_draw(), tmp_path / "b.png").read_bytes() == expected
        assert dict(matplotlib.rcParams) == before


def test_it_is_dark_on_white(pixels):
    image = pixels(_draw())
    assert image.shape == (300, 450, 3)
    assert (image[:3] == 255).all()
    assert (image.sum(2) < 200).any()


def test_no_pyplot_state_is_made():
    _draw()
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


@pytest.mark.parametrize("title", ["$x^", "a $b$ c", "猫", "\\frac{1}", "100%"])
def test_a_name_is_drawn_as_it_is(title, pixels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels(_draw(title))
