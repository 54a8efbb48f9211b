"""Reads COCO's official captions: one JSON file of images and captions, and a folder of images.

The file, of 2014 or 2017::

    {"images": [{"id": 9, "file_name": "COCO_train2014_000000000009.jpg", ...}, ...],
     "annotations": [{"id": 661611, "image_id": 9, "caption": "Closeup of bins of food ..."}, ...]}

Further keys are ignored. Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmdl.data.caption_index import CaptionIndex
from mmdl.data.readers.bad_samples import BadSamples, OnBadSample, Problem, check_id, type_name
from mmdl.data.readers.collected_captions import CollectedCaptions
from mmdl.data.readers.image_paths import image_path
from mmdl.data.readers.text_files import read_json
from mmdl.errors import UserError, nearest
from mmdl.progress_bar import ProgressBar


def read_captions(
    file: str | os.PathLike[str],
    image_dir: str | os.PathLike[str],
    on_bad_sample: OnBadSample = "raise",
    check_images: bool = True,
) -> CaptionIndex:
    """Read and check one split.

    Args:
        file: Captions file.
        image_dir: Folder of the images.
        on_bad_sample: `raise` or `skip`. Malformed files and missing top-level keys raise in any case.
        check_images: Whether each image must exist. None is opened here.

    Returns:
        The images in file order, each with its captions in file order; `skipped` counts what was left out.

    Raises:
        UserError: The file can't be used, or holds bad samples and `on_bad_sample` is `raise`.
    """
    path = Path(file)
    bad = BadSamples(path, on_bad_sample)
    if check_images and not Path(image_dir).is_dir():
        raise UserError(f"folder of images not found: {image_dir}")
    document = read_json(path, _slim)
    images, annotations = entries(document, path, "images"), entries(document, path, "annotations")
    collected = CollectedCaptions(bad)
    refused = _add_images(images, collected, Path(image_dir).absolute())
    for row, entry in enumerate(ProgressBar(annotations, path.name, delay=2)):
        where = f"annotations[{row}]"
        if not isinstance(entry, dict):
            bad.add(where, Problem("wrong type", f"{type_name(entry)}, expected an object"))
        elif problem := check_id(entry, "image_id"):
            bad.add(where, problem)
        elif str(entry["image_id"]) not in refused:
            name = entry.get("id")
            collected.add_caption(
                where, entry["image_id"], entry, name if isinstance(name, int | str) else row
            )
    return collected.finish(len(annotations), image_dir, check_images)


def _slim(entry: dict[str, Any]) -> dict[str, Any]:
    """Without the addresses and dates of a hundred thousand images."""
    for key in ("coco_url", "flickr_url", "date_captured"):
        entry.pop(key, None)
    return entry


def _add_images(images: list[Any], collected: CollectedCaptions, root: Path) -> set[str]:
    """Note the good images; returns the ids of the others, as far as they have one."""
    refused = set()
    for row, entry in enumerate(images):
        where = f"images[{row}]"
        if not isinstance(entry, dict):
            collected.bad.add(where, Problem("wrong type", f"{type_name(entry)}, expected an object"))
            continue
        found = check_id(entry, "id") or image_path(entry, root, "file_name")
        if isinstance(found, Problem):
            collected.bad.add(where, found)
            refused.add(str(entry.get("id")))
        else:
            collected.add_image(where, entry["id"], found)
    return refused


def entries(document: Any, path: Path, key: str) -> list[Any]:
    """The list below a top-level key.

    Args:
        document: What the file holds.
        path: Of the file, for the error.
        key: Of the list.

    Raises:
        UserError: There is no such list, or it is empty.
    """
    if not isinstance(document, dict):
        raise UserError(f"{path} holds {type_name(document)}", valid=f'an object with a list "{key}"')
    if key not in document:
        raise UserError(f"{path} has no key {key!r}", valid=f"present: {nearest(key, document) or 'none'}")
    found = document[key]
    if not isinstance(found, list):
        raise UserError(f"{path}: {key!r} is {type_name(found)}, expected a list")
    if not found:
        raise UserError(f"{path}: {key!r} is empty")
    return found
