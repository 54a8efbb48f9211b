"""Predictions of visual question answering, and the official results file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdl.data.vqa import VQADataModule
from mmdl.metrics.vqa_accuracy import vqa_accuracy
from mmdl.runs.files import write_text
from mmdl.runs.top_items import top_items


def vqa_predictions(
    data: VQADataModule,
    split: str,
    outputs: Mapping[str, np.ndarray[Any, Any]],
    words: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """One record a question.

    Args:
        data: Has the split and the vocabulary.
        split: Which split the outputs are of.
        outputs: `rows` (N,), `answers` (N, k) columns best first, `probabilities` (N, k).
        words: Answers that the columns stand for; None: the vocabulary.

    Yields:
        `question_id`, `image`, `question`, `answers`, `prediction`, `score` (None without references) and `top`, the
        k best answers with their probabilities.
    """
    assert data.vocabulary is not None
    words = data.vocabulary.answers if words is None else words
    index = data.dataset(split).index
    ids, questions, references, images = index.question_ids, index.questions, index.answers, index.image_keys
    for row, columns, probabilities in zip(
        outputs["rows"].tolist(), outputs["answers"].tolist(), outputs["probabilities"].tolist(), strict=True
    ):
        top = top_items("answer", words, columns, probabilities)
        answers = list(references[row])
        yield {
            "question_id": ids[row],
            "image": images[int(index.image_of[row])],
            "question": questions[row],
            "question_type": index.question_types[row],
            "answer_type": index.answer_types[row],
            "answers": answers,
            "prediction": top[0]["answer"],
            "score": vqa_accuracy(top[0]["answer"], answers) if answers else None,
            "top": top,
        }


def write_vqa_results(path: Path, records: list[dict[str, Any]]) -> None:
    """Write the official results format: `[{"question_id": ..., "answer": ...}]`."""
    results = [{"question_id": record["question_id"], "answer": record["prediction"]} for record in records]
    write_text(path, json.dumps(results, ensure_ascii=False) + "\n")
