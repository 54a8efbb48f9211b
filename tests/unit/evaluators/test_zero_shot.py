"""Zero-shot classification by a model whose answers are known."""

import csv

import numpy as np
import pytest
import torch
from sklearn.metrics import top_k_accuracy_score

from mmdl.errors import UserError
from mmdl.evaluators.zero_shot import ZeroShotEvaluator


def _run(evaluator, context):
    return {result.name: result for result in evaluator.run(context)}


def test_figures_of_a_model_that_knows_the_colours(context, colours):
    evaluator = ZeroShotEvaluator({"tint": {"data": colours()}})
    evaluator.check(context.data)
    found = _run(evaluator, context)
    figure = found["zero_shot/tint/accuracy"]
    assert (figure.value, figure.n) == (1.0, 60)
    assert found["baseline/chance/zero_shot/tint/accuracy"].value == pytest.approx(1 / 3)
    labels = evaluator.sets["tint"].data.dataset("test").split.labels
    most = found["baseline/most_common/zero_shot/tint/accuracy"]
    assert (most.value, most.n) == (np.bincount(labels).max() / 60, 60)
    assert len(found) == 3, "no top-5 of three classes"
    assert evaluator.brief == evaluator.headline == ("zero_shot/tint/accuracy",)


def test_weights_are_the_normalised_mean_of_normalised_embeddings(context, colours):
    templates = ["{}", "a photo of a {} thing", "blue {}"]
    evaluator = ZeroShotEvaluator({"tint": {"data": colours(), "templates": templates}})
    _run(evaluator, context)
    model, tokenizer = context.task.model, context.data.tokenizer
    for row, name in enumerate(("red", "green", "blue")):
        with torch.no_grad():
            vectors = [model.encode_texts(*tokenizer([t.format(name)]))[0] for t in templates]
        mean = torch.stack(vectors).mean(0)
        expected = mean / mean.norm()
        weights = context.shared["zero_shot", "evaluator.zero_shot.sets.tint"]
        assert torch.allclose(weights[row], expected, atol=1e-6)


def test_class_names_decide(context, colours):
    swapped = {"red": "green", "green": "red"}
    evaluator = ZeroShotEvaluator({"tint": {"data": colours(), "class_names": swapped}})
    found = _run(evaluator, context)
    labels = evaluator.sets["tint"].data.dataset("test").split.labels
    assert found["zero_shot/tint/accuracy"].value == pytest.approx((labels == 2).mean())


def test_more_than_five_classes_have_a_top_5(context, colours):
    classes = ("red", "green", "blue", "grey", "yellow", "purple")
    swapped = {"red": "green", "green": "red", "blue": "grey", "grey": "blue"}
    data = colours({"test": 200}, classes=classes)
    evaluator = ZeroShotEvaluator({"hue": {"data": data, "class_names": swapped}})
    found = _run(evaluator, context)
    dataset = data.dataset("test")
    labels = dataset.split.labels
    with torch.no_grad():
        images = context.task.model.encode_images(dataset.pixels.tensor)
    scores = (images @ context.shared["zero_shot", "evaluator.zero_shot.sets.hue"].T).numpy()
    top, first = found["zero_shot/hue/top5_accuracy"], found["zero_shot/hue/accuracy"]
    assert top.value == pytest.approx(top_k_accuracy_score(labels, scores, k=5))
    assert first.value == pytest.approx(top_k_accuracy_score(labels, scores, k=1))
    assert 0.2 < first.value < top.value < 1
    assert top.n == first.n == 200


def test_a_validation_takes_few_images_and_never_the_test(context, colours):
    data = colours()
    evaluator = ZeroShotEvaluator({"tint": {"data": data}}, limit=12)
    found = _run(evaluator, context._replace(split="val", final=False))
    assert found["zero_shot/tint/accuracy"].n == 12
    assert found["zero_shot/tint/accuracy"].ci95 is None
    assert set(data.datasets) == {"val"}
    assert list(found) == ["zero_shot/tint/accuracy"]


