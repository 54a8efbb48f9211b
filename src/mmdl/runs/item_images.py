"""Images of test items in the run folder: the same part of the split in every run, and this run's worst mistakes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmdl.data.sampler import spread_rows
from mmdl.runs.files import WriteError
from mmdl.runs.media_limits import MediaLimits
from mmdl.runs.picture_folder import PictureFolder
from mmdl.runs.worst_items import worst_images

if TYPE_CHECKING:
    from mmdl.data.base import DataModule
    from mmdl.data.item_pictures import ItemPictures

log = logging.getLogger("mmdl")


def keep_item_images(
    folder: Path, predictions: Path, name: str, data: DataModule, split: str, limits: MediaLimits
) -> None:
    """Write the images of a split; call it on one rank, after its predictions were written.

    A run does not fail for them: what can't be written is said.

    Args:
        folder: `media/items` of the run folder.
        predictions: Folder of the predictions.
        name: Of the run's own predictions.
        data: Has the split.
        split: Which.
        limits: How many, and how large.
    """
    pictures = data.pictures(split)
    if pictures is None or not limits.items + limits.mistakes:
        return
    try:
        worst = worst_images(predictions, name, limits.mistakes)
        write_item_images(folder, name, pictures, worst, limits)
    except WriteError as error:
        log.warning("the images of %s are not kept: %s", name, error)


def write_item_images(
    folder: Path, name: str, pictures: ItemPictures, worst: Sequence[str], limits: MediaLimits
) -> None:
    """Write images and their index.

    Args:
        folder: `media/items` of the run folder.
        name: Under which the index has them: that of the predictions.
        pictures: The images of the split.
        worst: Keys of images that are wanted besides, the most wanted first.
        limits: How many, and how large.

    Raises:
        WriteError: if they can't be written.
    """
    most_bytes = limits.megabytes * 1e6
    target = PictureFolder(folder, name, most_bytes)
    spread = spread_rows(len(pictures.keys), limits.items).tolist() if limits.items else []
    chosen = set(spread)
    row_of = {key: row for row, key in enumerate(pictures.keys)} if worst else {}
    besides = [row_of[key] for key in worst if key in row_of and row_of[key] not in chosen]
    # room is left for the mistakes, so that the fixed part does not depend on them
    share = limits.items / max(1, limits.items + limits.mistakes)
    fixed = target.used + share * max(0.0, most_bytes - target.used)
    unreadable = 0
    for rows, room in ((spread, fixed), (besides, most_bytes)):
        for row in rows:
            image = pictures.small(row, limits.pixels)
            if image is None:
                unreadable += 1
            elif not target.add(str(pictures.keys[row]), image, room):
                break
    kept = len(target.entries)
    target.index["caps"] = limits._asdict()
    target.finish(left_out=len(pictures.keys) - kept, unreadable=unreadable)
