"""Fixtures: small towers, fusions and batches for the tests of models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from mmdl.batch import VQABatch
from mmdl.models.fusion.concat_mlp import ConcatMLP
from mmdl.models.fusion.cross_attention import CrossAttention
from mmdl.models.fusion.film import FiLM
from mmdl.models.fusion.hadamard import Hadamard
from mmdl.models.image_tower.small_cnn import SmallCNN
from mmdl.models.question_tower.gru import GRU
from mmdl.models.vqa import VQAModel

FUSIONS = {
    "concat_mlp": partial(ConcatMLP, hidden_dim=16, dropout=0.0),
    "hadamard": partial(Hadamard, hidden_dim=16, dropout=0.0),
    "film": partial(FiLM, channels=8),
    "film_plain": partial(FiLM, channels=16, blocks=3, kernel_size=3, norm="none", question_to_head=False),
    "cross_attention": partial(CrossAttention, hidden_dim=16, heads=2, layers=2, dropout=0.0),
}
TOWERS = {
    "plain": lambda: (SmallCNN((8, 12)), GRU(20, 6, 10)),
    "normed": lambda: (
        SmallCNN((16, 16), depth=2, norm="group", coordinates=False),
        GRU(20, 6, 10, bidirectional=True),
    ),
}


def _make_model(fusion: str, towers: str = "plain") -> VQAModel:
    torch.manual_seed(0)
    image_tower, question_tower = TOWERS[towers]()
    return VQAModel(image_tower, question_tower, FUSIONS[fusion], num_answers=5, hidden_dim=8).double()


def _make_batch(images: int = 3, questions: int = 7, width: int = 9) -> VQABatch:
    """Questions of 1 to `width - 2` tokens, at least one to an image, images in order."""
    rng = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, width - 1, (questions,), generator=rng)
    mask = torch.arange(width) < lengths[:, None]
    tokens = torch.randint(1, 20, (questions, width), generator=rng) * mask
    extra = torch.randint(0, images, (questions - images,), generator=rng)
    return VQABatch(
        rows=torch.arange(questions),
        image_index=torch.cat([torch.arange(images), extra]).sort()[0],
        images=torch.randint(0, 256, (images, 3, 16, 16), generator=rng, dtype=torch.uint8),
        tokens=tokens,
        token_mask=mask,
        targets=torch.rand(questions, 5, generator=rng),
    )


def _gradients(model: nn.Module, batch: VQABatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and the gradient of a loss by parameter name."""
    model.zero_grad(set_to_none=True)
    logits = model(batch)
    nn.functional.binary_cross_entropy_with_logits(logits, batch["targets"], reduction="sum").backward()
    named = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return logits.detach(), named


def _assert_partition(module: nn.Module) -> list[str]:
    """`layer_groups()` holds every parameter once and names are unique; returns the names."""
    groups = module.layer_groups()
    names = [group.name for group in groups]
    assert len(set(names)) == len(names)
    held = [id(p) for group in groups for p in group.parameters()]
    assert sorted(held) == sorted(id(p) for p in module.parameters())
    return names


@pytest.fixture
def make_model() -> Callable[..., VQAModel]:
    return _make_model


@pytest.fixture
def make_batch() -> Callable[..., VQABatch]:
    return _make_batch


@pytest.fixture
def gradients() -> Callable[..., tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    return _gradients


@pytest.fixture
def assert_partition() -> Callable[[nn.Module], list[str]]:
    return _assert_partition


TINY_VIT = {"image_size": 32, "layers": 2, "width": 16, "head_width": 8, "patch_size": 8}
TINY_TEXT = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
TINY_CLIPS = {
    "tiny-vit": {"vision_cfg": TINY_VIT, "text_cfg": TINY_TEXT},
    "tiny-vit-quickgelu": {"quick_gelu": True, "vision_cfg": TINY_VIT, "text_cfg": TINY_TEXT},
    "tiny-vit-64": {"vision_cfg": {**TINY_VIT, "image_size": 64}, "text_cfg": TINY_TEXT},
    "tiny-bidirectional": {
        "custom_text": True,
        "vision_cfg": TINY_VIT,
        "text_cfg": {**TINY_TEXT, "no_causal_mask": True, "pool_type": "last", "proj_bias": True},
    },
    "tiny-resnet": {
        "vision_cfg": {
            "image_size": 64,
            "layers": [1, 1, 1, 1],
            "width": 8,
            "head_width": 8,
            "patch_size": None,
        },
        "text_cfg": TINY_TEXT,
    },
    "tiny-timm": {
        "vision_cfg": {
            "timm_model_name": "test_vit",
            "timm_pool": "avg",
            "timm_proj": "linear",
            "image_size": 160,
        },
        "text_cfg": TINY_TEXT,
    },
}


@pytest.fixture
def tiny_clip(tmp_path: Path) -> Iterator[Callable[[str], nn.Module]]:
    """Registers tiny configs with open_clip; gives the builder of open_clip's own model."""
    import open_clip
    from open_clip import factory

    paths, configs = list(factory._MODEL_CONFIG_PATHS), dict(factory._MODEL_CONFIGS)
    folder = tmp_path / "open_clip_configs"
    folder.mkdir()
    for name, config in TINY_CLIPS.items():
        (folder / f"{name}.json").write_text(json.dumps({"embed_dim": 24, **config}))
    open_clip.add_model_config(folder)

    def build(name: str) -> nn.Module:
        torch.manual_seed(0)
        model: nn.Module = open_clip.create_model(name)
        return model.eval()

    yield build
    factory._MODEL_CONFIG_PATHS[:] = paths
    factory._MODEL_CONFIGS.clear()
    factory._MODEL_CONFIGS.update(configs)
