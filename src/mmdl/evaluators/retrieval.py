"""Image-text retrieval: how often the right one is among the first k, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mmdl.errors import UserError
from mmdl.evaluators.base import Artifact, EvaluationContext, Result
from mmdl.evaluators.retrieval_pictures import retrieval_pictures
from mmdl.metrics.bootstrap import bootstrap_interval
from mmdl.metrics.chance_hit_rate import chance_hit_rate
from mmdl.metrics.occurrences import occurrences
from mmdl.metrics.retrieval_ranks import retrieval_ranks

DIRECTIONS = ("text_to_image", "image_to_text")


class Gallery(NamedTuple):
    """The images and captions among which is searched.

    Attributes:
        image: `(I, D)` float embeddings.
        text: `(T, D)` float embeddings.
        image_ids: `(I,)` int64: equal for equal images.
        text_ids: `(T,)` int64: the same of each caption's image.
        image_rows: `(I,)` int64, rising: row of each image in the split.
        text_rows: `(T,)` int64: row of each caption's image.
    """

    image: Tensor
    text: Tensor
    image_ids: Tensor
    text_ids: Tensor
    image_rows: Tensor
    text_rows: Tensor

    def ranks(self, direction: str) -> NDArray[np.int64]:
        """`(Q,)` rank of the best right item of each query."""
        sides = (self.text, self.image, self.text_ids, self.image_ids)
        if direction == "image_to_text":
            sides = (self.image, self.text, self.image_ids, self.text_ids)
        return retrieval_ranks(*sides).cpu().numpy()

    def groups(self, direction: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Groups of queries and of items."""
        found = self.text_ids.cpu().numpy(), self.image_ids.cpu().numpy()
        return found if direction == "text_to_image" else (found[1], found[0])


class RetrievalEvaluator:
    """Recall@k as the hit rate: at least one right item among the first k, as the CLIP paper reports it.

    The plain names are over all images of the split, and all their captions: for the 5,000 test images of COCO that is
    the 5K protocol. Where there are at least two folds of `fold_size` images, `1k/...` is the mean over as many whole
    folds in the order of the split: the 1K protocol (Karpathy and Fei-Fei 2015, arXiv:1412.2306).

    Ties count against the model; see `retrieval_ranks`.

    Args:
        splits: Splits on which it runs.
        ks: The k.
        resamples: Bootstrap resamples of the 95% interval in a final evaluation, in which an image and its captions
            stay together; 0: none.
        fold_size: Images in a fold of the smaller protocol; None: without it.
        queries: Queries of each direction in the pictures; 0: no pictures.

    Raises:
        UserError: if a number is out of range.
    """

    brief = ("text_to_image/recall@1", "image_to_text/recall@1")

    def __init__(
        self,
        splits: Sequence[str] = ("val", "test"),
        ks: Sequence[int] = (1, 5, 10),
        resamples: int = 2000,
        fold_size: int | None = 1000,
        queries: int = 5,
    ) -> None:
        if not ks or min(ks) < 1:
            raise UserError(f"evaluator.retrieval.ks={list(ks)}", valid="integers of at least 1")
        if fold_size is not None and fold_size < 1:
            raise UserError(f"evaluator.retrieval.fold_size={fold_size}", valid="at least 1, or null")
        if queries < 0:
            raise UserError(f"evaluator.retrieval.queries={queries}", valid="at least 0")
        self.splits = tuple(splits)
        self.queries = queries
        self.ks = tuple(ks)
        self.resamples = resamples
        self.fold_size = fold_size
        names = [f"{direction}/recall@{k}" for direction in DIRECTIONS for k in self.ks]
        folds = [f"{self._name()}/{name}" for name in names] if fold_size else []
        self.headline = (*names, *(f"{direction}/median_rank" for direction in DIRECTIONS), *folds)

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield `<direction>/recall@k` and `/median_rank`, those of the folds, and the exact chance level of recall."""
        gallery = _gallery(context)
        if gallery is None:
            return
        for direction in DIRECTIONS:
            ranks = gallery.ranks(direction)
            groups, item_groups = gallery.groups(direction)
            for k in self.ks:
                hits = (ranks < k).astype(np.float64)
                interval = None
                if context.final and self.resamples:
                    interval = bootstrap_interval(hits, resamples=self.resamples, clusters=groups)
                yield Result(f"{direction}/recall@{k}", float(hits.mean()), len(hits), interval)
            yield Result(f"{direction}/median_rank", float(np.median(ranks)) + 1, len(ranks))
            if context.final:
                right = occurrences(groups, item_groups)
                for k in self.ks:
                    chance = chance_hit_rate(right, len(item_groups), k)
                    yield Result(f"baseline/chance/{direction}/recall@{k}", chance, len(ranks))
        yield from self._folds(gallery)

    def notes(self, context: EvaluationContext) -> Iterator[str]:
        """What the recall is: of how many, by which rule, over how many folds."""
        gallery = _gallery(context)
        if gallery is None:
            return
        images, captions = len(gallery.image), len(gallery.text)
        yield (
            f"retrieval among {images:,} images and {captions:,} captions; recall@k is the hit rate: at least one "
            "right item among the first k"
        )
        if folds := self._count(images):
            yield f"{self._name()}: mean over {folds} folds of {self.fold_size:,} images"

    def pictures(self, context: EvaluationContext, folder: Path) -> Iterator[Artifact]:
        """What fixed queries find, both ways."""
        yield from retrieval_pictures(context, folder, self.queries)

    write = pictures

    def _count(self, images: int) -> int:
        """Whole folds; 0 where there are fewer than two."""
        folds = images // self.fold_size if self.fold_size else 0
        return folds if folds > 1 else 0

    def _name(self) -> str:
        assert self.fold_size is not None
        return f"{self.fold_size // 1000}k" if self.fold_size % 1000 == 0 else str(self.fold_size)

    def _folds(self, gallery: Gallery) -> Iterator[Result]:
        """Recall inside each fold, averaged over the folds."""
        size, count = self.fold_size or 0, self._count(len(gallery.image))
        if not count:
            return
        hits: dict[tuple[str, int], list[float]] = {}
        queries = dict.fromkeys(DIRECTIONS, 0)
        for number in range(count):
            fold = _fold(gallery, number * size, (number + 1) * size)
            for direction in DIRECTIONS:
                ranks = fold.ranks(direction)
                queries[direction] += len(ranks)
                for k in self.ks:
                    hits.setdefault((direction, k), []).append(float((ranks < k).mean()))
        for (direction, k), shares in hits.items():
            name = f"{self._name()}/{direction}/recall@{k}"
            yield Result(name, float(np.mean(shares)), queries[direction])


def _gallery(context: EvaluationContext) -> Gallery | None:
    """The embeddings of a split on the device of the model; None where there are none."""
    names = (
        "embeddings",
        "captions/embeddings",
        "image_ids",
        "captions/image_ids",
        "rows",
        "captions/image_rows",
    )
    if not all(len(context.outputs.get(name, ())) for name in names):
        return None
    device = context.task.device
    return Gallery(*(torch.from_numpy(context.outputs[name]).to(device) for name in names))


def _fold(gallery: Gallery, start: int, stop: int) -> Gallery:
    """Some neighbouring images with their captions."""
    rows = gallery.image_rows[start:stop]
    own = (gallery.text_rows >= rows[0]) & (gallery.text_rows <= rows[-1])
    return Gallery(
        gallery.image[start:stop],
        gallery.text[own],
        gallery.image_ids[start:stop],
        gallery.text_ids[own],
        rows,
        gallery.text_rows[own],
    )
