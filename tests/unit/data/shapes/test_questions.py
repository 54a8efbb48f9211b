"""Answers are recomputed from the text of the question and the ground truth on disk, with own code."""

import re
from collections import Counter

import pytest

from mmdl.data.shapes.questions import TEMPLATES, Facts, outermost, relations
from mmdl.data.shapes.scene import PATTERNS, SHAPES, SIZES, Scene, SceneObject
from mmdl.data.shapes.split import SPLITS

SINGULAR = {shape + "s": shape for shape in SHAPES}


def those(words, objects):
    """Objects that all of `words` describe; 'object' and 'shape' describe any."""
    found = []
    for item in objects:
        looks = {item["shape"], item["color"], item["size"], item["pattern"], "object", "shape"}
        if {SINGULAR.get(word, word) for word in words.replace("shapes", "shape").split()} <= looks:
            found.append(item)
    return found


def the(words, objects):
    """The only object that `words` describe: more or fewer make the question ambiguous."""
    (item,) = those(words, objects)
    return item


def at_edge(word, objects):
    axis, sign = {"leftmost": (0, 1), "rightmost": (0, -1), "topmost": (1, 1), "bottommost": (1, -1)}[word]
    first, *rest = sorted(objects, key=lambda item: sign * item["position"][axis])
    if rest:
        assert abs(rest[0]["position"][axis] - first["position"][axis]) >= 5
    return first


def truth(question, objects):
    def yes(value):
        return "yes" if value else "no"

    if found := re.fullmatch(r"Is there an? (.+)\?", question):
        return "existence", yes(those(found[1], objects))
    if found := re.fullmatch(r"Are there any (.+)\?", question):
        return "existence", yes(those(found[1], objects))
    if found := re.fullmatch(r"How many (.+) are there\?", question):
        return "count", str(len(those(found[1], objects)))
    if found := re.fullmatch(r"What (color|shape) is the (\w+most) object\?", question):
        return "spatial", at_edge(found[2], objects)[found[1]]
    if found := re.fullmatch(r"What (color|shape|size) is the (.+)\?", question):
        return "attribute", the(found[2], objects)[found[1]]
    if found := re.fullmatch(r"What pattern does the (.+) have\?", question):
        return "attribute", the(found[1], objects)["pattern"]
    if found := re.fullmatch(r"Are there more (.+) than (.+)\?", question):
        return "comparison", yes(len(those(found[1], objects)) > len(those(found[2], objects)))
    if found := re.fullmatch(r"Is the (.+) larger than the (.+)\?", question):
        one, other = the(found[1], objects), the(found[2], objects)
        assert abs(one["radius"] - other["radius"]) >= 3
        return "comparison", yes(one["radius"] > other["radius"])
    if found := re.fullmatch(r"Are the (.+) and the (.+) the same color\?", question):
        return "comparison", yes(the(found[1], objects)["color"] == the(found[2], objects)["color"])
    if found := re.fullmatch(
        r"Is the (.+) (to the left of|to the right of|above|below) the (.+)\?", question
    ):
        axis = 0 if found[2].startswith("to") else 1
        distance = the(found[3], objects)["position"][axis] - the(found[1], objects)["position"][axis]
        assert abs(distance) >= 8
        return "spatial", yes((distance > 0) == (found[2] in {"to the left of", "above"}))
    found = re.fullmatch(r"Is the (.+) (solid|striped|hollow)\?", question)
    return "attribute", yes(the(found[1], objects)["pattern"] == found[2])