def test_sets_of_the_same_pictures_are_encoded_once(context, colours):
    evaluator = ZeroShotEvaluator(
        {"one": {"data": colours()}, "two": {"data": colours()}, "more": {"data": colours(seed=1)}}
    )
    _run(evaluator, context)
    assert context.task.model.seen == [60, 60]


def test_pictures_tables_and_notes(context, colours, tmp_path):
    evaluator = ZeroShotEvaluator({"a/b": {"data": colours()}})
    assert list(evaluator.pictures(context, tmp_path)) == [], "before run"
    _run(evaluator, context)
    [picture] = evaluator.pictures(context, tmp_path)
    assert picture.path.name == "zero_shot_a_b.png"
    assert "test, n = 60, accuracy 1.0000" in picture.caption
    written = {artifact.path.name: artifact.path for artifact in evaluator.write(context, tmp_path / "new")}
    assert set(written) == {"zero_shot_a_b.png", "zero_shot_a_b_confusion.csv", "zero_shot_a_b_per_class.csv"}
    rows = list(csv.DictReader(written["zero_shot_a_b_per_class.csv"].open()))
    assert [row["class"] for row in rows] == ["red", "green", "blue"]
    assert sum(int(row["n"]) for row in rows) == 60
    assert {row["accuracy"] for row in rows} == {"1"}
    assert list(evaluator.notes(context)) == [
        "zero-shot a/b: 60 images, 3 classes, 1 template such as 'a photo of a {}.'"
    ]


def test_classes_that_the_tokenizer_cant_tell_apart_are_refused(context, colours):
    names = {"red": "crimson", "green": "emerald"}  # neither word is known
    evaluator = ZeroShotEvaluator({"tint": {"data": colours(), "class_names": names}})
    with pytest.raises(UserError, match="can't tell the classes 'crimson' and 'emerald' apart"):
        evaluator.check(context.data)


def test_data_without_a_tokenizer_is_refused(colours):
    with pytest.raises(UserError, match="needs a tokenizer"):
        ZeroShotEvaluator({"tint": {"data": colours()}}).check(object())


def test_a_model_without_an_image_encoder_is_refused(context, colours):
    context.task.model = torch.nn.Linear(2, 2)
    with pytest.raises(UserError, match="Linear has no encoder of images"):
        _run(
            ZeroShotEvaluator({"tint": {"data": colours()}}),
            context._replace(shared={("zero_shot", "evaluator.zero_shot.sets.tint"): torch.eye(3)}),
        )


def test_a_limit_of_nothing_is_refused(colours):
    with pytest.raises(UserError, match="limit=0"):
        ZeroShotEvaluator({"tint": {"data": colours()}}, limit=0)


def test_imagenet_with_the_80_templates_and_the_names_of_openai(context, tmp_path):
    from mmdl.data.imagenet import imagenet, write_fixture
    from mmdl.data.tokenizer.open_clip import OpenCLIPTokenizer
    from mmdl.models.clip import CLIP

    write_fixture(tmp_path)
    context.data.tokenizer, context.data.image_size = OpenCLIPTokenizer("ViT-B-32", max_length=32), 64
    context.task.model = CLIP("vit_tiny_64")
    node = {
        "data": imagenet(str(tmp_path), image_size=64, resize="crop", val_share=0.2),
        "templates": "openai_imagenet_80",
        "class_names": "openai_imagenet",
    }
    evaluator = ZeroShotEvaluator({"imagenet": node})
    evaluator.check(context.data)
    figure = _run(evaluator, context)["zero_shot/imagenet/accuracy"]
    assert figure.n == 30, "the official validation images are the test split"
    [artifact] = [a for a in evaluator.write(context, tmp_path) if a.path.name.endswith("per_class.csv")]
    prompted = [row["prompted as"] for row in csv.DictReader(artifact.path.open())]
    assert prompted == ["tench", "English Springer Spaniel", "church"]
    weights = context.shared["zero_shot", "evaluator.zero_shot.sets.imagenet"]
    assert weights.shape == (3, context.task.model.embed_dim)
    assert weights.norm(dim=1).numpy() == pytest.approx(1, abs=1e-5)
