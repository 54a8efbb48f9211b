import io

import numpy as np
from PIL import Image

from mmdl.inspection.drawing.filters import filters_picture


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_filters_of_a_first_layer_are_in_colour():
    weight = np.zeros((4, 3, 3, 3))
    weight[1, 0, 1, 1], weight[2, 2, 0, 0] = 1.0, -1.0
    drawn = filters_picture(weight)
    assert drawn.shown.startswith("4 of 4 filters, colours are the weights of red, green and blue")
    image = decoded(drawn.picture.light)
    grey = (np.abs(image - 127) <= 1).all(2)
    red = (image[..., 0] > 250) & (np.abs(image[..., 1] - 127) <= 1)
    yellow = (image[..., 2] < 5) & (np.abs(image[..., 0] - 127) <= 1)
    assert grey.sum() == 34 * red.sum() == 34 * yellow.sum()


def test_later_layers_are_a_table_and_capped():
    drawn = filters_picture(np.random.default_rng(0).normal(size=(64, 32, 3, 3)))
    assert drawn.shown.startswith("12 of 64 filters, a row each; in it the kernels for 24 of 32 maps below")
    assert drawn.picture.width <= 1000


def test_grey_images_and_single_weights():
    assert filters_picture(np.random.default_rng(0).normal(size=(200, 1, 5, 5))).shown.startswith(
        "64 of 200 filters"
    )
    assert decoded(filters_picture(np.full((2, 8, 1, 1), 0.5)).picture.light).std() > 5
