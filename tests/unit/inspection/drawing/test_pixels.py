import io

import numpy as np
from PIL import Image

from mmdl.inspection.drawing.pixels import as_rgb, heat_picture, image_picture, overlaid


def test_the_image_is_shown_pixel_for_pixel():
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 5)).astype(np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(image_picture(image, 50).light)).convert("RGB"))
    assert shown.shape == (100, 100, 3)
    assert (shown[10::20, 10::20] == image.transpose(1, 2, 0)).all()
    assert (as_rgb(image[:1]) == image[:1].transpose(1, 2, 0)).all()


def test_heat_covers_where_it_is_large_only():
    image = np.full((1, 4, 4), 100, dtype=np.uint8)
    heat = np.zeros((4, 4))
    heat[1, 2] = 3.0
    shown = overlaid(image, heat)
    cold = np.ones((4, 4), dtype=bool)
    cold[1, 2] = False
    assert (shown[cold] == 100).all()
    assert (shown[1, 2] > 150).any()
    assert (overlaid(image, np.zeros((4, 4))) == 100).all()


def test_the_brightest_place_of_a_heat_map_is_where_the_value_is():
    heat = np.random.default_rng(0).random((6, 6))
    heat[4, 1] = 2.0
    shown = np.asarray(Image.open(io.BytesIO(heat_picture(heat, 60).light)).convert("L"))[10::20, 10::20]
    assert np.unravel_index(shown.argmax(), shown.shape) == (4, 1)
