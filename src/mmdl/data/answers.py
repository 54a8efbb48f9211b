"""The answer vocabulary of a VQA model and the soft-score targets over it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mmdl.errors import UserError
from mmdl.metrics.vqa_accuracy import normalize_answer, soft_scores


@lru_cache(maxsize=200_000)
def _scores(answers: tuple[str, ...]) -> dict[str, float]:
    return soft_scores(answers)


def majority_answer(answers: Sequence[str]) -> str:
    """The most frequent reference answer, normalised; the first given wins a tie.

    >>> majority_answer(["A dog", "cat", "dog"])
    'dog'
    """
    return Counter(normalize_answer(answer) for answer in answers).most_common(1)[0][0]


class AnswerVocabulary:
    """The answers that a model can give, most frequent first.

    Args:
        answers: Distinct normalised answers.

    Raises:
        UserError: if there is no answer.
    """

    def __init__(self, answers: Sequence[str]) -> None:
        if not answers:
            raise UserError(
                "the answer vocabulary is empty: no answer is frequent enough",
                valid="data.min_answer_count at most the count of the most frequent answer",
                fix="data.min_answer_count=1",
            )
        self.answers = list(answers)
        self.index = {answer: position for position, answer in enumerate(self.answers)}

    @classmethod
    def build(
        cls, references: Iterable[Sequence[str]], min_count: int, most: int | None = None
    ) -> AnswerVocabulary:
        """Count the majority answer of each question and keep the frequent ones.

        A minimum count of 9 over the train and val questions of VQA v2 gives the customary 3,129 answers
        (hengyuan-hu/bottom-up-attention-vqa, `tools/compute_softscore.py`).

        Args:
            references: Reference answers of each question.
            min_count: Keep answers that are the majority of at least so many questions.
            most: Keep at most so many; None keeps all.

        >>> AnswerVocabulary.build([["yes"] * 3, ["yes"] * 3, ["no"] * 3], min_count=2).answers
        ['yes']
        """
        counts = Counter(majority_answer(answers) for answers in references if answers)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls([answer for answer, count in ranked if count >= min_count][:most])

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the list, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.answers).encode()).hexdigest()


class SoftTargets:
    """Soft scores of a split, stored sparsely: few answers of the vocabulary have any score for a question.

    Args:
        references: Reference answers of each question; an empty one gives a row of zeros.
        vocabulary: The answers that have a column.
    """

    def __init__(self, references: Iterable[Sequence[str]], vocabulary: AnswerVocabulary) -> None:
        columns: list[int] = []
        values: list[float] = []
        ends = [0]
        best: list[float] = []
        for answers in references:
            scores = _scores(tuple(answers)) if answers else {}
            known = [(vocabulary.index[a], s) for a, s in scores.items() if a in vocabulary.index and s > 0]
            columns += [column for column, _ in known]
            values += [score for _, score in known]
            ends.append(len(columns))
            best.append(max((score for _, score in known), default=0.0))
        self.columns = torch.tensor(columns, dtype=torch.int64)
        self.values = torch.tensor(values, dtype=torch.float32)
        self.offsets = np.asarray(ends, dtype=np.int64)
        self.best = np.asarray(best, dtype=np.float64)
        """`(N,)` float64: the best score that any answer of the vocabulary reaches."""
        self.num_answers = len(vocabulary)

    def dense(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """`(len(rows), A)` float32 soft scores."""
        counts = self.offsets[rows + 1] - self.offsets[rows]
        ends = np.cumsum(counts)
        shifts = self.offsets[rows] - (ends - counts)
        picked = torch.from_numpy(np.repeat(shifts, counts) + np.arange(int(counts.sum())))
        where = torch.from_numpy(np.repeat(np.arange(len(rows)), counts))
        out = torch.zeros(len(rows), self.num_answers)
        out[where, self.columns[picked]] = self.values[picked]
        return out

    def unreachable(self) -> npt.NDArray[np.int64]:
        """Rows for which no answer of the vocabulary scores: they have fallen out of it."""
        return np.flatnonzero(self.best == 0.0)
