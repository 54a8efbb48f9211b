"""kNN: each image gets the class for which its nearest training images vote; no parameter is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdl.data.base import DataModule
from mmdl.errors import UserError
from mmdl.evaluators.base import EvaluationContext, Result
from mmdl.evaluators.encoding import Kind, encoded_images
from mmdl.evaluators.image_sets import ImageSet, image_sets, read_before_training
from mmdl.evaluators.raw_pixels import raw_pixels
from mmdl.metrics.bootstrap import bootstrap_interval
from mmdl.metrics.weighted_knn import weighted_knn


class KNNEvaluator:
    """Classifies by the weighted vote of the nearest training images, as DINO does (Caron et al. 2021).

    The baseline does the same with the pixels in place of the features, less their mean over the training images.

    Args:
        sets: Name -> `data`, an image-classification data module.
        splits: Splits on which it runs; only after training.
        k: Neighbours.
        temperature: A neighbour's vote weighs exp(cosine similarity / temperature).
        features: `embedding`, in the space that images share with texts, or `pooled`, before the projection.
        limit_train: At most so many training images vote, evenly spread; None: all.
        limit: At most so many images are classified, likewise.
        pixel_size: The baseline sees images of so many pixels a side.
        resamples: Bootstrap resamples of the 95% interval; 0: none.

    Raises:
        UserError: if there is no set, or a number is out of range.
    """

    brief: tuple[str, ...] = ()

    def __init__(
        self,
        sets: Mapping[str, Any],
        splits: Sequence[str] = ("test",),
        k: int = 20,
        temperature: float = 0.07,
        features: Kind = "embedding",
        limit_train: int | None = None,
        limit: int | None = None,
        pixel_size: int = 16,
        resamples: int = 2000,
    ) -> None:
        if k < 1 or not temperature > 0:
            raise UserError(
                f"evaluator.knn.k={k}, temperature={temperature}", valid="at least 1, and a number above 0"
            )
        self.sets = image_sets("knn", sets)
        self.splits = tuple(splits)
        self.k = k
        self.temperature = temperature
        self.features: Kind = features
        self.limit_train = limit_train
        self.limit = limit
        self.pixel_size = pixel_size
        self.resamples = resamples
        self.headline = tuple(f"knn/{name}/accuracy" for name in self.sets)

    def check(self, data: DataModule) -> None:
        """Read the sets, so that what is missing is said before the training.

        Raises:
            UserError: if a set can't be read.
        """
        for split in ("train", *self.splits):
            read_before_training(self.sets.values(), data, [split])

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield `knn/<set>/accuracy` and `baseline/raw_pixels/knn/<set>/accuracy`."""
        if not context.final:
            return
        for one in self.sets.values():
            yield from self._results(one, context)

    def notes(self, context: EvaluationContext) -> Iterator[str]:
        """The settings."""
        yield (
            f"kNN: k = {self.k}, votes weighted by exp(cosine / {self.temperature:g}), features: {self.features}; "
            f"raw pixels: {self.pixel_size} x {self.pixel_size}"
        )

    def _results(self, one: ImageSet, context: EvaluationContext) -> Iterator[Result]:
        test, train = one.read(context.data, context.split), one.read(context.data, "train")
        if test is None or train is None:
            return
        images = encoded_images(context, test, self.features, self.limit)
        bank = encoded_images(context, train, self.features, self.limit_train)
        classes, device = len(one.classes), context.task.device
        yield self._result(
            f"knn/{one.name}/accuracy",
            self._votes(images.features.to(device), bank.features.to(device), bank.labels, classes),
            images.labels,
        )
        pixels, others = (
            raw_pixels(test, images.rows, self.pixel_size),
            raw_pixels(train, bank.rows, self.pixel_size),
        )
        mean = others.mean(0)
        yield self._result(
            f"baseline/raw_pixels/knn/{one.name}/accuracy",
            self._votes((pixels - mean).to(device), (others - mean).to(device), bank.labels, classes),
            images.labels,
        )

    def _votes(self, queries: Tensor, bank: Tensor, labels: np.ndarray[Any, Any], classes: int) -> Tensor:
        queries, bank = nn.functional.normalize(queries, dim=1), nn.functional.normalize(bank, dim=1)
        of_bank = torch.from_numpy(labels).to(bank.device)
        return weighted_knn(queries, bank, of_bank, classes, self.k, self.temperature).cpu()

    def _result(self, name: str, votes: Tensor, labels: np.ndarray[Any, Any]) -> Result:
        correct = votes.numpy().argmax(1) == labels
        interval = (
            bootstrap_interval(correct.astype(float), resamples=self.resamples) if self.resamples else None
        )
        return Result(name, float(correct.mean()), len(labels), interval)
