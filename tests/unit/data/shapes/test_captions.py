"""Captions are parsed back and held against the scene."""

import re

from mmdl.data.shapes.captions import NUMBERS, captions
from mmdl.data.shapes.draws import Draws
from mmdl.data.shapes.scene import SHAPES, Scene, sample_scene

SINGULAR = {"shapes": "shape"} | {shape + "s": shape for shape in SHAPES}


def those(words, scene):
    wanted = {SINGULAR.get(word, word) for word in words.split()} - {"shape"}
    return [o for o in scene.objects if wanted <= {o.shape, o.color, o.size, o.pattern}]


def is_true(text, scene):
    total = len(scene.objects)
    number = "(" + "|".join(NUMBERS) + ")"
    if found := re.fullmatch(rf"(?:There (?:are|is)|An image with)? ?{number} shapes?( .+)?\.", text, re.I):
        return NUMBERS.index(found[1].lower()) == total
    pair = r"(?:There is )?an? (.+) (left of|right of|above|below) an? (.+)\."
    if found := re.fullmatch(pair, text.replace("to the ", ""), re.I):
        axis, sign = {"left of": ("x", 1), "right of": ("x", -1), "above": ("y", 1), "below": ("y", -1)}[
            found[2]
        ]
        return any(
            one is not other and sign * getattr(one, axis) < sign * getattr(other, axis)
            for one in those(found[1], scene)
            for other in those(found[3], scene)
        )
    if found := re.fullmatch(r"(?:There is a|One of the shapes is a) (.+)\.|A (.+) can be seen\.", text):
        words = found[1] or found[2]
        return len(words.split()) == 4 and bool(those(words, scene))
    if found := re.fullmatch(r"Every shape is (.+)\.", text):
        return len(those(found[1], scene)) == total
    if found := re.fullmatch(rf"Exactly {number} of the shapes (?:is|are) (.+)\.", text):
        return len(those(found[2], scene)) == NUMBERS.index(found[1])
    if found := re.fullmatch(r"There are no (.+)\.|Nothing in the picture is (.+)\.", text):
        return not those(found[1] or found[2], scene)
    if found := re.fullmatch(r"The (\w+most) shape is an? (.+)\.", text):
        axis, end = {"left": ("x", min), "right": ("x", max), "top": ("y", min), "bottom": ("y", max)}[
            found[1][:-4]
        ]
        return end(scene.objects, key=lambda o: getattr(o, axis)) in those(found[2], scene)
    if found := re.fullmatch(r"The (.+) is (to the left of|to the right of|above|below) the (.+)\.", text):
        (one,), (other,) = those(found[1], scene), those(found[3], scene)
        return {
            "to the left of": one.x < other.x,
            "to the right of": one.x > other.x,
            "above": one.y < other.y,
            "below": one.y > other.y,
        }[found[2]]
    found = re.fullmatch(r"(?:A picture of |This image shows )?(.+)\.", text)
    left = list(scene.objects)
    # The most specific first: "a red circle" may be any that no other part speaks of.
    for part in sorted(re.split(", | and ", found[1]), key=lambda part: -len(part.split())):
        first, words = part.split(maxsplit=1)
        count = 1 if first.lower() in {"a", "an"} else NUMBERS.index(first.lower())
        matching = those(words, Scene(tuple(left)))
        if len(matching) < count:
            return False
        for item in matching[:count]:
            left.remove(item)
    return left == []


def test_five_different_true_captions_for_every_scene():
    scenes, draws = Draws(7), Draws(8)
    kinds = set()
    for _ in range(1500):
        scene = sample_scene(scenes, 1, 6)
        texts = captions(scene, draws)
        assert len(set(texts)) == 5
        for text in texts:
            assert is_true(text, scene), (text, scene)
            assert text[0].isupper()
            kinds.add(text.split()[0])
    assert kinds >= {"A", "An", "Exactly", "Nothing", "One", "The", "There", "This", "Two"}
