import math

import pytest
import torch

from mmdl.batch import ImageTextBatch, contract_errors
from mmdl.models.clip_towers import CLIPTowers
from mmdl.models.image_tower.small_cnn import SmallCNN
from mmdl.models.question_tower.gru import GRU
from mmdl.optim.groups import freeze, parameter_groups


def make_model(**options):
    torch.manual_seed(0)
    return CLIPTowers(SmallCNN((8, 12)), GRU(20, 6, 10), embed_dim=7, **options)


def make_batch(images=3, captions=7, width=9):
    rng = torch.Generator().manual_seed(1)
    mask = torch.arange(width) < torch.randint(1, width - 1, (captions,), generator=rng)[:, None]
    return ImageTextBatch(
        rows=torch.arange(images),
        image_ids=torch.arange(images),
        caption_rows=torch.arange(captions),
        image_index=torch.arange(captions) % images,
        images=torch.randint(0, 256, (images, 3, 16, 16), generator=rng, dtype=torch.uint8),
        tokens=torch.randint(1, 20, (captions, width), generator=rng) * mask,
        token_mask=mask,
    )


def test_embeddings_have_length_one_in_float32():
    batch = make_batch()
    assert contract_errors(batch, CLIPTowers.consumes) == []
    with torch.autocast("cpu", torch.bfloat16):
        image, text = make_model()(batch)
    assert image.shape == (3, 7)
    assert text.shape == (7, 7)
    for embeddings in (image, text):
        assert embeddings.dtype == torch.float32
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(len(embeddings)))


@pytest.mark.parametrize("hidden", [None, 16])
def test_cached_features_give_the_same_embeddings_and_leave_the_towers_alone(hidden):
    model, batch = make_model(image_hidden_dim=hidden, text_hidden_dim=hidden).eval(), make_batch()
    expected = model(batch)
    cached = ImageTextBatch(**{k: v for k, v in batch.items() if k not in ("images", "tokens", "token_mask")})
    cached["image_features"] = model.image_tower(batch["images"]).pooled.detach()
    cached["text_features"] = model.text_tower(batch["tokens"], batch["token_mask"]).pooled.detach()
    found = model(cached)
    assert found.image.equal(expected.image)
    assert found.text.equal(expected.text)
    (found.image.sum() + found.text.sum()).backward()
    assert all(p.grad is None for p in model.image_tower.parameters())
    assert all(p.grad is None for p in model.text_tower.parameters())
    assert all(p.grad is not None for p in model.image_projection.parameters())


def test_every_parameter_is_in_one_layer_group():
    model = make_model(init_bias=-10.0)
    held = [id(p) for group in model.layer_groups() for p in group.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    names = [group.name for group in model.layer_groups()]
    assert names[0] == "image_tower.stages.0"
    assert names[-1] == "logit_scale"
    assert [name for name in names if "projection" in name] == [
        "image_tower.projection",
        "text_tower.projection",
    ]


def test_a_locked_image_tower_stays_in_eval_mode_and_the_rest_learns():
    model = make_model()
    freeze(model, ["image_tower*"])
    model.train()
    assert not model.image_tower.training
    assert model.text_tower.training
    learning = {p for group in parameter_groups(model, 1e-3, 0.1) for p in group["params"]}
    assert learning == {
        *model.text_tower.parameters(),
        *model.text_projection.parameters(),
        model.logit_scale,
    }


def test_scale_and_bias_start_as_told_and_are_not_decayed():
    model = make_model(init_scale=10.0, init_bias=-10.0)
    assert model.logit_scale.item() == pytest.approx(math.log(10.0))
    assert model.logit_bias.item() == -10.0
    of = {id(p): group for group in parameter_groups(model, 1e-3, 0.1) for p in group["params"]}
    assert of[id(model.logit_scale)]["weight_decay"] == 0.0
    assert of[id(model.logit_bias)]["weight_decay"] == 0.0


def test_rates_and_decay_go_by_tower():
    groups = parameter_groups(make_model(), 1e-3, 0.0, {"image_tower*": 0.1}, layer_decay=0.5)
    rate = {
        name: group["lr"] for group in groups for name in group["name"].replace(".vectors", "").split("+")
    }
    assert rate["image_tower.projection"] == pytest.approx(1e-4)
    assert rate["image_tower.stages.0"] == pytest.approx(1e-4 * 0.5**2)
    assert rate["text_tower.embedding"] == pytest.approx(1e-3 * 0.5**2)
    assert rate["logit_scale"] == pytest.approx(1e-3)
