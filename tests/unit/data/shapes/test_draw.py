import numpy as np
import pytest

from mmdl.data.shapes.draw import RGB, render
from mmdl.data.shapes.scene import COLORS, PATTERNS, SHAPES, Scene, SceneObject

RADIUS = {"small": 48, "large": 80}


def drawn(shape="circle", color="red", pattern="solid", size="large", x=256, y=256, image_size=64):
    item = SceneObject(shape, color, size, pattern, x, y, RADIUS[size])
    return render(Scene((item,), background=230), image_size).astype(int)


def painted(image):
    return np.abs(image - 230).max(axis=2) > 12


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", ["small", "large"])
def test_shapes_are_mirror_images_of_themselves(shape, size):
    image = drawn(shape, size=size)
    # The centre is the corner of four pixels, so column 31 mirrors column 32.
    assert np.array_equal(image, image[:, ::-1])


def test_a_circle_has_its_area_and_colour():
    inked = (230 - drawn("circle", "black")[:, :, 0]).sum() / (230 - RGB["black"][0])
    assert inked == pytest.approx(np.pi * (0.9 * 80 / 8) ** 2, rel=0.01)
    assert drawn("circle", "green")[32, 32].tolist() == list(RGB["green"])


def test_looks_differ_plainly():
    looks = [
        drawn(shape, "blue", pattern, size) for shape in SHAPES for pattern in PATTERNS for size in RADIUS
    ]
    for index, one in enumerate(looks):
        for other in looks[:index]:
            assert np.abs(one - other).sum() > 255 * 3 * 4  # as much as 4 pixels of black on white
    colors = np.array([RGB[color] for color in COLORS])
    distances = np.abs(colors[:, None] - colors[None]).sum(axis=2) + 1000 * np.eye(len(colors))
    assert distances.min() > 100


def test_hollow_shows_the_background_and_stripes_show_two_colours():
    assert drawn("circle", pattern="hollow")[32, 32].tolist() == [230, 230, 230]
    tones = np.unique(drawn("square", "black", "striped")[26:38, 26:38], axis=None)
    assert tones.min() == 25
    assert 150 < tones.max() < 190


@pytest.mark.parametrize("image_size", [32, 96, 256])
def test_other_sizes_show_the_same_scene(image_size):
    image = drawn("triangle", x=200, y=304, image_size=image_size)
    assert image.shape == (image_size, image_size, 3)
    rows, columns = np.nonzero(painted(image))
    scale = image_size / 512
    assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(200 * scale, abs=1)
    assert rows.min() == pytest.approx((304 - 1.11 * 80) * scale, abs=1.5)


def test_objects_at_the_border_are_cut_off():
    image = drawn("square", x=0, y=512)
    assert painted(image)[-8:, :8].all()
    assert painted(image).sum() == 8 * 8
