"""Chooses questions so that their text tells nothing about the answer, and measures that."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from mmdl.data.shapes.draws import Draws
from mmdl.data.shapes.questions import TEMPLATES, Facts, Template
from mmdl.data.shapes.scene import Scene


class Question(NamedTuple):
    """A question that was chosen.

    Attributes:
        text: The question.
        answer: The true answer.
        template: Its kind.
    """

    text: str
    answer: str
    template: Template


class Balancer:
    """Deals questions out over the images of one split.

    Templates keep their shares: the one that lags most behind its share is next. Within a template the pair
    of text and answer that was asked least so far is taken, so answers to one text come out as even as the
    scenes allow: a rare answer is asked wherever it can be.

    Args:
        draws: Source of randomness; it decides between equals.
    """

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self._asked: Counter[tuple[str, str]] = Counter()
        self._due = [0.0] * len(TEMPLATES)
        total = sum(template.share for template in TEMPLATES)
        self._shares = [template.share / total for template in TEMPLATES]

    def choose(self, scene: Scene, most: int) -> list[Question]:
        """Up to `most` different questions about `scene`; fewer where it doesn't allow as many.

        Args:
            scene: The scene.
            most: How many questions are wanted.
        """
        facts = Facts.of(scene)
        chosen: list[Question] = []
        options: dict[int, list[tuple[str, str]]] = {}
        for index, share in enumerate(self._shares):
            self._due[index] += share * most
        while len(chosen) < most:
            open_templates = [index for index in range(len(TEMPLATES)) if options.get(index, True)]
            if not open_templates:
                break
            index = max(open_templates, key=self._due.__getitem__)
            if index not in options:
                options[index] = list(TEMPLATES[index].pairs(facts))
            if options[index]:
                pair = self._least_asked(options[index])
                # One text may stand twice in the list, with two objects that it could mean in turn.
                options[index] = [other for other in options[index] if other[0] != pair[0]]
                self._asked[pair] += 1
                self._due[index] -= 1
                chosen.append(Question(pair[0], pair[1], TEMPLATES[index]))
        return chosen

    def _least_asked(self, pairs: list[tuple[str, str]]) -> tuple[str, str]:
        start = self._draws.below(len(pairs))
        return min(pairs[start:] + pairs[:start], key=self._asked.__getitem__)


def soft_score(answer: str, answers: Sequence[str]) -> float:
    """VQA soft accuracy of one answer among ten that are all in normal form already.

    Args:
        answer: The answer to score.
        answers: The ten answers that people gave.

    Returns:
        A score in [0, 1]: the mean, over the ten ways to leave one person out, of min(1, agreeing / 3).

    >>> soft_score("red", ["red"] * 3 + ["blue"] * 7)
    0.9
    """
    agreeing = answers.count(answer)
    leaving_one_of_them = agreeing * min(1.0, (agreeing - 1) / 3)
    leaving_another = (len(answers) - agreeing) * min(1.0, agreeing / 3)
    return (leaving_one_of_them + leaving_another) / len(answers)


def language_prior(
    train_questions: dict[str, Any],
    train_annotations: dict[str, Any],
    test_questions: dict[str, Any],
    test_annotations: dict[str, Any],
) -> dict[str, float]:
    """Best soft accuracy that can be had on test from the question's text alone.

    For each text, the answer with the best mean soft score on train is given; to a text that train lacks, the
    best answer to its question type.

    Args:
        train_questions: Content of a VQA v2 questions file.
        train_annotations: Content of the annotations file of the same questions.
        test_questions: Likewise for test.
        test_annotations: Likewise for test.

    Returns:
        Soft accuracy in [0, 1] under `overall`, under each answer type and under each question type, and
        under `seen` the part of test's questions whose text stands in train.
    """
    by_text: dict[str, Counter[str]] = defaultdict(Counter)
    by_type: dict[str, Counter[str]] = defaultdict(Counter)
    for text, annotation in _joined(train_questions, train_annotations):
        answers = [row["answer"] for row in annotation["answers"]]
        for answer in set(answers):
            score = soft_score(answer, answers)
            by_text[text][answer] += score  # type: ignore[assignment]
            by_type[annotation["question_type"]][answer] += score  # type: ignore[assignment]
    scores: dict[str, list[float]] = defaultdict(list)
    for text, annotation in _joined(test_questions, test_annotations):
        known = by_text.get(text) or by_type[annotation["question_type"]]
        guess = max(sorted(known), key=known.__getitem__, default="")
        score = soft_score(guess, [row["answer"] for row in annotation["answers"]])
        for key in ("overall", annotation["answer_type"], annotation["question_type"]):
            scores[key].append(score)
        scores["seen"].append(float(text in by_text))
    return {key: sum(values) / len(values) for key, values in scores.items()}


def _joined(questions: dict[str, Any], annotations: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    texts = {row["question_id"]: row["question"] for row in questions["questions"]}
    return [(texts[row["question_id"]], row) for row in annotations["annotations"]]
