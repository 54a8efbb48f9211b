import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from mmdl.inspection.drawing.bars import named_bars, numbered_bars
from mmdl.inspection.drawing.picture import DARK, LIGHT


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def lengths(image, colours):
    """Pixels of the bar of each row, from the top, and which of the colours it has."""
    found = []
    for colour in colours:
        wanted = np.round(np.array(to_rgb(colour)) * 255).astype(int)
        found.append((np.abs(image - wanted).max(2) <= 2).sum(1))
    counts = np.stack(found)  # (colours, rows of pixels)
    inside = counts.max(0) > 3
    starts = np.flatnonzero(inside & ~np.roll(inside, 1))
    ends = np.flatnonzero(inside & ~np.roll(inside, -1))
    middles = (starts + ends) // 2
    return counts[:, middles].max(0), counts[:, middles].argmax(0)


@pytest.mark.parametrize(("part", "theme"), [("light", LIGHT), ("dark", DARK)])
def test_bars_are_as_long_as_their_values_and_the_true_class_has_its_colour(part, theme):
    picture = named_bars(
        ["cat", "dog", "a bird of some rare kind indeed"], np.array([0.6, 0.3, 0.1]), marked=1
    )
    found, colour = lengths(decoded(getattr(picture, part)), [theme.accent, theme.right])
    assert len(found) == 3
    assert found / found[0] == pytest.approx(np.array([1, 0.5, 1 / 6]), abs=0.02)
    assert colour.tolist() == [0, 1, 0]


def test_negative_values_go_to_the_left():
    picture = named_bars(["a", "b"], np.array([-2.0, 1.0]))
    image = decoded(picture.light)
    wanted = np.round(np.array(to_rgb(LIGHT.accent)) * 255).astype(int)
    bar = np.abs(image - wanted).max(2) <= 2
    rows = np.flatnonzero(bar.sum(1) > 3)
    upper, lower = bar[rows[5]], bar[rows[-5]]
    assert upper.sum() == pytest.approx(2 * lower.sum(), rel=0.03)
    assert np.flatnonzero(upper).max() <= np.flatnonzero(lower).min() + 3


def test_all_zero_and_many_bars_are_drawn():
    assert decoded(named_bars(["a", "b"], np.zeros(2)).light).std() > 1
    image = decoded(numbered_bars(np.sin(np.arange(300))).light)
    assert image.std() > 20
