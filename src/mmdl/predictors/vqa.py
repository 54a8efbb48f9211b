"""Answers questions about images with a VQA run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mmdl.errors import UserError
from mmdl.predictors.files import device_and_half, image_files
from mmdl.runs.top_items import top_items, top_lines

if TYPE_CHECKING:
    from mmdl.runs.loading import LoadedRun
    from mmdl.tasks.vqa import VQATask


def samples(cfg: DictConfig) -> Iterator[dict[str, Any]]:
    """Image and question of every prediction, checked before anything heavy is loaded."""
    if cfg.get("texts") is not None:
        raise UserError(
            "texts= was given, and this run answers questions", valid='image=FILE|FOLDER with question="..."'
        )
    if cfg.input is not None:
        if cfg.image is not None or cfg.question is not None:
            raise UserError(
                "input= was given with image= or question=", valid="either input=, or image= and question="
            )
        from mmdl.data.readers.table import read_table

        file = Path(str(cfg.input)).expanduser()
        index = read_table(file, None, require_answers=False)
        for row in range(len(index)):
            image = index.image_paths[int(index.image_of[row])]
            yield {"question_id": index.question_ids[row], "image": image, "question": index.questions[row]}
        return
    missing = [name for name in ("image", "question") if cfg.get(name) is None]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} not given",
            valid="image=FILE|FOLDER with question=TEXT, or input=FILE.jsonl",
            fix='python -m mmdl predict run=latest image=a.jpg question="how many ...?"',
        )
    question = str(cfg.question).strip()
    if not question:
        raise UserError("question= is empty", valid="a question")
    for number, file in enumerate(image_files(str(cfg.image))):
        yield {"question_id": number, "image": str(file), "question": question}


def predict(
    cfg: DictConfig, loaded: LoadedRun, task: VQATask, wanted: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """One record a sample, in order; images are decoded batch by batch, each once a batch.

    Args:
        cfg: Of the verb.
        loaded: The run.
        task: With its weights.
        wanted: What `samples` yielded.
    """
    import torch

    from mmdl.data.transforms.image import load_image
    from mmdl.instantiate import instantiate
    from mmdl.progress_bar import ProgressBar

    config = loaded.config
    tokenizer = instantiate(config.data.tokenizer)
    tokenizer.load_state_dict(loaded.vocabularies["tokenizer"])
    words: list[str] = loaded.vocabularies["answers"]
    device, half = device_and_half(cfg, config)
    task = task.to(device).eval()
    size, resize = int(config.data.image_size), config.data.resize
    top_k = min(int(cfg.top_k), len(words))
    task.top_k = top_k
    with ProgressBar(total=len(wanted), desc="predict", unit="question", disable=len(wanted) < 2) as bar:
        for start in range(0, len(wanted), int(cfg.batch_size)):
            part = wanted[start : start + int(cfg.batch_size)]
            paths = list(dict.fromkeys(sample["image"] for sample in part))
            images = torch.stack([load_image(Path(path), size, resize) for path in paths])
            ids, mask = tokenizer([sample["question"] for sample in part])
            batch = {
                "rows": torch.arange(len(part)),
                "image_index": torch.tensor([paths.index(sample["image"]) for sample in part]),
                "images": images,
                "tokens": ids,
                "token_mask": mask,
            }
            moved = {name: value.to(device) for name, value in batch.items()}
            with torch.no_grad(), torch.autocast(device.type, half, enabled=half is not None):
                outputs, _ = task.evaluate_batch(moved)  # type: ignore[arg-type]
            for sample, columns, values in zip(
                part, outputs["answers"].tolist(), outputs["probabilities"].tolist(), strict=True
            ):
                top = top_items("answer", words, columns, values)
                yield {**sample, "answer": top[0]["answer"], "top": top}
            bar.update(len(part))


def lines(record: dict[str, Any]) -> list[str]:
    """The answers to one question, as a person reads them."""
    return top_lines("answer", record["top"])
