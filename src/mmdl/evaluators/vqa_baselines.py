"""What can be scored without looking: the most common answer, and a model that reads only the question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmdl.data.answers import majority_answer
from mmdl.data.sampler import IntArray
from mmdl.data.vqa import VQADataModule
from mmdl.data.vqa_dataset import VQADataset
from mmdl.evaluators.base import EvaluationContext, Result
from mmdl.evaluators.vqa_accuracy import score_answers
from mmdl.metrics.bootstrap import bootstrap_interval
from mmdl.progress_bar import ProgressBar
from mmdl.runs.item_files import Predictions
from mmdl.runs.predictions import vqa_predictions

TOP = 5
"""Answers of a question that are kept."""


class QuestionOnly(nn.Module):
    """The question tower with a classifier and no image.

    Args:
        question_tower: As in `VQAModel`.
        num_answers: Size of the answer vocabulary.
        hidden_dim: Width of the classifier.
    """

    def __init__(self, question_tower: nn.Module, num_answers: int, hidden_dim: int = 256) -> None:
        super().__init__()
        self.question_tower = question_tower
        self.head = nn.Sequential(
            nn.LazyLinear(hidden_dim), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden_dim, num_answers)
        )

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`(N, L)` int64 tokens and bool mask to `(N, A)` logits."""
        return self.head(self.question_tower(tokens, mask).pooled)


class VQABaselines:
    """Trains and scores the baselines on the run's own data.

    Args:
        question_tower: A tower of the same kind as the model's, freshly made.
        splits: Splits on which it runs.
        epochs: Passes over the distinct training questions.
        batch_size: Distinct questions in a step.
        learning_rate: Of AdamW, decayed to zero along half a cosine.
        seed: Seed of order and initial weights.
        resamples: Bootstrap resamples of the 95% intervals.
    """

    trains = True
    """`mmdl eval` leaves it out: the run's summary has its figures."""

    def __init__(
        self,
        question_tower: nn.Module,
        splits: Sequence[str] = ("test",),
        epochs: int = 5,
        batch_size: int = 256,
        learning_rate: float = 3e-3,
        seed: int = 0,
        resamples: int = 2000,
    ) -> None:
        self.question_tower = question_tower
        self.splits = tuple(splits)
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.seed = seed
        self.resamples = resamples
        self._found: dict[str, tuple[list[str], dict[str, np.ndarray[Any, Any]]]] = {}

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield `baseline/most_common/vqa_accuracy` and `baseline/question_only/vqa_accuracy`."""
        data = context.data
        assert isinstance(data, VQADataModule)
        assert data.vocabulary is not None
        self._found = {}
        if "train" not in data.datasets:
            return
        train, test = data.dataset("train"), data.dataset(context.split)
        if test.targets is None or train.targets is None:
            return
        rows = np.arange(len(test.index), dtype=np.int64)
        counts = Counter(majority_answer(answers) for answers in train.index.answers if answers)
        common, share = counts.most_common(1)[0][0], counts.most_common(1)[0][1] / counts.total()
        always = np.zeros((len(rows), 1), dtype=np.int64), np.full((len(rows), 1), share)
        self._keep("most_common", rows, [common], *always)
        yield self._result("most_common", test, rows)
        answers, probabilities = self._question_only(train, test, data.num_answers, context)
        found = answers[test.text_of], probabilities[test.text_of]
        self._keep("question_only", rows, data.vocabulary.answers, *found)
        yield self._result("question_only", test, rows)

    def baselines(self, context: EvaluationContext) -> Iterator[tuple[str, Predictions]]:
        """What each of the two answered to every question."""
        assert isinstance(context.data, VQADataModule)
        for name, (words, outputs) in self._found.items():
            records = list(vqa_predictions(context.data, context.split, outputs, words))
            yield name, Predictions("vqa", "vqa_accuracy", records)

    def _keep(
        self,
        name: str,
        rows: IntArray,
        words: list[str],
        answers: IntArray,
        probabilities: np.ndarray[Any, Any],
    ) -> None:
        """Remember what a baseline said, as a task gives its outputs."""
        self._found[name] = words, {"rows": rows, "answers": answers, "probabilities": probabilities}

    def _result(self, name: str, test: VQADataset, rows: IntArray) -> Result:
        words, outputs = self._found[name]
        predictions = [words[column] for column in outputs["answers"][:, 0].tolist()]
        scores = score_answers(test.index, rows, predictions)
        scored = ~np.isnan(scores)
        interval = bootstrap_interval(
            scores[scored], resamples=self.resamples, clusters=test.index.image_of[rows[scored]]
        )
        return Result(
            f"baseline/{name}/vqa_accuracy", float(scores[scored].mean()), int(scored.sum()), interval
        )

    def _question_only(
        self, train: VQADataset, test: VQADataset, num_answers: int, context: EvaluationContext
    ) -> tuple[IntArray, np.ndarray[Any, Any]]:
        """`(T, k)` columns of the best answers for each distinct test question, and their probabilities."""
        device = context.task.device
        # The loss is linear in the targets, so questions with the same text can be joined into one row with their
        # mean target and a weight: the same optimum, at a fraction of the work.
        with torch.random.fork_rng(devices=[]), torch.enable_grad(), torch.inference_mode(False):
            targets, weights = _mean_targets(train, num_answers)
            torch.manual_seed(self.seed)
            model = QuestionOnly(self.question_tower, num_answers).to(device)
            model(train.ids[:2].to(device), train.mask[:2].to(device))  # gives the lazy layer its shape
            self._fit(model.train(), train, targets, weights, 1 if context.quick else self.epochs, device)
            model.eval()
            with torch.no_grad():
                best = [
                    model(ids.to(device), mask.to(device)).float().topk(min(TOP, num_answers))
                    for ids, mask in zip(test.ids.split(2048), test.mask.split(2048), strict=True)
                ]
        answers = torch.cat([part.indices for part in best]).cpu().numpy()
        return answers, torch.cat([part.values for part in best]).sigmoid().cpu().numpy()

    def _fit(
        self,
        model: nn.Module,
        train: VQADataset,
        targets: Tensor,
        weights: Tensor,
        epochs: int,
        device: torch.device,
    ) -> None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=0.01)
        batches = -(-len(weights) // self.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
        with ProgressBar(total=epochs * batches, desc="question-only baseline", unit="batch") as bar:
            for _ in range(epochs):
                for rows in torch.randperm(len(weights)).split(self.batch_size):
                    logits = model(train.ids[rows].to(device), train.mask[rows].to(device))
                    weight = weights[rows].to(device)
                    losses = nn.functional.binary_cross_entropy_with_logits(
                        logits.float(), targets[rows].to(device), reduction="none"
                    ).sum(-1)
                    loss = (losses * weight).sum() / weight.sum()
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    nn.utils.clip_grad_norm_(parameters, 1.0)
                    optimizer.step()
                    schedule.step()
                    bar.update(1)


def _mean_targets(train: VQADataset, num_answers: int) -> tuple[Tensor, Tensor]:
    """`(T, A)` mean soft scores and `(T,)` number of questions of each distinct text."""
    assert train.targets is not None
    text_of = torch.from_numpy(train.text_of)
    count = len(train.ids)
    sums = torch.zeros(count, num_answers)
    for rows in np.array_split(
        np.arange(len(train.index), dtype=np.int64), max(1, len(train.index) // 65536)
    ):
        sums.index_add_(0, text_of[rows], train.targets.dense(rows))
    weights = torch.bincount(text_of, minlength=count).float()
    return sums / weights.clamp(min=1).unsqueeze(1), weights
