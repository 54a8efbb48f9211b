"""The VQA data set: maps an array of question rows to a whole batch, each image once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmdl.batch import VQABatch
from mmdl.data.answers import SoftTargets
from mmdl.data.cache import FeatureCache, PixelCache, PixelFiles
from mmdl.data.vqa_index import VQAIndex


class Tokenizer(Protocol):
    """What the data module asks of a tokenizer; see `mmdl.data.tokenizer`."""

    vocab_size: int

    def fit(self, texts: Sequence[str]) -> None:
        """Learn the vocabulary from training texts; pretrained tokenizers ignore this."""

    def __call__(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """`(N, L)` int64 ids and `(N, L)` bool mask."""

    def truncated(self, texts: Sequence[str]) -> Tensor:
        """`(N,)` bool: which texts are longer than `L` tokens."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""

    def fingerprint(self) -> str:
        """SHA-256 of everything that changes the ids."""


class VQADataset(Dataset[VQABatch]):
    """Maps an array of question rows to a whole `VQABatch`, each image once."""

    def __init__(
        self,
        index: VQAIndex,
        pixels: PixelCache | PixelFiles,
        questions: tuple[Tensor, Tensor, npt.NDArray[np.int64]],
        targets: SoftTargets | None,
        group: bool,
    ) -> None:
        self.index = index
        self.pixels = pixels
        self.ids, self.mask, self.text_of = questions
        self.targets = targets
        self.group = group
        self.image_features: FeatureCache | None = None
        self.question_features: FeatureCache | None = None

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> VQABatch:
        images = self.index.image_of[rows]
        if self.group:
            distinct, inverse = np.unique(images, return_inverse=True)
        else:
            distinct, inverse = images, np.arange(len(images))
        batch: dict[str, Tensor] = {
            "rows": torch.from_numpy(rows),
            "image_index": torch.from_numpy(inverse.astype(np.int64)),
        }
        if self.image_features is not None:
            batch |= {f"image_{name}": value for name, value in self.image_features[distinct].items()}
        else:
            batch["images"] = self.pixels[distinct]
        texts = self.text_of[rows]
        batch["token_mask"] = self.mask[texts]
        if self.question_features is not None:
            batch |= {f"question_{name}": value for name, value in self.question_features[texts].items()}
        else:
            batch["tokens"] = self.ids[texts]
        if self.targets is not None:
            batch["targets"] = self.targets.dense(rows)
        return batch  # type: ignore[return-value]
