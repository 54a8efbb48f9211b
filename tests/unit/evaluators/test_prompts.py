"""Templates and class names of zero-shot classification."""

import pytest
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

from mmdl.errors import UserError
from mmdl.evaluators.prompts import class_names_of, templates_of


def test_named_sets():
    eighty, seven = templates_of("openai_imagenet_80", "x"), templates_of("simple_7", "x")
    assert (len(eighty), len(seven)) == (80, 7)
    assert "a bad photo of a {}." in eighty
    assert "itap of a {}." in seven
    assert all(template.count("{}") == 1 for template in eighty + seven)


def test_own_templates():
    assert templates_of(["a {}", "the {}!"], "x") == ["a {}", "the {}!"]
    assert templates_of("one {} only", "x") == ["one {} only"]


@pytest.mark.parametrize("given", ["simple_8", [], ["no place"], ["{} and {}"]])
def test_wrong_templates_are_refused(given):
    with pytest.raises(UserError, match=r"evaluator\.zero_shot\.sets\.cats\.templates"):
        templates_of(given, "evaluator.zero_shot.sets.cats")


def test_class_names():
    classes = ["sea_lion", "n01", "cat"]
    assert class_names_of(None, classes, "x") == ["sea lion", "n01", "cat"]
    assert class_names_of(["a", "b", "c"], classes, "x") == ["a", "b", "c"]
    assert class_names_of({"n01": "tench"}, classes, "x") == ["sea lion", "tench", "cat"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a", "b"], "2 names, and the data 3 classes"),
        ({"dog": "hound"}, "dog is no class"),
        (["a", "b", "a"], "two classes are called 'a'"),
        ("imagenet", "class_names='imagenet'"),
        ("openai_imagenet", "'cat' is none of ImageNet's"),
    ],
)
def test_wrong_class_names_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        class_names_of(given, ["cat", "cow", "pig"], "x")


def test_names_of_openai_for_imagenet_and_its_subsets():
    from mmdl.data.sources.imagenet import synset_names

    names = dict(sorted(synset_names().items()))
    assert class_names_of("openai_imagenet", list(names.values()), "x") == list(IMAGENET_CLASSNAMES)
    assert class_names_of("openai_imagenet", list(names), "x") == list(IMAGENET_CLASSNAMES)
    few = ["n01443537", "n02113186"]  # goldfish, Cardigan
    assert class_names_of("openai_imagenet", few, "x") == ["goldfish", "Cardigan Welsh Corgi"]
    assert class_names_of("openai_imagenet", [names[n] for n in few], "x")[0] == "goldfish"
