import io

import numpy as np
import pytest
from PIL import Image

from mmdl.inspection.drawing.curves import histograms, spectrum


def decoded(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_histograms_of_anything():
    rng = np.random.default_rng(0)
    named = [
        ("layers.convolution1.weight", rng.normal(size=1000)),
        ("zero", np.zeros(5)),
        ("one", np.ones(1)),
    ]
    picture = histograms(named)
    image = decoded(picture.light)
    width = image.shape[1] // 4
    for number in range(3):
        assert image[:, number * width : (number + 1) * width].std() > 5
    assert image[:, 3 * width + 40 :].std() == 0


@pytest.mark.parametrize(
    "values", [[3.0], [2.0, 1.5], [1.0, 1e-3, 1e-17, 0.0], [0.0, 0.0], list(range(100, 0, -1))]
)
def test_spectra_of_anything(values):
    picture = spectrum(np.array(values))
    assert decoded(picture.light).std() > 3
    assert decoded(picture.dark).mean() < 60
