"""What a record of predictions says, in the same words for every task."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

TOP = 5
"""Answers of one record that a page shows."""
NAMES = ("answer", "class", "image", "caption")
"""Keys of what is answered, one an entry of `top`."""


class ItemFacts(NamedTuple):
    """What belongs to an item, whichever run answers it.

    Attributes:
        image: Key of its image in `media/items`, or an empty string.
        query: The question or caption; empty where the image is all.
        references: Right answers, the most common first, with how many people gave each.
        groups: What items are filtered by, such as `answer type`.
        prompt: Parts of a few-shot prompt: (key of an image or an empty string, text).
    """

    image: str
    query: str
    references: list[tuple[str, int]]
    groups: dict[str, str]
    prompt: list[tuple[str, str]]


class Answer(NamedTuple):
    """One of a run's best answers to an item.

    Attributes:
        text: A word, a class, a caption, or the key of an image.
        value: Probability or similarity; NaN where there is none.
        right: Whether it is right; None where the record leaves that to the references.
    """

    text: str
    value: float
    right: bool | None = None


def item_facts(kind: str, record: Mapping[str, Any]) -> ItemFacts:
    """What a record says of its item; what is missing or of another type is left out.

    >>> item_facts("classification", {"id": "test/7", "label": "cat"})
    ItemFacts(image='test/7', query='', references=[('cat', 1)], groups={'class': 'cat'}, prompt=[])
    """
    image = record.get("image")
    if kind == "classification":
        label = _text(record.get("label"))
        known = [(label, 1)] if label else []
        return ItemFacts(_text(image or record.get("id")), "", known, {"class": label}, [])
    if kind == "vqa":
        references = Counter(map(_text, _list(record.get("answers")))).most_common()
        groups = {
            "answer type": _text(record.get("answer_type")),
            "question type": _text(record.get("question_type")),
        }
        groups["answer"] = references[0][0] if references else ""
        return ItemFacts(_text(image), _text(record.get("question")), references, groups, [])
    if kind == "retrieval":
        # a query that is the image itself stands there as an image
        query, key = _text(record.get("query")), _text(image)
        return ItemFacts(key, "" if query == key else query, [], {}, [])
    references = Counter(map(_text, _list(record.get("references")))).most_common()
    asked, prompt = record.get("question"), record.get("prompt")
    groups = {
        name.replace("_", " "): _text(record[name]) for name in ("answer_type", "shots") if name in record
    }
    return ItemFacts(_text(image), _text(asked), references, groups, _prompt(prompt))


def best_answers(kind: str, record: Mapping[str, Any]) -> list[Answer]:
    """A run's best answers, the best first.

    >>> best_answers("vqa", {"top": [{"answer": "yes", "probability": 0.9}]})
    [Answer(text='yes', value=0.9, right=None)]
    """
    answers = []
    for entry in _list(record.get("top"))[:TOP]:
        if isinstance(entry, dict):
            text, right = "", entry.get("right")
            for key in NAMES:
                if key in entry:
                    text = _text(entry[key])
                    break
            value = entry["probability"] if "probability" in entry else entry.get("similarity")
            answers.append(Answer(text, _number(value), right if isinstance(right, bool) else None))
    if not answers and kind != "retrieval":
        said = record.get("generation", record.get("prediction"))
        return [Answer(_text(said), _number(record.get("probability")))] if said is not None else []
    return answers


def finds_images(record: Mapping[str, Any]) -> bool:
    """Whether the answers of a retrieval record are images.

    >>> finds_images({"top": [{"image": "a.png"}]})
    True
    """
    return any("image" in entry for entry in _list(record.get("top")) if isinstance(entry, Mapping))


def rank_of(record: Mapping[str, Any]) -> int:
    """Rank of the best right item of a retrieval record, from 1; 0 where it has none.

    >>> rank_of({"rank": 3}), rank_of({})
    (3, 0)
    """
    rank = record.get("rank")
    return rank if isinstance(rank, int) and not isinstance(rank, bool) and 0 < rank < 2**31 else 0


def _prompt(prompt: Any) -> list[tuple[str, str]]:
    if isinstance(prompt, str):
        return [("", prompt)]
    parts = []
    for part in _list(prompt):
        if isinstance(part, Mapping):
            parts.append((_text(part.get("image")), _text(part.get("text"))))
        elif part is not None:
            parts.append(("", _text(part)))
    return parts


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)
