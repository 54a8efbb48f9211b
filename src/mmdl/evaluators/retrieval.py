"""Image-text retrieval: how often the right one is among the first k, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mmdl.evaluators.base import EvaluationContext, Result
from mmdl.metrics.bootstrap import bootstrap_interval
from mmdl.metrics.retrieval_ranks import retrieval_ranks

DIRECTIONS = ("text_to_image", "image_to_text")


class RetrievalEvaluator:
    """Recall@k as the hit rate: at least one right item among the first k, as the CLIP paper reports it.

    Args:
        splits: Splits on which it runs.
        ks: The k.
        resamples: Bootstrap resamples of the 95% interval in a final evaluation; captions of an image are resampled
            together.
    """

    brief = ("text_to_image/recall@1", "image_to_text/recall@1")
    headline = tuple(f"{direction}/recall@{k}" for direction in DIRECTIONS for k in (1, 5, 10))

    def __init__(
        self, splits: Sequence[str] = ("val", "test"), ks: Sequence[int] = (1, 5, 10), resamples: int = 2000
    ) -> None:
        self.splits = tuple(splits)
        self.ks = tuple(ks)
        self.resamples = resamples

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield `<direction>/recall@k`, `<direction>/median_rank`, and the chance level of recall."""
        outputs = context.outputs
        if not outputs:
            return
        image, text = (
            torch.from_numpy(outputs["embeddings"]),
            torch.from_numpy(outputs["captions/embeddings"]),
        )
        ids, caption_ids = (
            torch.from_numpy(outputs["image_ids"]),
            torch.from_numpy(outputs["captions/image_ids"]),
        )
        sides = {
            "text_to_image": (text, image, caption_ids, ids),
            "image_to_text": (image, text, ids, caption_ids),
        }
        for direction, (queries, items, groups, item_groups) in sides.items():
            ranks = retrieval_ranks(queries, items, groups, item_groups).numpy()
            for k in self.ks:
                hits = (ranks < k).astype(np.float64)
                interval = None
                if context.final and self.resamples:
                    interval = bootstrap_interval(hits, resamples=self.resamples, clusters=groups.numpy())
                yield Result(f"{direction}/recall@{k}", float(hits.mean()), len(hits), interval)
            yield Result(f"{direction}/median_rank", float(np.median(ranks)) + 1, len(ranks))
            if context.final:
                right = (groups[:, None] == item_groups).sum(1).double().mean() if len(groups) < 2000 else 1.0
                yield Result(f"baseline/chance/{direction}/recall@1", float(right) / len(items), len(ranks))
