"""The image that is looked at: a file, or a sample of the run's own data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from omegaconf import DictConfig
from torch import Tensor

from mmdl.errors import UserError, nearest

if TYPE_CHECKING:
    from mmdl.data.images import ImageDataModule
    from mmdl.runs.loading import LoadedRun

SPLITS = ("test", "val", "train")
"""Where an id is looked for, in this order."""

_ROW = re.compile(r"(?P<split>train|val|test):(?P<row>\d+)")


class Subject(NamedTuple):
    """An image with what is known of it.

    Attributes:
        name: Name of the folder of its pictures.
        title: Name for a person.
        image: `(C, H, W)` uint8, as the model takes it.
        label: Its true class; None where nobody has said it.
        label_source: Who said it.
    """

    name: str
    title: str
    image: Tensor
    label: int | None
    label_source: str


def file_name(text: str) -> str:
    """A name that every file system takes; other characters become a minus.

    >>> file_name("test/17"), file_name("Ein Bild.v2"), file_name("../..")
    ('test-17', 'Ein-Bild.v2', 'image')
    """
    return re.sub(r"[^\w.=+-]+", "-", text).strip("-.")[:100] or "image"


def looks_like_a_sample(text: str) -> bool:
    """Whether a text names a sample of the data rather than a file.

    >>> looks_like_a_sample("test:17"), looks_like_a_sample("test/17"), looks_like_a_sample("test/17.png")
    (True, True, False)
    """
    return re.fullmatch(r"(train|val|test)[:/]\d+", text) is not None


def label_index(classes: Sequence[str], label: str) -> int:
    """The class of a name.

    Raises:
        UserError: if there is none, with the nearest.
    """
    if label not in classes:
        near = nearest(label, classes)
        raise UserError(
            f"label={label} is not a class of the run", valid=near, fix=f"label={near.split(',')[0]}"
        )
    return list(classes).index(label)


def from_file(path: Path, config: DictConfig) -> Subject:
    """An image file, brought to the size and the channels of the run.

    Args:
        path: The file.
        config: Of the run.

    Raises:
        UserError: if it is not there, or is no image.
    """
    from mmdl.data.image_dataset import with_channels
    from mmdl.data.transforms.image import BadImage, load_image

    if not path.is_file():
        raise UserError(
            f"{path} is a folder" if path.is_dir() else f"there is no image {path}",
            valid="an image file, or a sample of the run's own data",
            fix="sample=test:0",
        )
    try:
        image = load_image(path, int(config.data.image_size), config.data.resize)
    except BadImage as error:
        error.fix = "another image"  # on_bad_sample, which it names, is no key of this verb
        raise
    image = with_channels(image[None], int(config.data.channels))[0]
    return Subject(file_name(path.stem), path.name, image, None, "")


def from_data(sample: str, loaded: LoadedRun) -> Subject:
    """A sample of the run's own data, by `split:row` or by its id.

    Args:
        sample: Such as `test:17`, `test/17` or `cat/01.jpg`.
        loaded: The run.

    Raises:
        UserError: if there is none.
    """
    found = _ROW.fullmatch(sample)
    for split in [found["split"]] if found else SPLITS:
        data = _data(loaded, split)
        if data is None:
            continue
        rows = data.dataset(split)
        ids = list(rows.split.ids)
        if found is None and sample not in ids:
            continue
        row = int(found["row"]) if found else ids.index(sample)
        if row >= len(ids):
            raise UserError(
                f"sample={sample}: the {split} split has {len(ids):,} images",
                valid=f"{split}:0 to {split}:{len(ids) - 1}",
                fix=f"sample={split}:0",
            )
        batch = rows[np.array([row], dtype=np.int64)]
        label = int(batch["labels"][0]) if "labels" in batch else None
        title = f"{ids[row]} ({split} split)" if not ids[row].startswith(split) else ids[row]
        return Subject(file_name(ids[row]), title, batch["images"][0].cpu(), label, "the data's own")
    if found:
        raise UserError(f"sample={sample}: the run's data has no {found['split']} split", fix="sample=test:0")
    raise UserError(
        f"sample={sample} is no image of the run's data",
        valid="SPLIT:ROW, or an id as in predictions/*.jsonl",
        fix="sample=test:0",
    )


def _data(loaded: LoadedRun, split: str) -> ImageDataModule | None:
    """The run's data with one split read; None where it has no such split."""
    from mmdl.assembly import build_data
    from mmdl.data.images import ImageDataModule

    data = build_data(loaded.config.copy(), loaded.vocabularies, [split])
    assert isinstance(data, ImageDataModule)
    return data if data.has_split(split) else None
