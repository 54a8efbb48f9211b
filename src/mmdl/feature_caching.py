"""Runs frozen towers once: their outputs go to the disk cache, and training never runs them again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdl.data.cache import FeatureCache, cache_key
from mmdl.data.caption_dataset import CaptionDataset
from mmdl.data.captions import CaptionDataModule
from mmdl.data.vqa import VQADataModule
from mmdl.data.vqa_dataset import VQADataset
from mmdl.tasks.base import Task

Batches = Iterator[tuple[np.ndarray[Any, np.dtype[np.int64]], dict[str, Tensor]]]


def is_frozen(module: nn.Module) -> bool:
    """Whether a module has parameters and none of them learns."""
    parameters = list(module.parameters())
    return bool(parameters) and not any(p.requires_grad for p in parameters)


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of all weights, and the module's printed structure."""
    digest = hashlib.sha256(repr(module).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def cache_frozen_towers(
    task: Task, data: VQADataModule | CaptionDataModule, device: torch.device, batch_size: int = 64
) -> list[str]:
    """Give the data sets the features of frozen towers in place of pixels or tokens.

    Training images that are augmented go through the tower in every step all the same.

    Args:
        task: Its model has `image_tower`, and `question_tower` with `fusion`, or `text_tower` (a `ContrastiveModel`).
        data: Set up; its data sets are changed.
        device: Where the towers run.
        batch_size: Images or texts at a time.

    Returns:
        Names of the towers that are cached.
    """
    if isinstance(data, CaptionDataModule):
        return _cache_contrastive(task.model, data, device, batch_size)
    return _cache_vqa(task.model, data, device, batch_size)


def _cache_vqa(model: Any, data: VQADataModule, device: torch.device, batch_size: int) -> list[str]:
    cached = []
    if is_frozen(model.image_tower):
        tower, hashed = model.image_tower.to(device).eval(), weights_hash(model.image_tower)
        for split, dataset in data.datasets.items():
            dataset.image_features = FeatureCache(
                "image_features",
                cache_key({"weights": hashed, "pixels": dataset.pixels.key, "grid": model.fusion.uses_grid}),
                len(dataset.pixels),
                partial(_image_batches, tower, dataset, model.fusion.uses_grid, device, batch_size),
                data.feature_dtype,
                f"image tower, {split}",
            )
        cached.append("image_tower")
    if is_frozen(model.question_tower):
        text_tower, hashed = model.question_tower.to(device).eval(), weights_hash(model.question_tower)
        for split, dataset in data.datasets.items():
            dataset.question_features = FeatureCache(
                "question_features",
                cache_key({"weights": hashed, "ids": _ids_hash(dataset), "tokens": model.fusion.uses_tokens}),
                len(dataset.ids),
                partial(_question_batches, text_tower, dataset, model.fusion.uses_tokens, device, batch_size),
                data.feature_dtype,
                f"question tower, {split}",
            )
        cached.append("question_tower")
    return cached


def _cache_contrastive(
    model: Any, data: CaptionDataModule, device: torch.device, batch_size: int
) -> list[str]:
    # Heads and pooling of an open_clip model show neither in shapes nor in the printed structure.
    architecture = getattr(model, "architecture", None)
    marked = None if architecture is None else architecture.tolist()
    splits = [(split, d) for split, d in data.datasets.items() if isinstance(d, CaptionDataset)]
    cached = []
    if is_frozen(model.image_tower):
        hashed = weights_hash(model.image_tower.to(device).eval())
        kept = [(split, d) for split, d in splits if split != "train" or not data.augment]
        for split, dataset in kept:
            dataset.image_features = FeatureCache(
                "image_features",
                cache_key({"weights": hashed, "architecture": marked, "pixels": dataset.pixels.key}),
                len(dataset.pixels),
                partial(_pooled_images, model, dataset, device, batch_size),
                data.feature_dtype,
                f"image tower, {split}",
            )
        cached += ["image_tower"] if kept else []
    if is_frozen(model.text_tower):
        hashed = weights_hash(model.text_tower.to(device).eval())
        for split, dataset in splits:
            dataset.text_features = FeatureCache(
                "text_features",
                cache_key({"weights": hashed, "architecture": marked, "ids": _ids_hash(dataset)}),
                len(dataset.ids),
                partial(_pooled_texts, model, dataset, device, batch_size),
                data.feature_dtype,
                f"text tower, {split}",
            )
        cached += ["text_tower"] if splits else []
    return cached


def _ids_hash(dataset: VQADataset | CaptionDataset) -> str:
    """SHA-256 (hex) of the distinct texts of a split as ids."""
    shape = str(tuple(dataset.ids.shape)).encode()
    return hashlib.sha256(shape + dataset.ids.numpy().tobytes() + dataset.mask.numpy().tobytes()).hexdigest()


@torch.no_grad()
def _pooled_images(model: Any, dataset: CaptionDataset, device: torch.device, batch_size: int) -> Batches:
    for rows in _chunks(len(dataset.pixels), batch_size):
        yield rows, {"pooled": model.image_features(dataset.pixels[rows].to(device)).cpu()}


@torch.no_grad()
def _pooled_texts(model: Any, dataset: CaptionDataset, device: torch.device, batch_size: int) -> Batches:
    for rows in _chunks(len(dataset.ids), batch_size):
        features = model.text_features(dataset.ids[rows].to(device), dataset.mask[rows].to(device))
        yield rows, {"pooled": features.cpu()}


@torch.no_grad()
def _image_batches(
    tower: nn.Module, dataset: VQADataset, uses_grid: bool, device: torch.device, batch_size: int
) -> Batches:
    for rows in _chunks(len(dataset.pixels), batch_size):
        features = tower(dataset.pixels[rows].to(device))
        kept = {"pooled": features.pooled.cpu()}
        # A fusion that reads only the pooled vector still gets a grid, of one cell, so that shapes stay uniform.
        kept["grid"] = features.grid.cpu() if uses_grid else features.grid[:, :, :1, :1].cpu()
        yield rows, kept


@torch.no_grad()
def _question_batches(
    tower: nn.Module, dataset: VQADataset, uses_tokens: bool, device: torch.device, batch_size: int
) -> Batches:
    for rows in _chunks(len(dataset.ids), batch_size):
        features = tower(dataset.ids[rows].to(device), dataset.mask[rows].to(device))
        kept = {"pooled": features.pooled.cpu()}
        kept["tokens"] = features.tokens.cpu() if uses_tokens else features.tokens[:, :1, :1].cpu()
        yield rows, kept


def _chunks(count: int, size: int) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    for start in range(0, count, size):
        yield np.arange(start, min(count, start + size), dtype=np.int64)
