import io

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from mmdl.inspection.drawing.picture import LIGHT, PIXEL_RATIO
from mmdl.inspection.drawing.snapshot import BAR_WIDTH, Snapshot, StageMaps, snapshot_png


def snapshot(**changes):
    rng = np.random.default_rng(0)
    whole = {
        "title": "dog, wrong: cat 75%, dog 25%",
        "image": rng.integers(0, 256, (3, 32, 32)).astype(np.uint8),
        "heat": rng.random((32, 32)),
        "stages": [
            StageMaps("convolution1", rng.normal(size=(16, 32, 32))),
            StageMaps("x", rng.random((3, 8, 8))),
        ],
        "names": ["cat", "dog"],
        "probabilities": [0.75, 0.25],
        "true": 1,
        **changes,
    }
    return np.asarray(Image.open(io.BytesIO(snapshot_png(Snapshot(**whole)))).convert("RGB")).astype(int)


def bar(image, colour):
    wanted = np.round(np.array(to_rgb(colour)) * 255).astype(int)
    return (np.abs(image - wanted).max(2) == 0).sum(1).max()


def test_the_bars_are_the_probabilities_and_the_true_class_is_green():
    image = snapshot()
    assert bar(image, LIGHT.accent) == round(0.75 * BAR_WIDTH * PIXEL_RATIO)
    assert bar(image, LIGHT.right) == round(0.25 * BAR_WIDTH * PIXEL_RATIO)


def test_every_part_is_drawn():
    image = snapshot()
    half = image.shape[1] // 2
    assert image[:, :half].std() > 20
    assert image[:, half:].std() > 20
    without = snapshot(heat=None, stages=[])
    assert without[100:, half:].std() == 0
    assert (without != image).any()


def test_large_images_and_one_map_fit():
    large = np.zeros((1, 224, 224), dtype=np.uint8)
    stages = [StageMaps("stage", np.random.default_rng(0).random((1, 112, 112)))] * 3
    assert (
        snapshot(image=large, heat=np.zeros((224, 224)), stages=stages, true=None).shape == snapshot().shape
    )
