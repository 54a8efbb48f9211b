import io

import numpy as np
import pytest
from PIL import Image

from mmdl.inspection.drawing.strips import matrix_strip, square_matrix, vector_strip


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


@pytest.mark.parametrize("length", [1, 10, 128, 3136, 25_088])
def test_vectors_of_any_length_are_drawn_in_bounds(length):
    picture = vector_strip(np.random.default_rng(0).random(length))
    assert picture.width <= 1000
    assert picture.height <= 700
    assert decoded(picture.light).std() > 5


def test_of_columns_that_share_a_pixel_the_largest_is_seen():
    matrix = np.zeros((2, 50_000))
    matrix[1, 31_234] = -1.0
    image = decoded(matrix_strip(matrix, ["a", "b"]).light)
    blue = (image[..., 2] - image[..., 0] > 80) & (image[..., 0] < 40)
    columns = np.flatnonzero(blue[: image.shape[0] // 2 + 40].any(0))
    assert len(columns) > 0


@pytest.mark.parametrize("size", [2, 10, 37])
def test_square_matrices_of_any_size(size):
    matrix = np.eye(size) - 1 / size
    picture = square_matrix(matrix, [f"class {n}" for n in range(size)])
    assert picture.width < 500
    for content in (picture.light, picture.dark):
        assert decoded(content).std() > 10
