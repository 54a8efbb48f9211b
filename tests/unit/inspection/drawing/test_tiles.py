import io

import numpy as np
import pytest
from PIL import Image

from mmdl.inspection.drawing.picture import PIXEL_RATIO
from mmdl.inspection.drawing.tiles import GAP, LABEL, coloured, resized, scale_of, tiles


def pixels(picture):
    image = Image.open(io.BytesIO(picture.light))
    assert image.size == (picture.width * PIXEL_RATIO, picture.height * PIXEL_RATIO)
    return np.asarray(image.convert("RGBA"))


def test_each_tile_is_at_its_place_in_its_colours():
    colours = np.zeros((5, 4, 4, 3), dtype=np.uint8)
    colours[np.arange(5), :, :, 0] = 50 * np.arange(5)[:, None, None]
    shown = pixels(tiles(colours, list("01234"), side=20, columns=3))
    side, step, label = 20 * PIXEL_RATIO, (20 + GAP) * PIXEL_RATIO, LABEL * PIXEL_RATIO
    for number in range(5):
        top, left = (number // 3) * (step + label) + label, (number % 3) * step
        part = shown[top : top + side, left : left + side]
        assert (part[..., 0] == 50 * number).all()
        assert (part[..., 3] == 255).all()
    assert (shown[:, side : step - 1, 3] == 0)[label:].all()  # nothing between the tiles
    assert shown[: label - 2, :side, 3].any()  # the label


def test_one_scale_for_all_with_zero_in_the_middle():
    values = np.concatenate([np.linspace(-1, 2, 1000), [900.0]])
    name, low, high = scale_of(values)
    assert (name, low) == ("RdBu_r", -high)
    assert high == pytest.approx(2, abs=0.05)  # the outlier does not count
    middle = coloured(np.array([0.0]), (name, low, high))[0]
    assert middle.min() > 240  # white
    assert scale_of(np.abs(values))[:2] == ("viridis", 0.0)


@pytest.mark.parametrize("values", [np.zeros(100), np.full(100, -3.0), np.full(100, 7.0), np.zeros(0)])
def test_constant_maps_have_a_scale(values):
    _, low, high = scale_of(values)
    assert low < high


def test_a_mostly_dark_map_is_not_drawn_blank():
    values = np.zeros((40, 40))
    values[3, 4] = 5.0  # below the quantile that the scale leaves out
    shown = coloured(values, scale_of(values))
    assert shown.std() > 0


def test_enlarging_keeps_pixels_and_shrinking_averages():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert resized(image, 7).shape == (6, 6, 3)
    assert (resized(image, 7)[:3, :3] == image[0, 0]).all()
    board = np.indices((64, 64)).sum(0)[..., None].repeat(3, 2) % 2 * 200
    assert (resized(board.astype(np.uint8), 32) == 100).all()


def test_the_same_drawing_has_the_same_bytes():
    colours = np.random.default_rng(0).integers(0, 255, (6, 5, 5, 3)).astype(np.uint8)
    first, second = (tiles(colours, list("abcdef"), scale=("viridis", 0, 1)).light for _ in range(2))
    assert first == second
