"""Pictures as arrays, so that tests can look at what is drawn."""

import numpy as np
import pytest
from PIL import Image

from mmdl.figures.style import save_png


@pytest.fixture
def pixels(tmp_path):
    """`pixels(figure)`: `(H, W, 3)` uint8."""

    def draw(figure):
        with Image.open(save_png(figure, tmp_path / "figure.png")) as image:
            return np.asarray(image.convert("RGB"))

    return draw
