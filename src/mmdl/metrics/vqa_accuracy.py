"""VQA accuracy (soft accuracy), equal to the official scorer bit for bit.

Reference: GT-Vision-Lab/VQA, `PythonEvaluationTools/vqaEvaluation/vqaEval.py`, Python 2.7; Agrawal et al.,
"VQA: Visual Question Answering", ICCV 2015. Each reference in turn is left out, the prediction scores min(1,
matches among the others / 3), and the scores are averaged. Text is normalised only where the references
differ: to references that all say "yes", the prediction "Yes." is wrong.

Other public toolkits score differently, 0 against 1 on simple cases. On one set of 5,000 questions the
official scorer gives 76.39 (as does big_vision), LAVIS 97.75, OpenFlamingo and lmms-eval 98.45, MMF 98.46.
Figures of different scorers don't compare.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from mmdl.metrics.vqa_normalization import clean_answer, normalize_answer

__all__ = ["Rule", "VQAAccuracy", "applied_rule", "normalize_answer", "soft_scores", "vqa_accuracy"]

Rule = Literal["auto", "official", "few"]
"""How to score: `official`; `few`, mmdl's rule for fewer than ten references; or `auto`, by their number."""

_OFFICIAL_REFERENCES = 10
_NO_TYPE = 0


def applied_rule(n: int, rule: Rule = "auto") -> Literal["official", "few"]:
    """The rule that scores a question with `n` references.

    Args:
        n: Number of reference answers.
        rule: What was asked for; `auto` is `official` from ten references on, else `few`.

    Raises:
        ValueError: If `rule` is none of the three.

    >>> applied_rule(10), applied_rule(1), applied_rule(1, "official")
    ('official', 'few', 'official')
    """
    if rule == "auto":
        return "official" if n >= _OFFICIAL_REFERENCES else "few"
    if rule not in ("official", "few"):
        raise ValueError(f"unknown rule {rule!r}; valid: auto, official, few")
    return rule


def vqa_accuracy(prediction: str, answers: Sequence[str], rule: Rule = "auto") -> float:
    """Soft accuracy of one prediction.

    Rule `official` is the scorer's formula with its quirks: see the module's docstring. The last bit depends
    on the order of `answers`, as it does there. Two equal answers count as two people's, which is so where,
    as in VQA, each has its own `answer_id`. With a single reference the formula gives 0 to any prediction.

    Rule `few` is mmdl's own: min(1, matches / min(3, n)) over normalised text. It always normalises, since
    the official exception would otherwise hold for every question that has one reference.

    Args:
        prediction: The model's answer.
        answers: The `n >= 1` references as they stand in the annotations, not normalised.
        rule: `auto`, `official` or `few`.

    Returns:
        Score in [0, 1].

    Raises:
        ValueError: Without references, or if the prediction or a reference is not a string.

    >>> vqa_accuracy("two", ["2"] * 10), vqa_accuracy("Yes.", ["yes"] * 10)
    (0.0, 0.0)
    >>> vqa_accuracy("a dog", ["a dog"] * 8 + ["puppy"] * 2), vqa_accuracy("2", ["two"] * 6 + ["4"] * 4)
    (1.0, 1.0)
    >>> round(vqa_accuracy("red", ["red"] * 3 + ["blue"] * 7), 12)
    0.9
    >>> vqa_accuracy("Two.", ["two"]), vqa_accuracy("two", ["two"], rule="official")
    (1.0, 0.0)
    """
    if not isinstance(prediction, str):
        raise ValueError(f"a prediction must be a string, not {type(prediction).__name__}: {prediction!r}")
    _check_answers(answers)
    if applied_rule(len(answers), rule) == "few":
        said = normalize_answer(prediction)
        return _few_score(sum(normalize_answer(answer) == said for answer in answers), len(answers))
    said, given = clean_answer(prediction), [clean_answer(answer) for answer in answers]
    if len(set(given)) > 1:
        said, given = normalize_answer(said), [normalize_answer(answer) for answer in given]
    return _leave_one_out([answer == said for answer in given])


def soft_scores(answers: Sequence[str], rule: Rule = "auto") -> dict[str, float]:
    """Training targets: the score of each distinct answer, by counting on normalised text.

    All references are normalised, unanimous ones too, so that one answer has one spelling in a vocabulary.
    The values are rounded once and don't depend on order: with ten references they are 0.3, 0.6, 0.9 and 1.

    Args:
        answers: The `n >= 1` references.
        rule: `auto`, `official` or `few`.

    Returns:
        Normalised answer -> score in [0, 1], in order of first appearance. The key is empty where an answer
        normalises to nothing ("the").

    Raises:
        ValueError: Without references, or if one is not a string.

    >>> soft_scores(["Two", "2"] + ["a dog"] * 3 + ["cat"] + ["4"] * 4)
    {'2': 0.6, 'dog': 0.9, 'cat': 0.3, '4': 1.0}
    >>> soft_scores(["yes", "no"])
    {'yes': 0.5, 'no': 0.5}
    """
    _check_answers(answers)
    n = len(answers)
    counts = Counter(normalize_answer(answer) for answer in answers)
    if applied_rule(n, rule) == "few":
        return {answer: _few_score(count, n) for answer, count in counts.items()}
    # `count` references that match are left out in turn, then n - count that don't; in thirds: all integer.
    return {
        answer: (count * min(3, count - 1) + (n - count) * min(3, count)) / (3 * n)
        for answer, count in counts.items()
    }


def _check_answers(answers: Sequence[str]) -> None:
    if isinstance(answers, str) or not all(isinstance(answer, str) for answer in answers):
        raise ValueError(f"answers must be a sequence of strings: {answers!r}")
    if len(answers) == 0:
        raise ValueError("no reference answers: a prediction can't be scored without")


