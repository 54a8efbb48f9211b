r"""Reads a user's own captions: a JSONL, JSON, CSV or TSV file with a row an image or a row a caption, and images.

JSONL, an object a line (`.json` may also hold one list of such objects)::

    {"image": "cats/1.jpg", "caption": "Two cats on a sofa."}
    {"image": "dogs/7.jpg", "captions": ["A dog runs.", "A brown dog on a beach."]}

CSV (comma or semicolon) or TSV, with names in the first line; several captions are separated by `|`::

    image,captions
    cats/1.jpg,Two cats on a sofa.|Cats that sleep.

| column | |
|---|---|
| `image` | path relative to the image folder, below which it must stay; an absolute path is taken as it is |
| `caption` or `captions` | one caption, or several: not both in one row |
| `image_id` | optional, in all rows or none: a number or a text; else the path is the id |

Files are UTF-8. Further columns are ignored. Rows whose images are equal are one image with the captions of all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmdl.data.caption_index import CaptionIndex
from mmdl.data.readers.bad_samples import BadSamples, OnBadSample, Problem, check_id, missing_key, type_name
from mmdl.data.readers.collected_captions import CollectedCaptions
from mmdl.data.readers.image_paths import image_path
from mmdl.data.readers.table_rows import Row, read_rows
from mmdl.errors import UserError, nearest
from mmdl.progress_bar import ProgressBar

SEPARATOR = "|"
"""Between the captions of a cell."""


def read_caption_table(
    path: str | os.PathLike[str],
    image_root: str | os.PathLike[str] | None = None,
    on_bad_sample: OnBadSample = "raise",
    check_images: bool = True,
) -> CaptionIndex:
    """Read and check one split in the format that this module describes.

    Args:
        path: The table: `.jsonl`, `.ndjson`, `.json`, `.csv` or `.tsv`.
        image_root: Folder that relative image paths start from; None takes the table's own folder.
        on_bad_sample: `raise` or `skip`. A file that can't be read as a whole raises in any case.
        check_images: Whether each image must exist. None is opened here.

    Returns:
        The images in the order of their first rows; `skipped` counts what was left out.

    Raises:
        UserError: The file can't be used, or holds bad samples and `on_bad_sample` is `raise`.
    """
    file = Path(path)
    root = Path(image_root) if image_root is not None else file.parent
    bad = BadSamples(file, on_bad_sample)
    if image_root is not None and check_images and not root.is_dir():
        raise UserError(f"folder of images not found: {root}", fix="give data.image_root=FOLDER")
    rows = read_rows(file, required=("image",))
    _refuse_official(file, rows[0][1])
    collected = CollectedCaptions(bad)
    shape = _Shape(rows, file)
    for where, row in ProgressBar(rows, file.name, delay=2):
        if isinstance(row, dict):
            _add_row(_from_cells(row) if shape.is_text else row, where, root.absolute(), shape, collected)
        else:
            bad.add(where, row)
    return collected.finish(len(rows), root, check_images)


class _Shape:
    """What the columns of a table are.

    Raises:
        UserError: A table of cells has no column of captions.
    """

    def __init__(self, rows: list[tuple[str, Row | Problem]], file: Path) -> None:
        columns = {name for _, row in rows if isinstance(row, dict) for name in row}
        self.is_text = file.suffix.lower() in (".csv", ".tsv")
        self.has_ids = "image_id" in columns
        if self.is_text and not columns & {"caption", "captions"}:
            raise UserError(
                f"{file} has no column 'caption' or 'captions' in its first line",
                valid=f"columns found: {nearest('caption', columns)}",
                fix="name the columns in the first line: image,caption or image,captions",
            )


def _add_row(row: Row, where: str, root: Path, shape: _Shape, collected: CollectedCaptions) -> None:
    path = image_path(row, root)
    if not isinstance(path, Problem) and shape.has_ids and (problem := check_id(row, "image_id")):
        path = problem
    if isinstance(path, Problem):
        collected.bad.add(where, path)
        return
    image_id = row["image_id"] if shape.has_ids else path
    collected.add_image(where, image_id, path, joins=True)
    captions = _captions(row, shape)
    if isinstance(captions, Problem):
        collected.refuse(where, image_id, captions)
        return
    for caption in captions:
        collected.add_caption(where, image_id, {"caption": caption})


def _captions(row: Row, shape: _Shape) -> list[Any] | Problem:
    """What a row has as captions, unchecked; an empty list where it has none."""
    if "caption" in row and "captions" in row:
        return Problem("wrong type", "both 'caption' and 'captions'; one of them is enough")
    if "caption" in row:
        return [row["caption"]]
    if "captions" in row:
        several = row["captions"]
        detail = f"'captions' is {type_name(several)}, expected a list"
        return several if isinstance(several, list) else Problem("wrong type", detail)
    if shape.is_text:
        return Problem("empty caption", "an empty cell")
    # with nothing but its name an image may have its captions in other rows
    return [] if row.keys() <= {"image", "image_id"} else missing_key(row, "caption")


def _from_cells(row: Row) -> Row:
    """Give the cells of a CSV row the types that JSON has; empty cells are not there."""
    if "captions" not in row:
        return row
    captions: list[Any] = [caption.strip() for caption in row["captions"].split(SEPARATOR)]
    return {**row, "captions": captions}


def _refuse_official(file: Path, first: Row | Problem) -> None:
    if isinstance(first, dict) and {"annotations", "images"} <= first.keys():
        raise UserError(
            f"{file} is in the official format of COCO, not a row an image",
            valid='{"image": ..., "caption": ...} or {"image": ..., "captions": [...]} in each line',
            fix="use data=coco_captions for official files",
        )
