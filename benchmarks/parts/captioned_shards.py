"""Tar shards of photographs with a caption each, for benchmarks."""

from __future__ import annotations

import io
import json
import os
import random
from pathlib import Path
from typing import Any


def coco_sample() -> list[tuple[bytes, str]]:
    """Images and captions of the COCO sample in $MMDL_TEST_DATA; empty where it is not there."""
    root = Path(os.environ.get("MMDL_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "coco"
    found = []
    for split in ("train2014", "val2014"):
        file = root / "annotations" / f"captions_{split}.json"
        if file.is_file():
            document = json.loads(file.read_text())
            captions = {note["image_id"]: note["caption"].strip() for note in document["annotations"]}
            for image in document["images"]:
                path = root / "images" / split / image["file_name"]
                if image["id"] in captions and path.is_file():
                    found.append((path.read_bytes(), captions[image["id"]]))
    return found


def drawn(count: int) -> list[tuple[bytes, str]]:
    """Noise over a coloured ground, of the size of a photograph: JPEG files that take as long to decode."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        coarse = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
        grain = np.asarray(image).astype(int) + rng.integers(-12, 13, (480, 640, 3))
        found.append(
            (_jpeg(Image.fromarray(grain.clip(0, 255).astype(np.uint8))), f"a picture of the number {number}")
        )
    return found


def _jpeg(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def make_shards(folder: Path, images: int, side: int | None) -> int:
    """Write the training shards; returns how many. Each image is another cut of one of the originals."""
    from PIL import Image

    from mmdl.data.sources.shard_writer import write_shards

    originals = coco_sample() or drawn(min(images, 64))
    rng = random.Random(0)
    samples = []
    for number in range(images + 16):
        content, caption = originals[number % len(originals)]
        image = Image.open(io.BytesIO(content)).convert("RGB")
        left, top = rng.randrange(1 + image.width // 16), rng.randrange(1 + image.height // 16)
        image = image.crop(
            (left, top, image.width - image.width // 16 + left, image.height - image.height // 16 + top)
        )
        if side is not None:
            scale = side / min(image.size)
            image = image.resize((round(image.width * scale), round(image.height * scale)))
        samples.append({"jpg": _jpeg(image), "txt": caption.encode()})
    write_shards(folder, samples[images : images + 8], 8, "val")
    write_shards(folder, samples[images + 8 :], 8, "test")
    return len(write_shards(folder, samples[:images], max(1, images // 16), "train"))