def _few_score(matches: int, n: int) -> float:
    return min(1.0, matches / min(3, n))


def _leave_one_out(hits: Sequence[bool]) -> float:
    matches = sum(hits)
    # From four matches on, three are left whichever reference is left out.
    if matches == 0 or matches > 3:
        return float(matches > 3)
    # Not sum(): from Python 3.12 on it compensates rounding, and the last bit differs from the scorer's.
    total = 0.0
    for hit in hits:
        total += min(1.0, (matches - hit) / 3)
    return total / len(hits)


class VQAAccuracy(Metric):
    """Mean VQA accuracy, overall and per answer type and question type, each with its number of questions.

    The result is the mean of the questions' float64 scores, rounded once: it depends neither on their order
    nor on the number of processes. (The official scorer adds them up in file order and shows 100 times the
    mean with two decimals.) Names of types need not be known beforehand and may differ between processes.

    Args:
        rule: How each question is scored; see `vqa_accuracy`.
        **kwargs: Arguments of `torchmetrics.Metric`.

    Attributes:
        records: `(N, 3)` int64: bits of the float64 score (some devices have no float64), ids of both types.
        names: `(M,)` uint8: names of the types that this process met, UTF-8, each ended by a zero byte.

    Raises:
        ValueError: If `rule` is none of the three.

    >>> metric = VQAAccuracy()
    >>> answers = [["two"] * 6 + ["4"] * 4, ["blue"] * 10]
    >>> metric.update(["2", "red"], answers, ["number", "other"], ["how many", "what"])
    >>> metric.compute()
    {'overall': (0.5, 2), 'answer_type/number': (1.0, 1), 'answer_type/other': (0.0, 1),
     'question_type/how many': (1.0, 1), 'question_type/what': (0.0, 1)}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    records: list[Tensor]
    names: list[Tensor]

    def __init__(self, rule: Rule = "auto", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        applied_rule(1, rule)
        self.rule: Rule = rule
        self.add_state("records", [], dist_reduce_fx="cat")
        self.add_state("names", [], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all questions."""
        super().reset()
        # A process without questions must still gather tensors of the others' dtype and number of dimensions.
        self.records = [torch.empty(0, 3, dtype=torch.int64, device=self.device)]
        self.names = [torch.empty(0, dtype=torch.uint8, device=self.device)]
        self._ids: dict[str, int] = {"": _NO_TYPE}

    def update(
        self,
        predictions: Sequence[str],
        answers: Sequence[Sequence[str]],
        answer_types: Sequence[str] | None = None,
        question_types: Sequence[str] | None = None,
    ) -> None:
        """Add `B` questions.

        Args:
            predictions: `B` predicted answers.
            answers: `B` lists of references.
            answer_types: `B` names ("yes/no"); an empty one, or `None` for all, counts for no type.
            question_types: `B` names ("how many"), likewise.

        Raises:
            ValueError: If the lengths differ, a question can't be scored, or a name holds a zero byte.
        """
        size = len(predictions)
        answer_types = [""] * size if answer_types is None else answer_types
        question_types = [""] * size if question_types is None else question_types
        if not size == len(answers) == len(answer_types) == len(question_types):
            lengths = f"{size}, {len(answers)}, {len(answer_types)}, {len(question_types)}"
            raise ValueError(f"predictions, answers and both types differ in length: {lengths}")
        scores = [
            vqa_accuracy(said, given, self.rule) for said, given in zip(predictions, answers, strict=True)
        ]
        columns = [
            torch.tensor(scores, dtype=torch.float64).view(torch.int64),
            torch.tensor(self._type_ids(answer_types), dtype=torch.int64),
            torch.tensor(self._type_ids(question_types), dtype=torch.int64),
        ]
        self.records.append(torch.stack(columns, dim=1).to(self.device))  # (B, 3)

    def compute(self) -> dict[str, tuple[float, int]]:
        """Mean score in [0, 1] and number of questions, by figure; the score is NaN where the number is 0.

        Returns:
            `overall`, then `answer_type/<name>` and `question_type/<name>`, both in alphabetical order.
        """
        bits, *columns = dim_zero_cat(self.records).cpu().T.contiguous()  # 3 x (N,)
        scores = bits.view(torch.float64).tolist()
        texts = bytes(dim_zero_cat(self.names).tolist()).decode().split("\0")
        names = {_type_id(name): name for name in texts}
        figures = {"overall": _mean(scores)}
        for kind, column in zip(("answer_type", "question_type"), columns, strict=True):
            groups: dict[int, list[float]] = defaultdict(list)
            for type_id, score in zip(column.tolist(), scores, strict=True):
                groups[type_id].append(score)
            groups.pop(_NO_TYPE, None)
            for name, type_id in sorted((names[type_id], type_id) for type_id in groups):
                figures[f"{kind}/{name}"] = _mean(groups[type_id])
        return figures

    def _type_ids(self, types: Iterable[str]) -> list[int]:
        ids = []
        for name in types:
            if name not in self._ids:
                if "\0" in name:
                    raise ValueError(f"the name of a type holds a zero byte: {name!r}")
                self._ids[name] = _type_id(name)
                encoded = torch.tensor(list(name.encode() + b"\0"), dtype=torch.uint8)
                self.names.append(encoded.to(self.device))
            ids.append(self._ids[name])
        return ids


def _type_id(name: str) -> int:
    """A 64-bit hash: the same on every process, unlike `hash()` and unlike a running number."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)


def _mean(scores: Sequence[float]) -> tuple[float, int]:
    return (math.fsum(scores) / len(scores) if scores else math.nan), len(scores)