@pytest.mark.parametrize("split", SPLITS)
def test_every_answer_on_disk_is_true(shapes, split):
    _, read = shapes
    objects = {scene["image_id"]: scene["objects"] for scene in read(f"scenes_{split}.json")["scenes"]}
    questions = read(f"annotations/questions_{split}.json")["questions"]
    annotations = read(f"annotations/annotations_{split}.json")["annotations"]
    families = Counter()
    for question, annotation in zip(questions, annotations, strict=True):
        family, answer = truth(question["question"], objects[question["image_id"]])
        assert annotation["multiple_choice_answer"] == answer, (question, annotation)
        assert question["question"].lower().startswith(annotation["question_type"])
        numeric, boolean = answer.isdigit(), answer in {"yes", "no"}
        assert annotation["answer_type"] == ("number" if numeric else "yes/no" if boolean else "other")
        families[family] += 1
    total = sum(families.values())
    assert families.keys() == {"existence", "count", "attribute", "comparison", "spatial"}
    if split == "train":
        wanted = Counter()
        for template in TEMPLATES:
            wanted[template.family] += template.share / sum(template.share for template in TEMPLATES)
        assert {family: number / total for family, number in families.items()} == pytest.approx(
            wanted, abs=0.02
        )


def test_templates_know_their_family_and_are_documented():
    scene = Scene((obj("circle", "red", 100, 100), obj("triangle", "blue", 300, 300, "large", "striped")))
    objects = [
        {"shape": o.shape, "color": o.color, "size": o.size, "pattern": o.pattern}
        | {"position": [o.x / 8, o.y / 8], "radius": o.radius / 8}
        for o in scene.objects
    ]
    for template in TEMPLATES:
        pairs = list(template.pairs(Facts.of(scene)))
        assert pairs, template.name
        for question, answer in pairs:
            assert truth(question, objects) == (template.family, answer)
        assert template.pairs.__doc__


def obj(shape, color, x, y, size="small", pattern="solid"):
    return SceneObject(shape, color, size, pattern, x, y, 44 if size == "small" else 80)


def asked(name, *objects):
    (template,) = [template for template in TEMPLATES if template.name == name]
    return dict(template.pairs(Facts.of(Scene(objects))))


def test_ambiguous_objects_are_not_asked_about():
    twins = obj("circle", "red", 100, 100), obj("circle", "red", 300, 300)
    for name in ("color_of_shape", "shape_of_color", "relation_by_color", "relation_by_both", "is_larger"):
        assert asked(name, *twins) == {}
    assert asked("color_of_size_shape", twins[0], obj("circle", "blue", 300, 300, size="large")) == {
        "What color is the small circle?": "red",
        "What color is the large circle?": "blue",
    }


def test_colors_that_are_absent_are_not_asked_about_with_a_shape():
    assert asked("exists_color_shape", obj("triangle", "red", 100, 100), obj("circle", "red", 300, 300)) == {
        "Is there a red circle?": "yes",
        "Is there a red square?": "no",
        "Is there a red triangle?": "yes",
    }


def test_sizes_are_compared_only_where_they_differ():
    assert asked("is_larger", obj("circle", "red", 90, 90), obj("triangle", "red", 300, 300)) == {}


def test_leftmost_is_asked_only_where_it_is_plain():
    near = Scene((obj("circle", "red", 100, 100), obj("triangle", "blue", 124, 300)))
    assert outermost(Facts.of(near), "leftmost") is None
    # The large one's centre is further right, but its edge is further left.
    reaching = Scene((obj("circle", "red", 100, 100), obj("triangle", "blue", 144, 300, size="large")))
    assert outermost(Facts.of(reaching), "leftmost") is None
    plain = Scene((obj("circle", "red", 100, 100), obj("triangle", "blue", 300, 300)))
    assert outermost(Facts.of(plain), "leftmost").shape == "circle"
    assert outermost(Facts.of(plain), "bottommost").shape == "triangle"


def test_relations_need_a_plain_distance():
    one, other = obj("circle", "red", 100, 100), obj("triangle", "blue", 300, 140)
    assert list(relations(one, other)) == [("to the left of", True), ("to the right of", False)]


def test_all_kinds_of_values_are_in_use(shapes):
    _, read = shapes
    objects = [item for scene in read("scenes_train.json")["scenes"] for item in scene["objects"]]
    assert {item["shape"] for item in objects} == set(SHAPES)
    assert {item["pattern"] for item in objects} == set(PATTERNS)
    assert {item["size"] for item in objects} == set(SIZES)
    assert {len(scene["objects"]) for scene in read("scenes_train.json")["scenes"]} == {2, 3, 4, 5}
