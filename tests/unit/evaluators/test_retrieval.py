"""The retrieval evaluator: names, counts, chance, notes; tests/reference compares the figures."""

import numpy as np
import pytest
import torch

from mmdl.errors import UserError
from mmdl.evaluators.base import EvaluationContext
from mmdl.evaluators.retrieval import RetrievalEvaluator


class _Task:
    device = torch.device("cpu")


def _context(images=40, captions=2, final=True, collapsed=False):
    generator = torch.Generator().manual_seed(0)
    of_caption = np.repeat(np.arange(images), captions)
    image = torch.nn.functional.normalize(torch.randn(images, 8, generator=generator), dim=1)
    if collapsed:
        image = torch.eye(1, 8).repeat(images, 1)
    outputs = {
        "rows": np.arange(images),
        "image_ids": np.arange(images),
        "embeddings": image.numpy(),
        "captions/rows": np.arange(images * captions),
        "captions/image_rows": of_caption,
        "captions/image_ids": of_caption,
        "captions/embeddings": image[of_caption].numpy(),
    }
    return EvaluationContext(_Task(), None, "test", outputs, final=final)


def _run(context, **settings):
    return {result.name: result for result in RetrievalEvaluator(**settings).run(context)}


def test_a_perfect_model():
    found = _run(_context())
    for direction, n in (("text_to_image", 80), ("image_to_text", 40)):
        figure = found[f"{direction}/recall@1"]
        assert (figure.value, figure.n, figure.ci95) == (1.0, n, (1.0, 1.0))
        assert found[f"{direction}/median_rank"].value == 1
        assert found[f"baseline/chance/{direction}/recall@1"].n == n
    assert found["baseline/chance/text_to_image/recall@10"].value == pytest.approx(10 / 40)
    # two right captions among 80: 1 - (78/80 * 77/79)
    five = 1 - np.prod([(78 - j) / (80 - j) for j in range(5)])
    assert found["baseline/chance/image_to_text/recall@5"].value == pytest.approx(five)


def test_a_model_that_tells_nothing_apart_scores_nothing():
    found = _run(_context(collapsed=True))
    assert found["text_to_image/recall@10"].value == found["image_to_text/recall@10"].value == 0
    assert found["text_to_image/median_rank"].value == 40


def test_equal_images_are_right_for_each_others_captions():
    context = _context(collapsed=True, images=2, captions=1)
    context.outputs["image_ids"][:] = 7
    context.outputs["captions/image_ids"][:] = 7
    assert _run(context)["text_to_image/recall@1"].value == 1


def test_a_validation_during_training_has_no_intervals_and_no_baselines():
    found = _run(_context(final=False))
    assert {name.split("/")[0] for name in found} == {"text_to_image", "image_to_text"}
    assert all(result.ci95 is None for result in found.values())


def test_the_1k_protocol_needs_two_folds():
    assert not any(name.startswith("1k/") for name in _run(_context(images=1999, captions=1), resamples=0))
    context = _context(images=2100, captions=1)
    evaluator = RetrievalEvaluator(resamples=0)
    found = {result.name: result for result in evaluator.run(context)}
    assert found["1k/text_to_image/recall@1"].n == 2000
    assert "1k: mean over 2 folds of 1,000 images" in list(evaluator.notes(context))
    assert not any(name.startswith("1k/") for name in _run(context, resamples=0, fold_size=None))


def test_no_outputs_give_no_figures():
    context = _context()._replace(outputs={})
    assert _run(context) == {}
    assert list(RetrievalEvaluator().notes(context)) == []


@pytest.mark.parametrize("settings", [{"ks": [0, 1]}, {"ks": []}, {"fold_size": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(UserError, match=r"evaluator\.retrieval"):
        RetrievalEvaluator(**settings)
