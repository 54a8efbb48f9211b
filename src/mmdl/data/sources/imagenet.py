"""What ImageNet's files say of their classes: names of synsets, and labels of the flat validation folder."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from mmdl.errors import UserError

SYNSET = re.compile(r"n\d{8}")
"""A WordNet id, as ImageNet's class folders are named."""

_NAMED_LABEL = re.compile(r"^\s*([^\s,]+?)(?:\.jpe?g)?[\s,]+(n\d{8})\b", re.IGNORECASE)
_LABEL_FILES = (
    "LOC_val_solution.csv",  # Kaggle: ImageId,PredictionString
    "val_annotations.txt",  # Tiny ImageNet: name, synset, box
    "val_labels.txt",
    "val_labels.csv",
    "imagenet_2012_validation_synset_labels.txt",  # TensorFlow's models: a synset a line, in the order of the names
)
_GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_META = "meta.mat"
_DEVKIT = ("", "data", "ILSVRC2012_devkit_t12/data", "ILSVRC2012_devkit_t12", "devkit/data", "devkit")


@cache
def synset_names() -> Mapping[str, str]:
    """Synset -> its first lemma, for the 1,000 classes, from the table that timm ships.

    Two lemmas name two classes each (a crane is a bird or a machine): these carry the synset too.
    """
    from timm.data import ImageNetInfo

    lemmas: dict[str, str] = ImageNetInfo("imagenet-1k").label_descriptions(as_dict=True)
    short = {synset: lemma.split(",")[0].strip() for synset, lemma in lemmas.items()}
    several = {name for name, count in Counter(short.values()).items() if count > 1}
    return {synset: f"{name} ({synset})" if name in several else name for synset, name in short.items()}


def flat_labels(root: Path, val: Path, images: Sequence[str]) -> list[str]:
    """Synset of each image of a validation folder without class folders.

    Args:
        root: Folder of the data set.
        val: The validation folder.
        images: Names of its images, sorted.

    Raises:
        UserError: no file says the labels, or it does not fit the images.
    """
    for folder in (val, root, root.parent.parent.parent):  # Kaggle's lies three folders above
        for name in _LABEL_FILES:
            if (folder / name).is_file():
                return _from_file(folder / name, images)
        for devkit in _DEVKIT:
            if (folder / devkit / _GROUND_TRUTH).is_file():
                return _from_devkit(folder / devkit, images)
    raise UserError(
        f"{val} holds {len(images):,} images and no folders of classes, such as n01440764",
        valid=f"{val}/n01440764/*.JPEG, or a file with the labels: {', '.join(_LABEL_FILES[:2])}, {_GROUND_TRUTH}",
        fix=f"put LOC_val_solution.csv (Kaggle) or ILSVRC2012_devkit_t12 (image-net.org) into {root}",
    )


def _from_file(path: Path, images: Sequence[str]) -> list[str]:
    lines = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    if all(SYNSET.fullmatch(line.strip()) for line in lines):
        return _in_order([line.strip() for line in lines], path, images)
    found = {match[1]: match[2] for line in lines if (match := _NAMED_LABEL.match(line))}
    stems = [Path(name).stem for name in images]
    missing = [name for name in stems if name not in found]
    if missing:
        raise UserError(
            f"{path} has no label for {len(missing):,} of {len(images):,} images, such as {missing[0]}",
            valid="lines of an image's name and its synset",
            fix="the file that belongs to these images",
        )
    return [found[name] for name in stems]


def _from_devkit(folder: Path, images: Sequence[str]) -> list[str]:
    """The development kit's numbers, whose meaning is in its `meta.mat`: they don't follow the order of the synsets."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        synsets = loadmat(folder / _META, squeeze_me=True)["synsets"]
        names = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
        numbers = [int(line) for line in (folder / _GROUND_TRUTH).read_text().split()]
        labels = [names[number] for number in numbers]
    except (OSError, KeyError, ValueError, TypeError, IndexError, NotImplementedError, MatReadError) as error:
        raise UserError(
            f"{folder} is no development kit of ILSVRC 2012: {error}",
            valid=f"{_GROUND_TRUTH} and {_META}",
            fix="unpack ILSVRC2012_devkit_t12.tar.gz anew",
        ) from None
    return _in_order(labels, folder / _GROUND_TRUTH, images)


def _in_order(labels: list[str], path: Path, images: Sequence[str]) -> list[str]:
    """Labels that belong to the images in the order of their names."""
    if len(labels) != len(images):
        raise UserError(
            f"{path} has {len(labels):,} labels, and there are {len(images):,} images",
            valid="one label for each image, in the order of their names",
            fix="the complete validation images",
        )
    return labels
