"""How images and texts lie in the common space: modality gap, alignment, uniformity, effective rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mmdl.errors import UserError
from mmdl.evaluators.base import EvaluationContext, Result
from mmdl.evaluators.encoding import spread_rows
from mmdl.metrics.alignment import alignment
from mmdl.metrics.effective_rank import effective_rank
from mmdl.metrics.modality_gap import modality_gap
from mmdl.metrics.uniformity import uniformity


class EmbeddingGeometry:
    """Figures of the embeddings themselves, which say why a recall is what it is.

    `alignment` is over all pairs of a caption and its image; uniformity and effective rank are taken of images and of
    texts, each by itself.

    Args:
        splits: Splits on which it runs.
        max_uniformity: Uniformity takes all pairs of at most so many embeddings, evenly spread over the split.

    Raises:
        UserError: if the number is out of range.
    """

    brief: tuple[str, ...] = ()

    def __init__(self, splits: Sequence[str] = ("val", "test"), max_uniformity: int = 10_000) -> None:
        if max_uniformity < 2:
            raise UserError(
                f"evaluator.embedding_geometry.max_uniformity={max_uniformity}", valid="at least 2"
            )
        self.splits = tuple(splits)
        self.max_uniformity = max_uniformity

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield `modality_gap`, `alignment`, and `<kind>_uniformity`, `<kind>_effective_rank` of `image` and `text`."""
        outputs = context.outputs
        if not len(outputs.get("embeddings", ())) or not len(outputs.get("captions/embeddings", ())):
            return
        device = context.task.device
        if device.type == "mps":  # it has no float64
            device = torch.device("cpu")
        image = torch.from_numpy(outputs["embeddings"]).to(device)
        text = torch.from_numpy(outputs["captions/embeddings"]).to(device)
        of_text = np.searchsorted(outputs["rows"], outputs["captions/image_rows"])
        yield Result("modality_gap", modality_gap(image, text), len(image) + len(text))
        yield Result("alignment", alignment(image[torch.from_numpy(of_text).to(device)], text), len(text))
        for kind, embeddings in (("image", image), ("text", text)):
            some = self._some(embeddings)
            if len(some) > 1:
                yield Result(f"{kind}_uniformity", uniformity(some), len(some))
            yield Result(f"{kind}_effective_rank", effective_rank(embeddings), len(embeddings))

    def notes(self, context: EvaluationContext) -> Iterator[str]:
        """Whether uniformity was taken over a part, and how many dimensions there are."""
        sizes = [len(context.outputs.get(name, ())) for name in ("embeddings", "captions/embeddings")]
        if max(sizes) > self.max_uniformity:
            yield f"uniformity over at most {self.max_uniformity:,} of {sizes[0]:,} images and {sizes[1]:,} captions"

    def _some(self, embeddings: Tensor) -> Tensor:
        if len(embeddings) <= self.max_uniformity:
            return embeddings
        rows = spread_rows(len(embeddings), self.max_uniformity)
        return embeddings[torch.from_numpy(rows).to(embeddings.device)]
