"""The official files of VQA v2 on COCO images: where they are, what they must be, and how they get here.

Sources: https://visualqa.org/download.html and https://cocodataset.org/#download. The publishers give no
checksums. Those of the image archives are TensorFlow Datasets' (`url_checksums/coco2014.txt`), those of
questions and annotations are ParlAI's (`parlai/tasks/vqa_v2/build.py`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from mmdl.data.sources.coco_folders import find_images, holds
from mmdl.data.sources.remote_zips import RemoteZip, fetch_zips
from mmdl.errors import UserError, UserErrors, nearest

Kind = Literal["images", "questions", "annotations"]

BASE_URLS: dict[str, str] = {
    "images": "http://images.cocodataset.org/zips",
    "questions": "https://s3.amazonaws.com/cvmlp/vqa/mscoco/vqa",
    "annotations": "https://s3.amazonaws.com/cvmlp/vqa/mscoco/vqa",
}
"""Where the publishers keep the files; `prepare` takes mirrors with the same file names."""


class SplitFiles(NamedTuple):
    """The files of one split, as `mmdl.data.readers.vqa_json_official.read_official` takes them.

    Attributes:
        questions: Questions file.
        annotations: Annotations file; None for the test splits.
        image_dir: Folder of the images.
        image_name: Pattern of their names.
    """

    questions: Path
    annotations: Path | None
    image_dir: Path
    image_name: str


FILES: tuple[RemoteZip, ...] = (
    RemoteZip(
        "v2_Questions_Train_mscoco.zip",
        "questions",
        "v2_OpenEnded_mscoco_train2014_questions.json",
        "05a64b6e2582d06d7585f5429674a9a33851878be1bff9f8668cdcf792df611e",
        None,
        45_000_000,
    ),
    RemoteZip(
        "v2_Questions_Val_mscoco.zip",
        "questions",
        "v2_OpenEnded_mscoco_val2014_questions.json",
        "e71f6c5c3e97a51d050f28243e262b28cd0c48d11a6b4632d769d30d3f93222a",
        None,
        22_000_000,
    ),
    RemoteZip(
        "v2_Questions_Test_mscoco.zip",
        "questions",
        "v2_OpenEnded_mscoco_test2015_questions.json",
        "982e2e687a86514b78ea83af356d151976c5e3fb4168a29ca543610574082ad7",
        None,
        60_000_000,
    ),
    RemoteZip(
        "v2_Annotations_Train_mscoco.zip",
        "annotations",
        "v2_mscoco_train2014_annotations.json",
        "fb101bcefe91422c543c2bb6d70af11eb3119d0ff745ae283d09acdf66250853",
        None,
        400_000_000,
    ),
    RemoteZip(
        "v2_Annotations_Val_mscoco.zip",
        "annotations",
        "v2_mscoco_val2014_annotations.json",
        "0caae7c8d1dafd852727f5ac046bc1efca9b72026bd6ffa34fc489f3a7b3291e",
        None,
        200_000_000,
    ),
    RemoteZip(
        "train2014.zip",
        "images",
        "train2014",
        "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
        13_510_573_713,
        13_520_000_000,
        82_783,
    ),
    RemoteZip(
        "val2014.zip",
        "images",
        "val2014",
        "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
        6_645_013_297,
        6_650_000_000,
        40_504,
    ),
    RemoteZip(
        "test2015.zip",
        "images",
        "test2015",
        "1a2aa896b81140a850a78fa8bff07d455698d2abf364ff05721763458a8101ca",
        13_270_587_935,
        13_280_000_000,
        81_434,
    ),
)
"""All files; the small ones first, so that a mistake shows before the large ones are fetched."""

_NAMES = {  # split -> questions, annotations, images
    "train": ("train2014", "v2_mscoco_train2014_annotations.json", "train2014"),
    "val": ("val2014", "v2_mscoco_val2014_annotations.json", "val2014"),
    "test": ("test2015", None, "test2015"),
    "test-dev": ("test-dev2015", None, "test2015"),
}
SPLITS = tuple(_NAMES)
"""Names of the splits; `test-dev` is the part of `test` that the leaderboard of that name scores."""

_FOLDERS = {"images": ("images", ""), "questions": ("annotations", "questions", "")} | {
    "annotations": ("annotations", "")
}


def layout(root: str | os.PathLike[str]) -> dict[str, SplitFiles]:
    """The files of every split: where they lie, or would be put.

    Found are `root/images/train2014/COCO_train2014_*.jpg` and `root/train2014/...`, or images directly in
    `root/images` or `root`; and JSON files in `root/annotations`, `root/questions` or `root`.
    """
    home = Path(root)
    splits = {}
    for split, (asked, answered, images) in _NAMES.items():
        questions = f"v2_OpenEnded_mscoco_{asked}_questions.json"
        splits[split] = SplitFiles(
            _find(home, "questions", questions),
            _find(home, "annotations", answered) if answered else None,
            find_images(home, images, f"COCO_{images}_"),
            f"COCO_{images}_{{image_id:012d}}.jpg",
        )
    return splits


def _find(home: Path, kind: Kind, name: str) -> Path:
    places = [home / folder / name for folder in _FOLDERS[kind]]
    return next((place for place in places if place.is_file()), places[0])


def missing_files(
    root: str | os.PathLike[str],
    splits: Sequence[str] = ("train", "val"),
    files: Sequence[RemoteZip] = FILES,
) -> list[RemoteZip]:
    """The archives whose content is not below `root`.

    A folder with any image of a split counts as there: a part of COCO is a legitimate data set, and the
    reader names every image that a question asks for in vain.

    Args:
        root: Folder of the data.
        splits: Which splits are wanted.
        files: Table of the archives.

    Raises:
        UserError: A split is unknown.
    """
    places = layout(root)
    wanted: set[str] = set()
    for split in splits:
        if split not in places:
            raise UserError(f"unknown split {split!r} of VQA v2", valid=nearest(split, SPLITS))
        asked, annotations, images = _NAMES[split]
        split_files = places[split]
        if not split_files.questions.is_file():
            # both test splits come in one archive, which is named after the larger
            whole = "test2015" if split == "test-dev" else asked
            wanted.add(f"v2_OpenEnded_mscoco_{whole}_questions.json")
        if annotations and split_files.annotations and not split_files.annotations.is_file():
            wanted.add(annotations)
        if not holds(split_files.image_dir, f"COCO_{images}_"):
            wanted.add(images)
    return [file for file in files if file.provides in wanted]


def prepare(
    root: str | os.PathLike[str],
    splits: Sequence[str] = ("train", "val"),
    *,
    base_urls: Mapping[str, str] | None = None,
    keep_zips: bool = False,
    files: Sequence[RemoteZip] = FILES,
    say: Callable[[str], None] = print,
) -> dict[str, SplitFiles]:
    """Bring the files of some splits below `root`: what is there is taken, the rest is downloaded.

    Can be stopped at any time; the next call continues. A zip file that the user has put into `root`,
    `root/zips` or `root/downloads` is verified and unpacked instead of being downloaded.

    Args:
        root: Folder of the data; made if need be.
        splits: Of `train`, `val`, `test`, `test-dev`.
        base_urls: Mirrors by kind of file, in place of `BASE_URLS`; checksums stay the same.
        keep_zips: Keep downloaded archives after they are unpacked.
        files: Table of the archives; other ones for tests.
        say: Takes one line for each step.

    Returns:
        Split -> files.

    Raises:
        UserError: Not enough disk, no network, or an archive is not the official one.
    """
    todo = missing_files(root, splits, files)
    urls = {**BASE_URLS, **(base_urls or {})}
    fetch_zips(
        root,
        todo,
        urls={file.name: f"{urls[file.kind].rstrip('/')}/{file.name}" for file in todo},
        folders={file.name: _FOLDERS[file.kind][0] for file in todo},
        what="VQA v2",
        keep_zips=keep_zips,
        say=say,
    )
    places = layout(root)
    _require_all(places, splits)
    return {split: places[split] for split in splits}


def _require_all(places: Mapping[str, SplitFiles], splits: Iterable[str]) -> None:
    absent = [
        path
        for split in splits
        for path in (places[split].questions, places[split].annotations, places[split].image_dir)
        if path is not None and not path.exists()
    ]
    if absent:
        raise UserErrors([UserError(f"{path} is not in the archive that should hold it") for path in absent])
