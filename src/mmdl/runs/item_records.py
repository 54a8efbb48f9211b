"""What a record of predictions says of its item, whatever the task: id, score, and what that was taken against."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

KINDS = ("vqa", "classification", "retrieval", "generation")
REPEAT = "repeat"
"""Key of a record whose id the split has more than once: 2 for the second of them."""
SPLITS = ("train", "val", "test")


def told_apart(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The records, with `repeat` where an id occurs again.

    >>> [item_id(record) for record in told_apart([{"id": "a"}, {"id": "a"}, {"id": "b"}])]
    ['a', 'a#2', 'b']
    """
    told = []
    for record, count in zip(records, repeats([str(item_id(record)) for record in records]), strict=True):
        told.append(dict(record) if count == 1 else {**record, REPEAT: count})
    return told


def repeats(ids: Sequence[str]) -> list[int]:
    """1 for an id that was not there before, else the number that tells it apart: `a#2` is the second `a`.

    >>> repeats(["a", "b", "a", "a#2", "a"])
    [1, 1, 3, 1, 4]
    """
    taken, seen = set(ids), dict[str, int]()
    counts = []
    for own in ids:
        count = seen.get(own, 0) + 1
        while count > 1 and f"{own}#{count}" in taken:
            count += 1
        seen[own] = count
        counts.append(count)
    return counts


def image_key(record: Mapping[str, Any]) -> str | None:
    """What the index of images calls the image of a record.

    >>> image_key({"question_id": 7, "image": "1.png"}), image_key({"id": "cat/1.png"})
    ('1.png', 'cat/1.png')
    """
    return str(record["image"]) if record.get("image") is not None else item_id(record)


def item_id(record: Mapping[str, Any]) -> str | None:
    """The id of an item, unique in its split; None where the record has none.

    >>> item_id({"question_id": 7}), item_id({"id": "cat/1.png", "repeat": 2})
    ('7', 'cat/1.png#2')
    """
    found = record.get("question_id", record.get("id"))
    if isinstance(found, bool) or not isinstance(found, str | int):
        return None
    repeat = record.get(REPEAT)
    return f"{found}#{repeat}" if repeat is not None else str(found)


def kind_of(record: Mapping[str, Any]) -> str | None:
    """The kind of a record of a folder that does not say it.

    >>> kind_of({"question_id": 7, "score": 1.0}), kind_of({"id": "a", "label": "cat", "correct": True})
    ('vqa', 'classification')
    """
    if "question_id" in record:
        return "vqa"
    if "rank" in record and "hit" in record:
        return "retrieval"
    if "correct" in record:
        return "classification"
    return "generation" if "score" in record else None


def score_of(kind: str, record: Mapping[str, Any]) -> float | None:
    """The score of an item in [0, 1]; None without a reference.

    Raises:
        KeyError: if the record has no score.
        ValueError: if it is none.
    """
    found = record[{"classification": "correct", "retrieval": "hit"}.get(kind, "score")]
    if found is None:
        return None
    score = float(found)
    if not (math.isfinite(score) and 0 <= score <= 1):
        raise ValueError(f"{score} is no score")
    return score


def reference_of(kind: str, record: Mapping[str, Any]) -> str:
    """What the score was taken against, as canonical JSON.

    Of retrieval that is the query, and among how many the right one was looked for.
    """
    reference: Any
    if kind == "vqa":
        answers = record.get("answers")
        reference = sorted(map(str, answers)) if isinstance(answers, list) else answers
    elif kind == "classification":
        reference = record.get("label")
    elif kind == "retrieval":
        reference = {key: record.get(key) for key in ("query", "image", "among", "right")}
    else:
        reference = record.get("references")
    return json.dumps(reference, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def fingerprint(ids: Sequence[str], references: Sequence[str]) -> str:
    """SHA-256 over ids and references, in the order of the ids.

    >>> fingerprint(["a", "b"], ["1", "2"]) == fingerprint(["b", "a"], ["2", "1"])
    True
    """
    digest = hashlib.sha256()
    for found, reference in sorted(zip(ids, references, strict=True)):
        digest.update(json.dumps([found, reference], ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def base_of(name: str) -> str:
    """The name of the run's own predictions on the same items: baselines and directions of retrieval share images.

    >>> base_of("test_baseline_question_only"), base_of("vqa_json-val"), base_of("test_text_to_image")
    ('test', 'vqa_json-val', 'test')
    """
    return name.split("_baseline_")[0].removesuffix("_text_to_image").removesuffix("_image_to_text")


def split_of(name: str) -> str:
    """The split that a file of predictions is of, by its name.

    >>> split_of("test_baseline_question_only"), split_of("vqa_json-val")
    ('test', 'val')
    """
    parts = [word for word in base_of(name).split("-") if word in SPLITS]
    return parts[0] if parts else base_of(name)
