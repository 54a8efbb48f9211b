"""Answers questions about images with a trained run.

usage: python -m mmdl predict run=RUN|latest image=FILE question="..."
       python -m mmdl predict run=RUN image=FOLDER question="..." output=answers.jsonl
       python -m mmdl predict run=RUN input=questions.jsonl output=answers.jsonl

One image and one question print the top answers with their probabilities. A folder, or a JSONL file of
{"image", "question"}, gives one JSON object a line, to `output` or to the console. A line's image is relative to the
file's folder.

examples:
  python -m mmdl predict run=latest image=photo.jpg question="how many cups are there?"
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mmdl.assembly import build_task, quiet_console, static_errors
from mmdl.errors import UserError, UserErrors

if TYPE_CHECKING:
    from mmdl.data.tokenizer.word import WordTokenizer
    from mmdl.tasks.vqa import VQATask

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


def main(cfg: DictConfig) -> None:
    """Run the verb."""
    quiet_console()
    samples = list(_samples(cfg))
    from mmdl.runs.loading import load_run, load_weights

    loaded = load_run(Path(cfg.root).expanduser(), str(cfg.run), str(cfg.weights))
    if errors := static_errors(loaded.config):
        raise UserErrors(errors)
    import lightning.pytorch as pl

    from mmdl.instantiate import instantiate

    pl.seed_everything(loaded.config.seed, workers=True, verbose=False)
    task = build_task(loaded.config)
    load_weights(task, loaded)
    tokenizer = instantiate(loaded.config.data.tokenizer)
    tokenizer.load_state_dict(loaded.vocabularies["tokenizer"])
    records = _predict(cfg, loaded.config, task, tokenizer, loaded.vocabularies["answers"], samples)  # type: ignore[arg-type]
    _write(cfg, records, single=len(samples) == 1 and cfg.input is None)


def _samples(cfg: DictConfig) -> Iterator[dict[str, Any]]:
    """Image and question of every prediction, checked before anything heavy is loaded."""
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
    path = Path(str(cfg.image)).expanduser()
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise UserError(f"there is no image in {path}", valid=", ".join(sorted(IMAGE_SUFFIXES)))
    elif path.is_file():
        files = [path]
    else:
        raise UserError(f"there is no image {path}", valid="an image file or a folder of images")
    for number, file in enumerate(files):
        yield {"question_id": number, "image": str(file), "question": question}


def _predict(
    cfg: DictConfig,
    config: DictConfig,
    task: VQATask,
    tokenizer: WordTokenizer,
    words: list[str],
    samples: list[dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """One record a sample, in order; images are decoded batch by batch, each once a batch."""
    import torch
    from tqdm import tqdm

    from mmdl.data.transforms.image import load_image
    from mmdl.runs.hardware import resolve_precision

    use_gpu = torch.cuda.is_available() and str(cfg.accelerator) in ("auto", "gpu", "cuda")
    device = torch.device("cuda" if use_gpu else "cpu")
    precision = resolve_precision(config.trainer.precision, str(cfg.accelerator))
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    task = task.to(device).eval()
    size, resize = int(config.data.image_size), config.data.resize
    top_k = min(int(cfg.top_k), len(words))
    task.top_k = top_k
    with tqdm(
        total=len(samples), desc="predict", unit="question", leave=False, disable=len(samples) < 2
    ) as bar:
        for start in range(0, len(samples), int(cfg.batch_size)):
            part = samples[start : start + int(cfg.batch_size)]
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
                top = [
                    {"answer": words[c], "probability": round(p, 6)}
                    for c, p in zip(columns, values, strict=True)
                ]
                yield {**sample, "answer": top[0]["answer"], "top": top}
            bar.update(len(part))


def _write(cfg: DictConfig, records: Iterator[dict[str, Any]], single: bool) -> None:
    if cfg.output is not None:
        from mmdl.runs.files import write_text

        path = Path(str(cfg.output)).expanduser()
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        write_text(path, "".join(lines))
        print(f"{len(lines)} answers written to {path}")
        return
    for record in records:
        if single:
            width = max(len(item["answer"]) for item in record["top"])
            for item in record["top"]:
                print(f"{item['answer']:{width}}  {item['probability']:.4f}")
        else:
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
