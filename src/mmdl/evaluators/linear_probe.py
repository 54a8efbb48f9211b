"""Linear probe: a linear classifier on the frozen features of the image encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mmdl.data.base import DataModule
from mmdl.errors import UserError
from mmdl.evaluators.base import EvaluationContext, Result
from mmdl.evaluators.encoding import EncodedImages, Kind, encoded_images, on_one_rank
from mmdl.evaluators.image_sets import ImageSet, image_sets, read_before_training
from mmdl.evaluators.probe_fit import FittedProbe, ProbeData, fit_probe
from mmdl.evaluators.raw_pixels import raw_pixels
from mmdl.metrics.bootstrap import bootstrap_interval

PIXEL_ITERATIONS = 200
"""Of L-BFGS, for the baseline: with hardly any regularisation it would crawl on for minutes."""


class LinearProbe:
    """Logistic regression on frozen features, by L-BFGS, its regularisation chosen on validation as in CLIP.

    The baseline does the same with the pixels in place of the features, in at most `PIXEL_ITERATIONS` steps.

    Args:
        sets: Name -> `data`, an image-classification data module.
        splits: `test` only: the validation images choose the regularisation, and the final fit takes them in.
        features: `pooled`, before the projection, as in the CLIP paper, or `embedding`, in the space that images share
            with texts.
        standardize: Bring each feature to mean 0 and deviation 1 over the training images.
        limit_train: At most so many training images, evenly spread; None: all.
        limit: At most so many images of validation and of test, likewise.
        max_iter: Iterations of L-BFGS.
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
        features: Kind = "pooled",
        standardize: bool = True,
        limit_train: int | None = 10_000,
        limit: int | None = None,
        max_iter: int = 1000,
        pixel_size: int = 16,
        resamples: int = 2000,
    ) -> None:
        for key, value in (
            ("limit_train", limit_train),
            ("limit", limit),
            ("max_iter", max_iter),
            ("pixel_size", pixel_size),
        ):
            if value is not None and value < 1:
                raise UserError(f"evaluator.linear_probe.{key}={value}", valid="at least 1")
        if set(splits) - {"test"}:
            raise UserError(
                f"evaluator.linear_probe.splits={list(splits)}",
                valid="[test]: the probe is fitted on the images of train and val",
                fix="evaluator.linear_probe.splits=[test]",
            )
        self.sets = image_sets("linear_probe", sets)
        self.splits = tuple(splits)
        self.features: Kind = features
        self.standardize = standardize
        self.limit_train = limit_train
        self.limit = limit
        self.max_iter = max_iter
        self.pixel_size = pixel_size
        self.resamples = resamples
        self.headline = tuple(f"linear_probe/{name}/accuracy" for name in self.sets)
        self._notes: list[str] = []

    def check(self, data: DataModule) -> None:
        """Read the sets, so that what is missing is said before the training.

        Raises:
            UserError: if a set can't be read.
        """
        for split in ("train", *self.splits):
            read_before_training(self.sets.values(), data, [split])

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield `linear_probe/<set>/accuracy` and `baseline/raw_pixels/linear_probe/<set>/accuracy`."""
        self._notes = []
        if context.final:
            for one in self.sets.values():
                yield from self._results(one, context)

    def notes(self, context: EvaluationContext) -> Iterator[str]:
        """On how many images each probe was fitted, and with which regularisation."""
        yield from self._notes

    def _results(self, one: ImageSet, context: EvaluationContext) -> Iterator[Result]:
        splits = {"train": "train", "val": "val", "test": context.split}
        sets = {name: one.read(context.data, split) for name, split in splits.items()}
        if any(dataset is None for dataset in sets.values()) or sets["test"] is sets["val"]:
            self._notes.append(f"linear probe {one.name}: left out, it needs train, val and test with labels")
            return
        limits = {"train": self.limit_train, "val": self.limit, "test": self.limit}
        found: dict[str, EncodedImages] = {
            name: encoded_images(context, dataset, self.features, limits[name])
            for name, dataset in sets.items()
            if dataset is not None
        }
        labels = found["test"].labels
        features = {name: images.features for name, images in found.items()}
        probe = self._fit(context, found, features, self.max_iter)
        yield self._result(f"linear_probe/{one.name}/accuracy", probe, labels)
        pixels = {
            name: raw_pixels(dataset, found[name].rows, self.pixel_size)
            for name, dataset in sets.items()
            if dataset is not None
        }
        raw = self._fit(context, found, pixels, min(self.max_iter, PIXEL_ITERATIONS))
        yield self._result(f"baseline/raw_pixels/linear_probe/{one.name}/accuracy", raw, labels)
        train = sets["train"]
        assert train is not None
        self._notes.append(
            f"linear probe {one.name}: fitted on {len(found['train'].rows):,} of {len(train):,} training images and "
            f"{len(found['val'].rows):,} of validation, {found['train'].features.shape[1]:,} {self.features} features, "
            f"C = {probe.c:.3g}"
            + ("" if probe.converged else f"; not converged in {self.max_iter} iterations")
        )

    def _fit(
        self,
        context: EvaluationContext,
        found: Mapping[str, EncodedImages],
        features: Mapping[str, Tensor],
        max_iter: int,
    ) -> FittedProbe:
        parts = {name: features[name].double().numpy() for name in features}
        train, val = (ProbeData(parts[name], found[name].labels) for name in ("train", "val"))
        probe: FittedProbe = on_one_rank(
            context, lambda: fit_probe(train, val, parts["test"], self.standardize, max_iter)
        )
        return probe

    def _result(self, name: str, probe: FittedProbe, labels: NDArray[np.int64]) -> Result:
        correct = probe.predictions == labels
        interval = (
            bootstrap_interval(correct.astype(float), resamples=self.resamples) if self.resamples else None
        )
        return Result(name, float(correct.mean()), len(labels), interval)
