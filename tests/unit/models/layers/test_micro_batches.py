"""A batch encoded in parts: the embeddings and gradients of the whole, in the memory of a part."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmdl.losses.infonce import infonce
from mmdl.losses.pairs import Pairs
from mmdl.models.clip_towers import CLIPTowers
from mmdl.models.image_tower.small_cnn import SmallCNN
from mmdl.models.layers import micro_batches
from mmdl.models.layers.micro_batches import encoded_in_parts
from mmdl.models.question_tower.gru import GRU


def make_model(**options):
    torch.manual_seed(0)
    return CLIPTowers(SmallCNN((4, 6)), GRU(20, 5, 7, **options), embed_dim=5)


def make_batch(images=7, captions=17):
    rng = torch.Generator().manual_seed(1)
    mask = torch.arange(6) < torch.randint(1, 7, (captions,), generator=rng)[:, None]
    return {
        "rows": torch.arange(images),
        "image_ids": torch.arange(images),
        "caption_rows": torch.arange(captions),
        "image_index": torch.arange(captions) % images,
        "images": torch.randint(0, 256, (images, 3, 16, 16), generator=rng, dtype=torch.uint8),
        "tokens": torch.randint(1, 20, mask.shape, generator=rng) * mask,
        "token_mask": mask,
    }


def loss_and_gradients(model, batch, size):
    model.zero_grad()
    image, text = model(batch) if size is None else encoded_in_parts(model, batch, size)
    ids = batch["image_ids"]
    loss = infonce(Pairs(image, text, ids, ids[batch["image_index"]]), model.logit_scale.exp())
    loss.backward()
    return loss.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 100])
def test_value_and_gradients_are_those_of_the_whole_batch(size):
    model, batch = make_model().double(), make_batch()
    expected, found = loss_and_gradients(model, batch, None), loss_and_gradients(model, batch, size)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    assert len(expected[1]) == len(list(model.named_parameters()))


@pytest.mark.parametrize(
    "cached", [("images",), ("tokens", "token_mask"), ("images", "tokens", "token_mask")]
)
def test_features_of_the_cache_are_cut_into_parts_too(cached):
    model, batch = make_model().double(), make_batch()
    if "images" in cached:
        batch["image_features"] = model.image_tower(batch["images"]).pooled.detach()
    if "tokens" in cached:
        batch["text_features"] = model.text_tower(batch["tokens"], batch["token_mask"]).pooled.detach()
    batch = {name: value for name, value in batch.items() if name not in cached}
    expected, found = loss_and_gradients(model, batch, None), loss_and_gradients(model, batch, 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_the_second_pass_draws_the_dropout_of_the_first(monkeypatch):
    model, batch = make_model(dropout=0.5).double(), make_batch()
    torch.manual_seed(3)
    found = loss_and_gradients(model, batch, 2)
    after = torch.rand(1)
    monkeypatch.setattr(micro_batches, "checkpoint", lambda f, part, use_reentrant: f(part))
    torch.manual_seed(3)
    expected = loss_and_gradients(model, batch, 2)
    assert torch.rand(1) == after
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    torch.manual_seed(4)
    assert not torch.allclose(loss_and_gradients(model, batch, 2)[0], expected[0])


def test_bf16_autocast_acts_in_both_passes():
    model, batch = make_model(), make_batch()
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = loss_and_gradients(model, batch, None), loss_and_gradients(model, batch, 2)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-3, atol=0)
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).norm() <= 0.03 * gradient.norm() + 1e-6, name


def test_a_batch_that_fits_is_encoded_once(monkeypatch):
    monkeypatch.setattr(micro_batches, "checkpoint", None)
    model, batch = make_model(), make_batch()
    assert encoded_in_parts(model, batch, 7).image.equal(model(batch).image)


def test_no_part_is_larger_than_asked_for():
    seen = []

    class Watched(torch.nn.Module):
        def forward(self, part):
            seen.append(
                (len(part["rows"]), len(part["caption_rows"]), len(part["images"]), len(part["tokens"]))
            )
            return make_model()(part)

    encoded_in_parts(Watched(), make_batch(), 3)
    assert seen == [(3, 6, 3, 6), (2, 6, 2, 6), (2, 5, 2, 5)]


PEAK = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_micro_batches import loss_and_gradients, make_batch, make_model
def kilobytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])
model, batch = make_model(), make_batch(8, 8)
batch["images"] = batch["images"].repeat(32, 1, 8, 8)
batch["rows"] = batch["image_ids"] = torch.arange(256)
loss_and_gradients(model, make_batch(), 2)
Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
before = kilobytes("VmRSS")
loss_and_gradients(model, batch, None if sys.argv[2] == "whole" else 8)
print(kilobytes("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is read as Linux gives it")
def test_the_peak_of_memory_falls_with_the_part():
    """A process each: 256 images of 128 pixels, whole and in parts of 8."""
    words = [sys.executable, "-c", PEAK, str(Path(__file__).parent)]
    whole, parts = (
        int(subprocess.run([*words, arm], capture_output=True, text=True, check=True).stdout)
        for arm in ("whole", "parts")
    )
    assert whole > 4 * parts > 0, (whole, parts)
