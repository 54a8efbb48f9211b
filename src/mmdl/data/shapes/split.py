"""One split of the shapes data set in the official formats: COCO captions and VQA v2.

Formats: https://cocodataset.org/#format-data (captions) and https://visualqa.org/download.html (questions,
annotations). Keys and their nesting are those of the official files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from mmdl.data.shapes.answers import ten_answers
from mmdl.data.shapes.balance import Balancer
from mmdl.data.shapes.captions import captions
from mmdl.data.shapes.draw import EXTENTS, render
from mmdl.data.shapes.draws import Draws
from mmdl.data.shapes.scene import CANVAS, Scene, SceneObject, sample_scene

GENERATOR_VERSION = 3
"""Goes up whenever the same arguments would make other data."""
SPLITS = ("train", "val", "test")
FIRST_IMAGE_ID = {"train": 1, "val": 1_000_001, "test": 2_000_001}
"""Image ids don't repeat between splits; a question's id is 1000 times its image's plus 0, 1, …."""

_LICENSE = {"name": "CC0 1.0 Universal", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}
_DATE = "2026-11-01 00:00:00"  # fixed: the same arguments make the same bytes on any day


def default_name(train: int, val: int, test: int, scene_size: int, seed: int) -> str:
    """Folder name of a generated data set; another version of the generator never reads an older one's data."""
    return f"v{GENERATOR_VERSION}-{train}-{val}-{test}-{scene_size}px-seed{seed}"


class SplitResult(NamedTuple):
    """What a split consists of besides its pictures.

    Attributes:
        documents: Path below the data set's root -> content of a JSON file.
        counts: Number of images, captions and questions.
        pixels_sha256: Digest of all pictures' pixels, in order; unlike that of the PNG files it doesn't
            depend on the version of zlib.
    """

    documents: dict[str, Any]
    counts: dict[str, int]
    pixels_sha256: str


def sample_split(
    seed: int, split: str, count: int, min_objects: int, max_objects: int, taken: set[tuple[SceneObject, ...]]
) -> Iterator[Scene]:
    """`count` scenes that aren't in `taken`.

    Args:
        seed: Seed of the data set.
        split: One of `SPLITS`.
        count: How many scenes.
        min_objects: Fewest objects in a scene.
        max_objects: Most objects in a scene.
        taken: Signatures of the scenes so far, of all splits; the new ones are added.
    """
    draws = Draws(seed, SPLITS.index(split), 0)
    for _ in range(count):
        scene = sample_scene(draws, min_objects, max_objects)
        while scene.signature() in taken:
            scene = sample_scene(draws, min_objects, max_objects)
        taken.add(scene.signature())
        yield scene


def write_split(
    folder: Path, split: str, scenes: Iterator[Scene], *, seed: int, image_size: int, questions_per_image: int
) -> SplitResult:
    """Draws the pictures of a split into `folder/images/<split>/` and collects what its JSON files say.

    Args:
        folder: Root of the data set.
        split: One of `SPLITS`.
        scenes: The split's scenes; a progress bar may be wrapped around them.
        seed: Seed of the data set.
        image_size: Side of the pictures in pixels.
        questions_per_image: How many questions a picture has where its scene allows as many.
    """
    number = SPLITS.index(split)
    balancer = Balancer(Draws(seed, number, 1))
    answer_draws, caption_draws = Draws(seed, number, 2), Draws(seed, number, 3)
    target = folder / "images" / split
    target.mkdir(parents=True)
    images: list[dict[str, Any]] = []
    captioned: list[dict[str, Any]] = []
    questions: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    truths: list[dict[str, Any]] = []
    pixels = hashlib.sha256()
    for image_id, scene in enumerate(scenes, start=FIRST_IMAGE_ID[split]):
        name = f"SHAPES_{split}_{image_id:012d}.png"
        picture = render(scene, image_size)
        pixels.update(picture.tobytes())
        Image.fromarray(picture).save(target / name, compress_level=1)
        images.append(_image(image_id, name, image_size))
        truths.append(_truth(image_id, scene, image_size))
        for text in captions(scene, caption_draws):
            captioned.append({"image_id": image_id, "id": len(captioned) + 1, "caption": text})
        for order, question in enumerate(balancer.choose(scene, questions_per_image)):
            question_id = image_id * 1000 + order
            questions.append({"image_id": image_id, "question": question.text, "question_id": question_id})
            annotations.append(
                {
                    "question_type": question.template.question_type,
                    "multiple_choice_answer": question.answer,
                    "answers": ten_answers(question.answer, question.template.answer_type, answer_draws),
                    "image_id": image_id,
                    "answer_type": question.template.answer_type,
                    "question_id": question_id,
                }
            )
    info = _info(f"mmdl shapes, {split}")
    vqa = {
        "info": info | {"license": _LICENSE},
        "data_type": "shapes",
        "data_subtype": split,
        "license": _LICENSE,
    }
    documents = {
        f"annotations/captions_{split}.json": {
            "info": info,
            "images": images,
            "licenses": [{"id": 1} | _LICENSE],
            "annotations": captioned,
        },
        f"annotations/questions_{split}.json": vqa | {"task_type": "Open-Ended", "questions": questions},
        f"annotations/annotations_{split}.json": vqa | {"annotations": annotations},
        f"scenes_{split}.json": {"info": info, "scenes": truths},
    }
    counts = {"images": len(images), "captions": len(captioned), "questions": len(questions)}
    return SplitResult(documents, counts, pixels.hexdigest())


def _info(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "url": "",
        "version": str(GENERATOR_VERSION),
        "year": 2026,
        "contributor": "mmdl.data.shapes",
        "date_created": _DATE[:10],
    }


def _image(image_id: int, name: str, image_size: int) -> dict[str, Any]:
    return {
        "license": 1,
        "file_name": name,
        "coco_url": "",
        "height": image_size,
        "width": image_size,
        "date_captured": _DATE,
        "flickr_url": "",
        "id": image_id,
    }


def _truth(image_id: int, scene: Scene, image_size: int) -> dict[str, Any]:
    """Ground truth of a scene; positions and COCO boxes (x, y, width, height) in pixels."""
    scale = image_size / CANVAS
    objects = []
    for item in scene.objects:
        left, top, right, bottom = (item.radius * part / 1000 for part in EXTENTS[item.shape])
        box = (item.x + left, item.y + top, right - left, bottom - top)
        objects.append(
            {
                "shape": item.shape,
                "color": item.color,
                "size": item.size,
                "pattern": item.pattern,
                "position": [round(item.x * scale, 2), round(item.y * scale, 2)],
                "radius": round(item.radius * scale, 2),
                "box": [round(length * scale, 2) for length in box],
            }
        )
    return {"image_id": image_id, "background": scene.background, "objects": objects}
