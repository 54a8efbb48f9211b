from collections import Counter

import pytest

from mmdl.data.shapes.draw import EXTENTS
from mmdl.data.shapes.draws import Draws
from mmdl.data.shapes.scene import CANVAS, COLORS, EXTENT, SHAPES, Scene, SceneObject, sample_scene
from mmdl.errors import UserError


def test_objects_lie_on_the_canvas_and_apart():
    draws = Draws(1)
    for _ in range(500):
        scene = sample_scene(draws, 6, 6)
        for index, one in enumerate(scene.objects):
            for other in scene.objects[:index]:
                # Circles that hold the shapes whole, corners included, with some gap
                distance = ((one.x - other.x) ** 2 + (one.y - other.y) ** 2) ** 0.5
                assert distance - (one.radius + other.radius) * EXTENT / 1000 >= 2
            left, top, right, bottom = (one.radius * part / 1000 for part in EXTENTS[one.shape])
            assert 0 <= one.x + left < one.x + right <= CANVAS
            assert 0 <= one.y + top < one.y + bottom <= CANVAS


def test_attributes_and_numbers_are_even():
    draws = Draws(2)
    scenes = [sample_scene(draws, 2, 5) for _ in range(2000)]
    sizes = Counter(len(scene.objects) for scene in scenes)
    assert all(420 < sizes[number] < 580 for number in (2, 3, 4, 5))
    colors = Counter(item.color for scene in scenes for item in scene.objects)
    shapes = Counter(item.shape for scene in scenes for item in scene.objects)
    assert all(abs(colors[color] / colors.total() - 1 / 8) < 0.02 for color in COLORS)
    assert all(abs(shapes[shape] / shapes.total() - 1 / 3) < 0.02 for shape in SHAPES)


def test_signature_ignores_the_order_of_objects():
    one = SceneObject("triangle", "red", "small", "solid", 100, 100, 44)
    other = SceneObject("triangle", "blue", "small", "solid", 300, 300, 44)
    assert Scene((one, other)).signature() == Scene((other, one), background=210).signature()
    assert Scene((one,)).signature() != Scene((other,)).signature()


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(UserError) as caught:
        SceneObject("triangle", "purpel", "small", "solid", 100, 100, 44)
    assert str(caught.value).splitlines()[1].startswith("  valid: purple")
