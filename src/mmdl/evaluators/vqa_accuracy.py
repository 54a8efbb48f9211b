"""VQA soft accuracy of a model's predictions: overall, per answer type and per question type."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mmdl.data.vqa import VQADataModule
from mmdl.data.vqa_index import VQAIndex
from mmdl.evaluators.base import EvaluationContext, Result
from mmdl.metrics.bootstrap import bootstrap_interval
from mmdl.metrics.vqa_accuracy import vqa_accuracy

FEWEST = 30
"""With fewer questions of a type a bootstrap interval is too narrow, and is left out."""


def score_answers(
    index: VQAIndex, rows: npt.NDArray[np.int64], predictions: Sequence[str]
) -> npt.NDArray[np.float64]:
    """`(n,)` float64 soft accuracy of each prediction; NaN where a question has no references."""
    answers = index.answers
    return np.array(
        [
            vqa_accuracy(prediction, answers[row]) if answers[row] else np.nan
            for row, prediction in zip(rows.tolist(), predictions, strict=True)
        ],
        dtype=np.float64,
    )


def key(text: str) -> str:
    """A type's name as one part of a metric's name.

    >>> key("yes/no"), key("what color is the")
    ('yes_no', 'what_color_is_the')
    """
    return "_".join(text.replace("/", " ").split()) or "none"


class VQAAccuracyEvaluator:
    """Scores the best answer of each question as the official scorer does.

    Args:
        splits: Splits on which it runs.
        per_question_type: Also a figure a question type.
        resamples: Bootstrap resamples of the 95% interval on the test split; images are resampled with all their
            questions, since questions about one image are not independent. Types of `FEWEST` questions have one too.
    """

    def __init__(
        self, splits: Sequence[str] = ("val", "test"), per_question_type: bool = True, resamples: int = 2000
    ) -> None:
        self.splits = tuple(splits)
        self.per_question_type = per_question_type
        self.resamples = resamples

    def run(self, context: EvaluationContext) -> Iterator[Result]:
        """Yield `vqa_accuracy` and its parts; nothing on a split without references."""
        data = context.data
        assert isinstance(data, VQADataModule)
        assert data.vocabulary is not None
        if not context.outputs:
            return
        index = data.dataset(context.split).index
        rows = context.outputs["rows"]
        words = data.vocabulary.answers
        scores = score_answers(index, rows, [words[column] for column in context.outputs["answers"][:, 0]])
        scored = ~np.isnan(scores)
        if not scored.any():
            return
        rows, scores = rows[scored], scores[scored]
        interval = None
        if context.split == "test" and self.resamples:
            interval = bootstrap_interval(scores, resamples=self.resamples, clusters=index.image_of[rows])
        yield Result("vqa_accuracy", float(scores.mean()), len(scores), interval)
        kinds = [("answer_type", index.answer_types)]
        if self.per_question_type:
            kinds.append(("question_type", index.question_types))
        for kind, column in kinds:
            names = np.asarray([column[row] for row in rows.tolist()])
            for name in np.unique(names):
                own = names == name
                chosen, interval = scores[own], None
                if context.split == "test" and self.resamples and own.sum() >= FEWEST:
                    clusters = index.image_of[rows[own]]
                    interval = bootstrap_interval(chosen, resamples=self.resamples, clusters=clusters)
                yield Result(
                    f"vqa_accuracy/{kind}/{key(str(name))}", float(chosen.mean()), len(chosen), interval
                )
