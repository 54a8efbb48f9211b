"""Data sets that evaluators read beside the run's own."""

from types import SimpleNamespace

import pytest

from mmdl.data.shapes_captions import shapes_captions
from mmdl.data.tokenizer.word import WordTokenizer
from mmdl.errors import UserError
from mmdl.evaluators.image_sets import image_sets, read_before_training

RUN = SimpleNamespace(image_size=12)


def test_images_come_in_the_size_of_the_run(colours):
    [one] = image_sets("knn", {"tint": {"data": colours()}}).values()
    images = one.read(RUN, "test")
    assert images.pixels.tensor.shape == (60, 3, 12, 12)
    assert one.read(RUN, "test") is images
    assert one.classes == ("red", "green", "blue")


def test_grey_images_get_three_channels():
    from mmdl.data.digits import digits

    [one] = image_sets("knn", {"digits": {"data": digits()}}).values()
    assert one.read(RUN, "val").pixels.tensor.shape[1:] == (3, 12, 12)


def test_another_size_is_refused(colours):
    [one] = image_sets("knn", {"tint": {"data": colours(image_size=32)}}).values()
    with pytest.raises(
        UserError, match=r"evaluator\.knn\.sets\.tint\.data\.image_size=32, and the run's model sees 12"
    ):
        one.read(RUN, "test")
    [grey] = image_sets("knn", {"tint": {"data": colours(channels=1)}}).values()
    with pytest.raises(UserError, match=r"data\.channels=1"):
        grey.read(RUN, "test")


def test_val_stands_in_where_there_is_no_test(colours):
    [one] = image_sets("knn", {"tint": {"data": colours({"train": 40, "val": 20})}}).values()
    assert len(one.read(RUN, "test")) == 20
    read_before_training([one], RUN, ["val", "test"])


def test_a_set_without_the_splits_is_refused(colours):
    sets = image_sets("knn", {"tint": {"data": colours({"test": 20})}})
    with pytest.raises(UserError, match="no labelled images in val"):
        read_before_training(sets.values(), RUN, ["val"])


def test_what_the_command_line_took_away_is_passed_over(colours):
    nodes = {"gone": None, "left": {"templates": ["{}"]}, "tint": {"data": colours(), "templates": ["{}"]}}
    found = image_sets("zero_shot", nodes, ("templates",))
    assert list(found) == ["tint"]
    assert found["tint"].settings == {"templates": ["{}"]}


def test_mistakes_name_the_key_and_what_to_run(colours):
    with pytest.raises(UserError, match=r"evaluator\.knn\.sets names no data set") as caught:
        image_sets("knn", {})
    assert "+data@evaluator.knn.sets.digits.data=digits" in str(caught.value)
    with pytest.raises(UserError, match=r"sets\.tint\.template is unknown") as caught:
        image_sets("zero_shot", {"tint": {"data": colours(), "template": "x"}}, ("templates", "class_names"))
    assert "templates" in str(caught.value)
    with pytest.raises(UserError, match=r"sets\.tint='mnist'"):
        image_sets("knn", {"tint": "mnist"})
    with pytest.raises(UserError, match=r"sets\.tint\.data is CaptionDataModule"):
        image_sets("knn", {"tint": {"data": shapes_captions(tokenizer=WordTokenizer())}})
