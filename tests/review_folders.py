"""Run folders written by hand, of every kind, for the tests of reviews; `folders` of `conftest.py` hands this out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

DIGITS = tuple(str(number) for number in range(10))
COLOURS = {"red": (200, 40, 40), "green": (40, 160, 70), "blue": (50, 90, 200), "black": (20, 20, 20)}


def write_run(
    root: Path, run_id: str, name: str, monitor: str, summary: Mapping[str, Any], seed: int = 0
) -> Path:
    """A finished run without predictions: configuration, manifest, status, summary and a curve."""
    path = Path(root) / run_id
    (path / "predictions").mkdir(parents=True)
    config = {
        "name": name,
        "seed": seed,
        "monitor": {"name": monitor, "mode": "max"},
        "optimizer": {"lr": 0.01},
    }
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    manifest = {
        "started": "2026-11-28T12:00:00+0000",
        "command": ["/usr/lib/mmdl/__main__.py", "train", f"+experiment={name}", f"seed={seed}"],
        "git": {"commit": "0" * 40, "dirty": False},
        "packages": {"mmdl": "0.1.0"},
        "hardware": {"cpu": "a processor", "gpus": []},
        "data": {split: hashlib.sha256(split.encode()).hexdigest() for split in ("train", "val", "test")},
        "marks": {"trained_on_val": False, "skipped": {}},
    }
    write_json(path / "manifest.json", manifest)
    write_json(
        path / "status.json", {"status": "finished", "pid": 1, "time": 1.0, "name": name, "monitor": monitor}
    )
    write_json(path / "summary.json", dict(summary))
    rows = [{"step": step, "time": 1e9 + step, monitor: 1 - 0.5 ** (step / 10)} for step in range(0, 50, 10)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_predictions(
    run: Path, name: str, records: Iterable[Mapping[str, Any]], kind: str, metric: str, older: bool = False
) -> list[dict[str, Any]]:
    """`predictions/<name>.jsonl`, and its `.json` unless the folder is one of an older version."""
    records = [dict(record) for record in records]
    lines = "".join(json.dumps(record, ensure_ascii=True) + "\n" for record in records)
    (run / "predictions" / f"{name}.jsonl").write_text(lines)
    if not older:
        split = name.split("_")[0]
        facts = {"version": 1, "kind": kind, "split": split, "metric": metric, "count": len(records)}
        write_json(run / "predictions" / f"{name}.json", facts)
    return records


def write_images(run: Path, pixels: Mapping[str, Image.Image], split: str = "test") -> None:
    """`media/items/`: the images by their key."""
    folder, index = run / "media" / "items", {}
    (folder / split).mkdir(parents=True, exist_ok=True)
    for key, image in pixels.items():
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        file = f"{split}/{hashlib.sha1(buffer.getvalue()).hexdigest()}.png"
        (folder / file).write_bytes(buffer.getvalue())
        index[key] = {"file": file, "width": image.width, "height": image.height}
    write_json(folder / "index.json", {"version": 1, "images": {split: index}, "caps": {}, "left_out": {}})


def write_probe(run: Path, steps: Mapping[int, Iterable[Mapping[str, Any]]], ids: Iterable[Any]) -> None:
    """`media/probe/`: records of the fixed items at each validation."""
    folder = run / "media" / "probe"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "index.json", {"version": 1, "split": "val", "ids": list(ids)})
    for step, records in steps.items():
        (folder / f"step-{step}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))


def picture(colour: tuple[int, int, int], number: int = 0, size: int = 32) -> Image.Image:
    """A square of a colour, and a stripe that tells pictures apart."""
    image = Image.new("RGB", (size, size), colour)
    for x in range(size):
        image.putpixel((x, number % size), (255, 255, 255))
    return image


def vqa_records(items: int, right: float, seed: int) -> list[dict[str, Any]]:
    """Three questions an image; of them about a share `right` is answered right."""
    chance, records = random.Random(seed), []
    fixed = random.Random(0)
    for number in range(items):
        kind = ("other", "yes/no", "number")[number % 3]
        words = {"other": sorted(COLOURS), "yes/no": ["no", "yes"], "number": ["1", "2", "3"]}[kind]
        answer = fixed.choice(words)
        answers = [answer] * 10 if number % 5 else [answer] * 7 + [words[0]] * 3
        guess = answer if chance.random() < right else chance.choice(words)
        top, left = [], 1.0
        for word in [guess, *(word for word in words if word != guess)]:
            top.append({"answer": word, "probability": round(left * chance.uniform(0.5, 0.95), 4)})
            left -= top[-1]["probability"]
        matches = answers.count(guess)
        score = 1.0 if matches >= 4 else matches * 0.3
        records.append(
            {
                "question_id": 1000 + number,
                "image": f"image{number // 3}.png",
                "question": {
                    "other": "What color is the square?",
                    "yes/no": "Is there a line?",
                    "number": "How many lines?",
                }[kind]
                + f" ({number})",
                "question_type": {"other": "what color", "yes/no": "is there", "number": "how many"}[kind],
                "answer_type": kind,
                "answers": answers,
                "prediction": guess,
                "score": score,
                "top": top,
            }
        )
    return records


def vqa(
    root: Path,
    run_id: str = "a",
    items: int = 24,
    right: float = 0.7,
    seed: int = 0,
    baseline: bool = True,
    images: bool = True,
    older: bool = False,
) -> Path:
    """A VQA run with three questions an image, and its question-only baseline."""
    records = vqa_records(items, right, seed + 1)
    accuracy = sum(record["score"] for record in records) / max(items, 1)
    summary: dict[str, Any] = {
        "test/vqa_accuracy": {"value": accuracy, "n": items, "ci95": [accuracy - 0.1, accuracy + 0.1]}
    }
    run = write_run(root, run_id, "vqa", "val/vqa_accuracy", summary, seed)
    write_predictions(run, "test", records, "vqa", "vqa_accuracy", older)
    if baseline and not older:
        other = vqa_records(items, 0.2, 99)
        write_predictions(run, "test_baseline_question_only", other, "vqa", "vqa_accuracy")
    if images and not older:
        colours = list(COLOURS.values())
        names = sorted({record["image"] for record in records})
        write_images(run, {name: picture(colours[n % 4], n) for n, name in enumerate(names)})
        steps = {step: vqa_records(6, step / 40, step) for step in (10, 20, 30)}
        write_probe(run, steps, [record["question_id"] for record in steps[10]])
    return run


def classification(
    root: Path,
    run_id: str = "a",
    items: int = 60,
    right: float = 0.8,
    seed: int = 0,
    classes: Iterable[str] = DIGITS,
    images: bool = True,
    older: bool = False,
    matrix: bool = True,
) -> Path:
    """A classifier, with its confusion matrix."""
    names, chance, records = list(classes), random.Random(seed), []
    for number in range(items):
        label = names[number % len(names)]
        guess = label if chance.random() < right else chance.choice(names)
        first = round(chance.uniform(0.4, 0.99), 4)
        others = [name for name in names[:6] if name != guess][:4]
        rest = [{"class": name, "probability": round((1 - first) / 5, 4)} for name in others]
        top = [{"class": guess, "probability": first}, *rest]
        records.append(
            {
                "id": f"test/{number}",
                "label": label,
                "prediction": guess,
                "correct": guess == label,
                "top": top,
            }
        )
    accuracy = sum(record["correct"] for record in records) / max(items, 1)
    run = write_run(
        root,
        run_id,
        "mnist",
        "val/accuracy",
        {"test/accuracy": {"value": accuracy, "n": items, "ci95": None}},
        seed,
    )
    write_predictions(run, "test", records, "classification", "accuracy", older)
    if images and not older:
        write_images(run, {r["id"]: picture((30, 30, 30), n) for n, r in enumerate(records)})
    if matrix:
        folder = run / "evaluation" / "test"
        folder.mkdir(parents=True)
        counts = {(record["label"], record["prediction"]): 0 for record in records}
        for record in records:
            counts[record["label"], record["prediction"]] += 1
        with (folder / "confusion_matrix.csv").open("w", newline="") as handle:
            table = csv.writer(handle)
            table.writerow(["true class", *names])
            table.writerows([name, *(counts.get((name, other), 0) for other in names)] for name in names)
    return run


def retrieval(root: Path, run_id: str = "a", images: int = 12, right: float = 0.6, seed: int = 0) -> Path:
    """A retrieval run: two captions an image, both directions."""
    chance = random.Random(seed)
    keys = [f"photo{number}.png" for number in range(images)]
    captions = [f"a picture of stripe {number // 2} ({number % 2})" for number in range(2 * images)]
    to_image, to_text = [], []
    for number, caption in enumerate(captions):
        own = keys[number // 2]
        order = chance.sample(keys, len(keys))
        if chance.random() < right:
            order.remove(own)
            order.insert(0, own)
        top = [
            {"image": key, "similarity": round(0.9 - 0.1 * place, 3), "right": key == own}
            for place, key in enumerate(order[:5])
        ]
        rank = order.index(own) + 1
        record = {"id": f"{own}#{number % 2}", "query": caption, "image": own, "rank": rank, "hit": rank == 1}
        to_image.append({**record, "among": images, "top": top})
    for number, key in enumerate(keys):
        order_ = chance.sample(range(len(captions)), len(captions))
        if chance.random() < right:
            order_.remove(2 * number)
            order_.insert(0, 2 * number)
        rank = min(order_.index(2 * number), order_.index(2 * number + 1)) + 1
        found = [
            {"caption": captions[c], "similarity": round(0.9 - 0.1 * place, 3), "right": c // 2 == number}
            for place, c in enumerate(order_[:5])
        ]
        to_text.append(
            {
                "id": key,
                "query": key,
                "image": key,
                "rank": rank,
                "hit": rank == 1,
                "among": len(captions),
                "top": found,
            }
        )
    summary = {
        f"test/{direction}/recall@1": {
            "value": sum(r["hit"] for r in records) / len(records),
            "n": len(records),
        }
        for direction, records in (("text_to_image", to_image), ("image_to_text", to_text))
    }
    run = write_run(root, run_id, "clip", "val/text_to_image/recall@1", summary, seed)
    write_predictions(run, "test_text_to_image", to_image, "retrieval", "text_to_image/recall@1")
    write_predictions(run, "test_image_to_text", to_text, "retrieval", "image_to_text/recall@1")
    colours = list(COLOURS.values())
    write_images(run, {key: picture(colours[n % 4], n) for n, key in enumerate(keys)})
    for step in (100, 200, 300):
        folder = run / "media" / "validation" / f"step={step:08d}"
        folder.mkdir(parents=True)
        picture((step % 255, 90, 90), step // 100, 64).save(folder / "text_to_image.png")
    (run / "evaluation" / "test").mkdir(parents=True)
    picture((90, 90, 200), 3, 64).save(run / "evaluation" / "test" / "text_to_image.png")
    return run


def generation(root: Path, run_id: str = "a", items: int = 8, seed: int = 0) -> Path:
    """A few-shot run: interleaved prompts and what was generated after them."""
    chance, records = random.Random(seed), []
    for number in range(items):
        right = chance.random() < 0.6
        records.append(
            {
                "id": f"q{number}",
                "image": f"image{number}.png",
                "prompt": [
                    {"image": "image0.png", "text": "Question: What color? Answer: red"},
                    {"image": f"image{number}.png", "text": "Question: What color? Answer:"},
                ],
                "generation": "blue" if right else "a large\nred thing",
                "references": ["blue", "navy"],
                "score": float(right),
            }
        )
    mean = sum(record["score"] for record in records) / items
    run = write_run(
        root, run_id, "few_shot", "val/vqa_accuracy", {"test/vqa_accuracy": {"value": mean, "n": items}}, seed
    )
    write_predictions(run, "test", records, "generation", "vqa_accuracy")
    colours = list(COLOURS.values())
    write_images(run, {f"image{n}.png": picture(colours[n % 4], n) for n in range(items)})
    return run
