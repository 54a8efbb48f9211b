"""The official files of COCO captions, 2014 and 2017: where they are, what they must be, and how they get here.

Sources: https://cocodataset.org/#download, and https://cs.stanford.edu/people/karpathy/deepimagesent/ for Karpathy's
split. The publishers give no checksums; these are TensorFlow Datasets' (`url_checksums/coco_captions.txt`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from mmdl.data.sources.coco_folders import find_images, holds
from mmdl.data.sources.remote_zips import RemoteZip, fetch_zips
from mmdl.errors import UserError

Year = Literal[2014, 2017]
YEARS: tuple[Year, ...] = (2014, 2017)
"""Releases. They have the same images; 2017 trains on all but 5,000 of them."""

KARPATHY = "dataset_coco.json"
"""Karpathy's split of 2014's images."""

BASE_URLS = {
    "images": "http://images.cocodataset.org/zips",
    "annotations": "http://images.cocodataset.org/annotations",
    "karpathy": "https://cs.stanford.edu/people/karpathy/deepimagesent",
}
"""Where the publishers keep the files; `prepare` takes mirrors with the same file names."""

# the archive of annotations has a folder of that name inside
_UNPACKED_INTO = {"images": "images", "annotations": "", "karpathy": "annotations"}

FILES: tuple[RemoteZip, ...] = (
    RemoteZip(
        "caption_datasets.zip",
        "karpathy",
        KARPATHY,
        "4cfd70132527b80933105e5829dc9034eaab9573482e2e680abbab6130244817",
        36_745_453,
        210_000_000,
    ),
    RemoteZip(
        "annotations_trainval2014.zip",
        "annotations",
        "captions_train2014.json",
        "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
        252_872_794,
        830_000_000,
    ),
    RemoteZip(
        "annotations_trainval2017.zip",
        "annotations",
        "captions_train2017.json",
        "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
        252_907_541,
        830_000_000,
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
        "train2014.zip",
        "images",
        "train2014",
        "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775",
        13_510_573_713,
        13_520_000_000,
        82_783,
    ),
    RemoteZip(
        "val2017.zip",
        "images",
        "val2017",
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        815_585_330,
        816_000_000,
        5_000,
    ),
    RemoteZip(
        "train2017.zip",
        "images",
        "train2017",
        "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
        19_336_861_798,
        19_350_000_000,
        118_287,
    ),
)
"""All files; the small ones first, so that a mistake shows before the large ones are fetched."""


class CaptionFiles(NamedTuple):
    """The files of one official split.

    Attributes:
        captions: Captions file.
        image_dir: Folder of the images.
    """

    captions: Path
    image_dir: Path


def layout(root: str | os.PathLike[str], year: Year) -> dict[str, CaptionFiles]:
    """The files of the official splits `train` and `val`: where they lie, or would be put.

    Found are `root/images/train2014/*.jpg` and `root/train2014/*.jpg`, or, in 2014, whose names tell the splits apart,
    images directly in `root/images` or `root`; and JSON files in `root/annotations` or `root`.

    Args:
        root: Folder of the data.
        year: 2014 or 2017.
    """
    home = Path(root)
    found = {}
    for split in ("train", "val"):
        name = f"{split}{year}"
        prefix = f"COCO_{name}_" if year == 2014 else ""
        found[split] = CaptionFiles(find_json(home, f"captions_{name}.json"), find_images(home, name, prefix))
    return found


def find_json(home: Path, name: str) -> Path:
    """A JSON file in `annotations`, `karpathy` or `home` itself; the first of these where it is in none."""
    places = [home / folder / name for folder in ("annotations", "karpathy", "")]
    return next((place for place in places if place.is_file()), places[0])


def missing_files(
    root: str | os.PathLike[str],
    year: Year,
    *,
    captions: bool = True,
    karpathy: bool = False,
    files: Sequence[RemoteZip] = FILES,
) -> list[RemoteZip]:
    """The archives whose content is not below `root`.

    A folder with any image of a split counts as there: a part of COCO is a legitimate data set, and the reader names
    every image that it lacks.

    Args:
        root: Folder of the data.
        year: 2014 or 2017.
        captions: Whether the official captions are wanted.
        karpathy: Whether Karpathy's split is.
        files: Table of the archives.
    """
    wanted: set[str] = set()
    for place in layout(root, year).values():
        if captions and not place.captions.is_file():
            wanted.add(f"captions_train{year}.json")  # one archive holds both
        if not holds(place.image_dir, ""):
            wanted.add(place.image_dir.name)
    if karpathy and not find_json(Path(root), KARPATHY).is_file():
        wanted.add(KARPATHY)
    return [file for file in files if file.provides in wanted]


def prepare(
    root: str | os.PathLike[str],
    year: Year = 2014,
    *,
    karpathy: bool = False,
    base_urls: Mapping[str, str] | None = None,
    keep_zips: bool = False,
    files: Sequence[RemoteZip] = FILES,
    say: Callable[[str], None] = print,
) -> dict[str, CaptionFiles]:
    """Bring the files of a release below `root`: what is there is taken, the rest is downloaded.

    Can be stopped at any time; the next call continues. A zip file that the user has put into `root`, `root/zips` or
    `root/downloads` is verified and unpacked instead of being downloaded.

    Args:
        root: Folder of the data; made if need be.
        year: 2014 or 2017.
        karpathy: Fetch Karpathy's split too.
        base_urls: Mirrors by kind of file, in place of `BASE_URLS`; checksums stay the same.
        keep_zips: Keep downloaded archives after they are unpacked.
        files: Table of the archives; other ones for tests.
        say: Takes one line for each step.

    Returns:
        Split -> files.

    Raises:
        UserError: Not enough disk, no network, or an archive is not the official one.
    """
    todo = missing_files(root, year, karpathy=karpathy, files=files)
    urls = {**BASE_URLS, **(base_urls or {})}
    fetch_zips(
        root,
        todo,
        urls={file.name: f"{urls[file.kind].rstrip('/')}/{file.name}" for file in todo},
        folders={file.name: _UNPACKED_INTO[file.kind] for file in todo},
        what=f"COCO {year}",
        keep_zips=keep_zips,
        say=say,
    )
    if absent := missing_files(root, year, karpathy=karpathy, files=files):
        names = ", ".join(file.provides for file in absent)
        raise UserError(f"{names} is not in the archive that should hold it")
    return layout(root, year)
