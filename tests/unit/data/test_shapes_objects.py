"""Single objects as a classification set."""

import numpy as np
import pytest

from mmdl.data.shapes_objects import CLASSES, ShapesObjectsSource, shapes_objects
from mmdl.errors import UserError

SMALL = {"objects_train": 60, "objects_val": 30, "objects_test": 40}


@pytest.mark.parametrize("attribute", CLASSES)
def test_labels_are_the_attribute_of_the_one_object(attribute):
    data = shapes_objects(attribute, **SMALL)
    data.setup()
    assert data.classes == CLASSES[attribute]
    assert {name: len(ids) for name, ids in data.splits().items()} == {"train": 60, "val": 30, "test": 40}
    split = data.dataset("test").split
    assert set(split.labels) == set(range(len(data.classes)))
    assert split.pixels.shape == (40, 3, 64, 64)


def test_the_colour_is_in_the_picture():
    split = ShapesObjectsSource("colour", 60, 30, 40).split("test")
    for picture, label in zip(split.pixels, split.labels, strict=True):
        ink = picture[:, np.abs(picture.astype(int) - picture[:, :1, :1]).sum(0) > 60].mean(1)
        if split.classes[label] == "red":
            assert ink[0] > ink[1] + 50
            assert ink[0] > ink[2] + 50
        if split.classes[label] == "blue":
            assert ink[2] > ink[0] + 50


def test_attributes_share_the_pictures():
    shape, colour = (ShapesObjectsSource(name, 60, 30, 40).split("test") for name in ("shape", "colour"))
    assert shape.pixels is colour.pixels
    assert not np.array_equal(shape.labels, colour.labels)


def test_no_picture_is_in_two_splits_and_the_test_does_not_depend_on_train():
    source = ShapesObjectsSource("shape", 3000, 500, 500)
    pictures = {name: source.split(name).pixels for name in ("train", "val", "test")}
    seen = [picture.tobytes() for pixels in pictures.values() for picture in pixels]
    scenes = len(seen)
    # equal pixels need equal objects and backgrounds; an object is in one split only
    assert scenes == 4000
    assert len({p.tobytes() for p in pictures["test"]} & {p.tobytes() for p in pictures["train"]}) == 0
    other = ShapesObjectsSource("shape", 10, 500, 500).split("test")
    assert np.array_equal(other.pixels, pictures["test"])
    assert not np.array_equal(
        ShapesObjectsSource("shape", 10, 500, 500, seed=1).split("test").pixels, other.pixels
    )


def test_no_single_object_is_a_captioned_scene():
    from mmdl.data.shapes.draws import Draws
    from mmdl.data.shapes.scene import sample_scene

    draws = Draws(0, 0, 0)
    assert min(len(sample_scene(draws, 2, 5).objects) for _ in range(500)) == 2


@pytest.mark.parametrize(
    "options", [{"attribute": "color"}, {"objects_test": 0}, {"objects_train": 100_001}, {"scene_size": 16}]
)
def test_wrong_settings_are_refused(options):
    with pytest.raises(UserError, match=r"data\."):
        shapes_objects(**options)
