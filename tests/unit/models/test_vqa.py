from __future__ import annotations

import pytest
import torch

from mmdl.batch import VQABatch, contract_errors
from mmdl.models.vqa import VQAModel

FUSIONS = ("concat_mlp", "hadamard", "film", "film_plain", "cross_attention")
CASES = [(fusion, towers) for fusion in FUSIONS for towers in ("plain", "normed")]
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def test_it_consumes_vqa_batches(make_batch):
    assert VQAModel.consumes is VQABatch
    assert contract_errors(make_batch(), VQABatch) == []


@pytest.mark.parametrize(("fusion", "towers"), CASES)
def test_grouped_equals_ungrouped_in_outputs_and_gradients(fusion, towers, make_model, make_batch, gradients):
    model, grouped = make_model(fusion, towers), make_batch()
    one_by_one = VQABatch(**grouped)
    one_by_one["images"] = grouped["images"][grouped["image_index"]]
    one_by_one["image_index"] = torch.arange(len(grouped["rows"]))
    expected, expected_gradients = gradients(model, grouped)
    logits, found = gradients(model, one_by_one)
    # The head returns float32; gradients are compared in the model's float64.
    torch.testing.assert_close(logits, expected)
    assert found.keys() == expected_gradients.keys() == dict(model.named_parameters()).keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(("fusion", "towers"), CASES)
def test_cached_equals_uncached_in_outputs_and_gradients(fusion, towers, make_model, make_batch, gradients):
    model, batch = make_model(fusion, towers), make_batch()
    expected, expected_gradients = gradients(model, batch)
    with torch.no_grad():
        image = model.encode_images(batch["images"])
        question = model.encode_questions(batch["tokens"], batch["token_mask"])
    cached = VQABatch(**{k: v for k, v in batch.items() if k not in ("images", "tokens")})
    cached["image_pooled"], cached["question_pooled"] = image.pooled, question.pooled
    if model.fusion.uses_grid:
        cached["image_grid"] = image.grid
    if model.fusion.uses_tokens:
        cached["question_tokens"] = question.tokens
    logits, found = gradients(model, cached)
    torch.testing.assert_close(logits, expected, rtol=0, atol=0)
    assert found
    assert all(name.startswith(("fusion.", "head.")) for name in found)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected_gradients[name], **TIGHT)


@pytest.mark.parametrize(("fusion", "towers"), CASES)
def test_more_padding_changes_nothing(fusion, towers, make_model, make_batch):
    model, batch = make_model(fusion, towers), make_batch()
    padded = VQABatch(**batch)
    padded["tokens"] = torch.nn.functional.pad(batch["tokens"], (0, 5))
    padded["token_mask"] = torch.nn.functional.pad(batch["token_mask"], (0, 5))
    torch.testing.assert_close(model(padded), model(batch))


@pytest.mark.parametrize(("fusion", "towers"), CASES)
def test_a_question_does_not_depend_on_the_others(fusion, towers, make_model, make_batch):
    model, batch = (
        make_model(fusion, towers).eval(),
        make_batch(),
    )  # batch norm acts over questions in training
    index = batch["image_index"][4:5]
    alone = VQABatch(rows=batch["rows"][4:5], image_index=torch.zeros(1, dtype=torch.long))
    alone["images"] = batch["images"][index]
    alone["tokens"], alone["token_mask"] = batch["tokens"][4:5], batch["token_mask"][4:5]
    torch.testing.assert_close(model(alone), model(batch)[4:5])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_layer_groups_hold_every_parameter_once_in_order(fusion, make_model, assert_partition):
    model = make_model(fusion)
    assert assert_partition(model) == [
        "image_tower.stages.0",
        "image_tower.stages.1",
        "question_tower.embedding",
        "question_tower.gru",
        "fusion",
        "head",
    ]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_bf16_autocast_and_channels_last_stay_close(fusion, make_model, make_batch):
    model, batch = make_model(fusion).float(), make_batch()
    expected = model(batch)
    model = model.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(batch)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0.1, atol=0.05)
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_frozen_parts_stay_in_eval_mode(make_model):
    model = make_model("film", "normed")
    model.question_tower.requires_grad_(False)
    model.image_tower.stages[0].requires_grad_(False)
    model.train()
    assert not model.question_tower.training
    assert not model.image_tower.stages[0].training
    assert model.image_tower.stages[1].training
    assert model.training
    assert model.head.training
    model.eval()
    assert not any(module.training for module in model.modules())
