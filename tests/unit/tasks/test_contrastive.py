import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from mmdl.errors import UserError
from mmdl.evaluators.base import EvaluationContext
from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs
from mmdl.losses.siglip import siglip
from mmdl.models.clip_towers import CLIPTowers
from mmdl.models.image_tower.small_cnn import SmallCNN
from mmdl.models.question_tower.gru import GRU
from mmdl.tasks.contrastive import ContrastiveTask


def make_task(norm="weight", init_bias=None, **options):
    torch.manual_seed(0)
    model = CLIPTowers(SmallCNN((4, 6), norm=norm), GRU(20, 5, 7), embed_dim=5, init_bias=init_bias)
    return ContrastiveTask(model, None, None, **options)


def make_batch(images=5, captions=12):
    rng = torch.Generator().manual_seed(1)
    mask = torch.arange(6) < torch.randint(1, 7, (captions,), generator=rng)[:, None]
    return {
        "rows": torch.arange(images),
        "image_ids": torch.tensor([3, *range(1, images)]),
        "caption_rows": torch.arange(captions),
        "image_index": torch.arange(captions) % images,
        "images": torch.randint(0, 256, (images, 3, 16, 16), generator=rng, dtype=torch.uint8),
        "tokens": torch.randint(1, 20, mask.shape, generator=rng) * mask,
        "token_mask": mask,
    }


@pytest.mark.parametrize("tile", [None, 4])
@pytest.mark.parametrize("micro_batch", [None, 2])
@pytest.mark.parametrize(("name", "loss", "bias"), [("infonce", infonce, None), ("siglip", siglip, -10.0)])
def test_the_loss_is_that_of_all_pairs_however_it_is_taken(name, loss, bias, tile, micro_batch):
    task = make_task(loss=name, init_bias=bias, tile=tile, micro_batch=micro_batch)
    batch = make_batch()
    image, text = task.model(batch)
    ids = batch["image_ids"]
    pairs = Pairs(image, text, ids, ids[batch["image_index"]])
    expected = loss(pairs, task.model.logit_scale.exp(), task.model.logit_bias)
    found = task.losses(batch)["loss"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert task.joined_size == (5, 12)
    found.backward()
    assert all(p.grad is not None for p in task.model.parameters() if p.requires_grad)


def test_siglip_works_without_a_bias():
    task = make_task(loss="siglip")
    loss = task.losses(make_batch())["loss"]
    loss.backward()
    assert loss.isfinite()
    assert task.model.logit_scale.grad != 0


def test_a_bias_that_infonce_does_not_use_does_not_learn():
    """DDP stops at a parameter that learns and gets no gradient."""
    task = make_task(loss="infonce", init_bias=-10.0)
    assert not task.model.logit_bias.requires_grad
    assert make_task(loss="siglip", init_bias=-10.0).model.logit_bias.requires_grad


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"loss": "infonca"}, "task.loss='infonca'"),
        ({"tile": 0}, "task.tile=0"),
        ({"micro_batch": -1}, "task.micro_batch=-1"),
        ({"max_scale": 0.0}, "task.max_scale=0.0"),
    ],
)
def test_settings_out_of_range_are_refused(options, given):
    with pytest.raises(UserError) as caught:
        make_task(**options)
    assert caught.value.given.startswith(given)
    assert caught.value.valid


def test_batch_norm_in_parts_is_refused_by_name_unless_it_is_frozen():
    with pytest.raises(UserError, match="batch norm") as caught:
        make_task(norm="batch", micro_batch=2)
    assert "image_tower.stages.0.1 and 3 more" in caught.value.given
    assert "task.micro_batch=null" in caught.value.fix
    task = make_task(norm="batch", micro_batch=2, freeze=["image_tower.stages*"])
    task.model.train()
    before = {name: value.clone() for name, value in task.model.named_buffers()}
    whole = make_task(norm="batch", freeze=["image_tower.stages*"])
    whole.model.train()
    torch.testing.assert_close(task.losses(make_batch()), whole.losses(make_batch()))
    assert all(value.equal(before[name]) for name, value in task.model.named_buffers())


def test_accumulation_by_the_trainer_is_refused_with_what_to_do_instead():
    task = make_task()
    assert task.trainer_errors({"accumulate_grad_batches": 1}, 64) == []
    [error] = task.trainer_errors({"accumulate_grad_batches": 4}, 64)
    assert "trainer.accumulate_grad_batches=4" in error.given
    assert "data.batch_size=256 task.micro_batch=64" in error.fix


def test_what_is_encoded_at_a_time_is_what_memory_is_estimated_for():
    assert make_task().samples_at_once(256) == 256
    assert make_task(micro_batch=32).samples_at_once(256) == 32
    assert make_task(micro_batch=32).samples_at_once(16) == 16


@pytest.mark.parametrize(("ranks", "recorded", "size"), [(1, {}, 4), (2, {}, 8), (1, {"value": 6.0}, 6)])
def test_the_loss_of_a_split_is_taken_over_batches_of_the_joined_size(monkeypatch, ranks, recorded, size):
    task = make_task()
    monkeypatch.setattr(ContrastiveTask, "trainer", SimpleNamespace(world_size=ranks))
    rng = torch.Generator().manual_seed(0)
    image, text = (normalize(torch.randn(n, 5, generator=rng), dim=1) for n in (11, 22))
    owner = np.repeat(np.arange(11), 2)
    outputs = {
        "rows": np.arange(11),
        "image_ids": np.arange(11),
        "embeddings": image.numpy(),
        "captions/image_rows": owner,
        "captions/image_ids": owner,
        "captions/embeddings": text.numpy(),
    }
    context = EvaluationContext(
        task,
        SimpleNamespace(batch_size=4),
        "val",
        outputs,
        False,
        False,
        {"test/loss_batch": recorded} if recorded else {},
    )
    loss, batch = task.loss_of_split(context)
    scale = task.model.logit_scale.detach().exp()
    expected = 0.0
    for start in range(0, 11, size):
        part = slice(start, min(11, start + size))
        texts = slice(2 * part.start, 2 * part.stop)
        ids = torch.from_numpy(owner)
        pairs = Pairs(image[part], text[texts], torch.arange(11)[part], ids[texts])
        expected += infonce(pairs, scale).item() * (part.stop - part.start) / 11
    assert loss.name == "loss"
    assert loss.value == pytest.approx(expected, rel=1e-6)
    assert (batch.name, batch.value, batch.n) == ("loss_batch", size, 11)


def test_the_scale_is_clamped_at_the_start_and_after_each_step():
    task = make_task(max_scale=10.0)
    task.on_train_start()
    assert task.model.logit_scale.item() == pytest.approx(math.log(10))
    free = make_task(max_scale=None)
    free.on_train_start()
    assert free.model.logit_scale.exp().item() == pytest.approx(1 / 0.07)
