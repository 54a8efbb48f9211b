"""Zero-shot classification: each image gets the class whose prompts lie nearest to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdl.data.base import DataModule
from mmdl.errors import UserError
from mmdl.evaluators.base import Artifact, EvaluationContext, Result
from mmdl.evaluators.encoding import encoded, encoded_images, once
from mmdl.evaluators.image_sets import ImageSet, image_sets, read_before_training
from mmdl.evaluators.prompts import class_names_of, templates_of
from mmdl.evaluators.zero_shot_classified import ZeroShotClassified
from mmdl.metrics.bootstrap import bootstrap_interval
from mmdl.metrics.top_k_accuracy import top_k_accuracy
from mmdl.models.contrastive import normalized

TOP = 5

PROMPTS_AT_ONCE = 512
"""Fixed, so that a prompt is encoded among the same others on any number of ranks."""


class ZeroShotEvaluator:
    """Classifies the images of any classification data sets with the run's encoders.

    The weights of a class are the mean of the normalised embeddings of its prompts over the templates, normalised
    again (Radford et al. 2021, arXiv:2103.00020, section 3.1.4). Of equally near classes the first counts.

    During training the split of the same name is used, at most `limit` images of it; the test split is read for the
    final figures only.

    Args:
        sets: Name -> `data` (an image-classification data module), `templates` (`plain`, `openai_imagenet_80`,
            `simple_7`, or own ones, in which `{}` is the class) and `class_names` (None: the data's own; a list, a
            mapping, or `openai_imagenet`).
        splits: Splits on which it runs.
        limit: Images of a set at a validation, evenly spread; None: all.
        limit_final: Likewise in a final evaluation.
        resamples: Bootstrap resamples of the 95% interval in a final evaluation; 0: none.

    Raises:
        UserError: if there is no set, or one is wrong.
    """

    def __init__(
        self,
        sets: Mapping[str, Any],
        splits: Sequence[str] = ("val", "test"),
        limit: int | None = 500,
        limit_final: int | None = None,
        resamples: int = 2000,
    ) -> None:
        for key, value in (("limit", limit), ("limit_final", limit_final)):
            if value is not None and value < 1:
                raise UserError(f"evaluator.zero_shot.{key}={value}", valid="at least 1, or null: all")
        self.sets = image_sets("zero_shot", sets, ("templates", "class_names"))
        self.templates = {
            name: templates_of(one.settings.get("templates") or "plain", one.where)
            for name, one in self.sets.items()
        }
        self.splits = tuple(splits)
        self.limit = limit
        self.limit_final = limit_final
        self.resamples = resamples
        names = tuple(f"zero_shot/{name}/accuracy" for name in self.sets)
        self.brief, self.headline = names[:2], names
        self._measured: tuple[EvaluationContext | None, list[ZeroShotClassified]] = (None, [])

    def check(self, data: DataModule) -> None:
        """Read the sets, and see that the tokenizer can tell their classes apart.

        Raises:
            UserError: if it can't, or a set can't be read.
        """
        if not hasattr(data, "tokenizer"):
            raise UserError(
                "evaluator.zero_shot needs a tokenizer, and the run's data has none",
                valid="data of images and captions",
                fix="evaluator=[retrieval]",
            )
        read_before_training(self.sets.values(), data, self.splits)
        for one in self.sets.values():
            names = class_names_of(one.settings.get("class_names"), one.classes, one.where)
            self._must_differ(one, names, data)

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield `zero_shot/<set>/accuracy`, with more than five classes `top5_accuracy`, and what chance gives."""
        found = [self._classified(one, context) for one in self.sets.values()]
        self._measured = context, [one for one in found if one is not None]
        for one in self._measured[1]:
            name, n = f"zero_shot/{one.name}", len(one.labels)
            interval = None
            if context.final and self.resamples:
                interval = bootstrap_interval(one.correct.astype(float), resamples=self.resamples)
            yield Result(f"{name}/accuracy", float(one.correct.mean()), n, interval)
            if len(one.classes) > TOP:
                yield Result(
                    f"{name}/top{TOP}_accuracy", top_k_accuracy(one.similarities, one.labels, TOP), n
                )
            if context.final:
                yield Result(f"baseline/chance/{name}/accuracy", 1 / len(one.classes), n)
                most = int(np.bincount(one.labels).max())
                yield Result(f"baseline/most_common/{name}/accuracy", most / n, n)

    def pictures(self, context: EvaluationContext, folder: Path) -> Iterator[Artifact]:
        """The confusion matrix of each set."""
        for one in self._of(context):
            yield one.draw(folder, context.split)

    def write(self, context: EvaluationContext, folder: Path) -> Iterator[Artifact]:
        """The confusion matrix of each set as picture and table, and the scores of each class."""
        for one in self._of(context):
            yield one.draw(folder, context.split)
            yield from one.write_tables(folder, context.split)

    def notes(self, context: EvaluationContext) -> Iterator[str]:
        """How each set was classified, and what is confused most."""
        for one in self._of(context):
            count = len(self.templates[one.name])
            yield (
                f"zero-shot {one.name}: {len(one.labels):,} images, {len(one.classes):,} classes, {count} "
                f"template{'s' * (count > 1)} such as {self.templates[one.name][0]!r}" + one.mistakes()
            )

    def _of(self, context: EvaluationContext) -> list[ZeroShotClassified]:
        return self._measured[1] if self._measured[0] is context else []

    def _classified(self, one: ImageSet, context: EvaluationContext) -> ZeroShotClassified | None:
        dataset = one.read(context.data, context.split)
        if dataset is None:
            return None
        names = class_names_of(one.settings.get("class_names"), one.classes, one.where)
        limit = self.limit_final if context.final else self.limit
        weights = once(context, ("zero_shot", one.where), lambda: self._weights(one, names, context))
        images = encoded_images(context, dataset, "embedding", limit)
        similarities = (images.features @ weights.T).numpy()  # (N, K)
        return ZeroShotClassified(one.name, similarities, images.labels, one.classes, names)

    def _weights(self, one: ImageSet, names: Sequence[str], context: EvaluationContext) -> Tensor:
        """`(K, D)` class weights of length 1."""
        templates = self.templates[one.name]
        model: Any = context.task.model
        size = max(1, PROMPTS_AT_ONCE // len(templates))

        def chunk(start: int) -> Tensor:
            part = names[start : start + size]
            ids, mask = _tokens(
                context.data, [template.format(name) for name in part for template in templates]
            )
            found = model.encode_texts(ids.to(context.task.device), mask.to(context.task.device))
            return normalized(normalized(found).view(len(part), len(templates), -1).mean(1))

        return encoded(context, range(0, len(names), size), chunk)

    def _must_differ(self, one: ImageSet, names: Sequence[str], data: DataModule) -> None:
        seen: dict[bytes, str] = {}
        distinct = list(dict.fromkeys(names))
        prompts = [self.templates[one.name][0].format(name) for name in distinct]
        for name, row in zip(distinct, _tokens(data, prompts)[0].numpy(), strict=True):
            other = seen.setdefault(row.tobytes(), name)
            if other != name:
                raise UserError(
                    f"{one.where}: the tokenizer can't tell the classes {other!r} and {name!r} apart in "
                    f"{self.templates[one.name][0]!r}",
                    valid="words that the captions of the training have, in prompts that are not cut off",
                    fix=f"{one.where}.class_names=[...]",
                )


def _tokens(data: Any, texts: list[str]) -> tuple[Tensor, Tensor]:
    ids, mask = data.tokenizer(texts)
    return torch.as_tensor(ids), torch.as_tensor(mask)
