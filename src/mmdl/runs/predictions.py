"""Predictions per sample in the run folder, the official VQA results file, and the table for the tracker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmdl.data.vqa import VQADataModule
from mmdl.metrics.vqa_accuracy import vqa_accuracy
from mmdl.runs.files import write_text
from mmdl.runs.top_items import top_items


def vqa_predictions(
    data: VQADataModule, split: str, outputs: Mapping[str, np.ndarray[Any, Any]]
) -> Iterator[dict[str, Any]]:
    """One record a question.

    Args:
        data: Has the split and the vocabulary.
        split: Which split the outputs are of.
        outputs: `rows` (N,), `answers` (N, k) columns best first, `probabilities` (N, k).

    Yields:
        `question_id`, `image`, `question`, `answers`, `prediction`, `score` (None without references) and `top`, the
        k best answers with their probabilities.
    """
    assert data.vocabulary is not None
    words = data.vocabulary.answers
    index = data.dataset(split).index
    ids, questions, references, images = index.question_ids, index.questions, index.answers, index.image_paths
    for row, columns, probabilities in zip(
        outputs["rows"].tolist(), outputs["answers"].tolist(), outputs["probabilities"].tolist(), strict=True
    ):
        top = top_items("answer", words, columns, probabilities)
        answers = list(references[row])
        yield {
            "question_id": ids[row],
            "image": Path(images[int(index.image_of[row])]).name,
            "question": questions[row],
            "question_type": index.question_types[row],
            "answer_type": index.answer_types[row],
            "answers": answers,
            "prediction": top[0]["answer"],
            "score": vqa_accuracy(top[0]["answer"], answers) if answers else None,
            "top": top,
        }


def write_predictions(path: Path, records: list[dict[str, Any]]) -> None:
    """Write one JSON object a line, atomically."""
    write_text(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def write_vqa_results(path: Path, records: list[dict[str, Any]]) -> None:
    """Write the official results format: `[{"question_id": ..., "answer": ...}]`."""
    results = [{"question_id": record["question_id"], "answer": record["prediction"]} for record in records]
    write_text(path, json.dumps(results, ensure_ascii=False) + "\n")


def vqa_table(
    data: VQADataModule, split: str, outputs: Mapping[str, np.ndarray[Any, Any]], most: int = 64
) -> dict[str, Any]:
    """Columns and rows of a table with images, evenly spread over the split.

    Args:
        data: Has the split.
        split: Which split.
        outputs: As for `vqa_predictions`.
        most: Rows at most.
    """
    count = len(outputs["rows"])
    chosen = np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))
    part = {name: value[chosen] for name, value in outputs.items()}
    index = data.dataset(split).index
    columns = ["image", "question", "prediction", "top", "answers", "score", "answer_type", "question_id"]
    rows = []
    for row, record in zip(part["rows"].tolist(), vqa_predictions(data, split, part), strict=True):
        top = ", ".join(f"{item['answer']} {item['probability']:.2f}" for item in record["top"])
        rows.append(
            [
                Path(index.image_paths[int(index.image_of[row])]),
                record["question"],
                record["prediction"],
                top,
                ", ".join(sorted(set(record["answers"]))),
                record["score"],
                record["answer_type"],
                str(record["question_id"]),
            ]
        )
    return {"columns": columns, "rows": rows}
