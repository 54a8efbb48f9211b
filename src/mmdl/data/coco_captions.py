"""COCO captions (Chen et al. 2015, arXiv:1504.00325), of 2014 or 2017, with the official splits or Karpathy's.

With Karpathy's file (`dataset_coco.json`) the splits are its own: 113,287 images to train on (train and restval), 5,000
for validation, and the 5,000 for the test on which the literature reports retrieval. Without it, the official val is
the test split, which is touched by the final test only, and validation images are held out of train.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Unpack

from mmdl.data.caption_index import CaptionIndex
from mmdl.data.captions import CaptionDataModule, CaptionDataOptions, OnBadSample
from mmdl.data.paths import data_root
from mmdl.data.readers.captions_official import read_captions
from mmdl.data.readers.karpathy_split import KarpathySplit
from mmdl.data.sources.coco import KARPATHY, YEARS, Year, find_json, layout
from mmdl.data.sources.coco_folders import holds
from mmdl.errors import UserError

HELD_OUT_AT_MOST = 0.1
"""Share of the training images that may be held out: matters for subsets only."""


class CocoCaptionSource:
    """The official files.

    Args:
        root: Folder of the files; None is `coco` in the data home.
        year: 2014 or 2017.
        karpathy: Karpathy's `dataset_coco.json`; None takes it where it lies in `root`; False does not.
        restval_in_train: Train on Karpathy's restval too, as the literature does.
        val_images: Training images held out for validation, without Karpathy's split.
        limit_images: Only the first so many images of each split.
        split_seed: Seed of which images are held out.
        on_bad_sample: As in the readers.

    Raises:
        UserError: There is no such year, or a number is none.
    """

    def __init__(
        self,
        root: str | None = None,
        year: Year = 2014,
        karpathy: str | bool | None = None,
        restval_in_train: bool = True,
        val_images: int = 2000,
        limit_images: int | None = None,
        split_seed: int = 0,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        if year not in YEARS:
            raise UserError(f"data.year={year}", valid=", ".join(map(str, YEARS)))
        for key, value in (("val_images", val_images), ("limit_images", limit_images)):
            if value is not None and value < 1:
                raise UserError(f"data.{key}={value}", valid="1 or more")
        self.root = data_root(root, "coco")
        self.year: Year = year
        self.given_karpathy = karpathy
        self.restval_in_train = restval_in_train
        self.val_images = val_images
        self.limit_images = limit_images
        self.split_seed = split_seed
        self.on_bad_sample: OnBadSample = on_bad_sample
        self._held_out: dict[str, CaptionIndex] = {}
        self._karpathy: KarpathySplit | None = None
        self._left = {"train", "val", "test"}

    def karpathy_file(self) -> Path | None:
        """Karpathy's split, where it is used.

        Raises:
            UserError: The file that was given is not there.
        """
        given = self.given_karpathy
        if given is False:
            return None
        found = find_json(self.root, KARPATHY)
        if isinstance(given, str):
            found = Path(given).expanduser()
        if found.is_file():
            return found
        if given is None:
            return None
        raise UserError(
            f"there is no file {found}",
            valid=f"Karpathy's {KARPATHY}, or data.karpathy=false for the official splits",
            fix=f"python -m mmdl data prepare coco --karpathy --root {self.root}",
        )

    def prepare(self) -> None:
        """The official files must be there: they are too large to be fetched without being asked for.

        Raises:
            UserError: nothing is there; what is missing for one split only is said when that split is read.
        """
        karpathy, places = self.karpathy_file(), layout(self.root, self.year).values()
        if not karpathy and not any(place.captions.is_file() for place in places):
            raise self._incomplete([place.captions for place in places])
        if not any(holds(place.image_dir, "") for place in places):
            raise self._incomplete([place.image_dir for place in places])

    def index(self, split: str) -> CaptionIndex:
        """The validated index of `train`, `val` or `test`.

        Raises:
            UserError: Its files are not there, or hold bad samples.
        """
        file = self.karpathy_file()
        if file is not None:
            return self._of_karpathy(file, split)
        name = f"val{self.year}"
        if split == "test":
            index = self._official("val")
            index.notes = [f"the test split is the official {name}"]
            return index
        if not self._held_out:
            whole = self._official("train")
            count = max(1, min(self.val_images, int(HELD_OUT_AT_MOST * len(whole))))
            whole.notes = [
                f"validation: {count:,} of the {len(whole):,} images of train{self.year} are held out "
                f"(data.split_seed={self.split_seed})"
            ]
            self._held_out = whole.hold_out(count, self.split_seed)
        return self._held_out[split]

    def _official(self, name: str) -> CaptionIndex:
        place = layout(self.root, self.year)[name]
        self._require([place.captions], [place.image_dir])
        return read_captions(*place, self.on_bad_sample).limited(self.limit_images)

    def _of_karpathy(self, file: Path, split: str) -> CaptionIndex:
        folders = {
            f"{name}{self.year}": place.image_dir for name, place in layout(self.root, self.year).items()
        }
        if self._karpathy is None:
            self._karpathy = KarpathySplit(file, _Locate(folders), self.on_bad_sample)
        names = ["train", "restval"] if split == "train" and self.restval_in_train else [split]
        if self.year == 2014:  # restval, val and test are of val2014; 2017 has nearly all images in train2017
            needed = {"train2014" if name == "train" else "val2014" for name in names}
            self._require([], [folders[name] for name in sorted(needed)])
        index = self._karpathy.index(names).limited(self.limit_images)
        self._left.discard(split)
        if not self._left:
            self._karpathy = None  # all of it is in the indexes now
        index.notes = [f"the splits are Karpathy's ({file}; train is {self._train_is()})"]
        return index

    def _train_is(self) -> str:
        return "train and restval" if self.restval_in_train else "without restval"

    def _require(self, files: list[Path], folders: list[Path]) -> None:
        absent = [file for file in files if not file.is_file()]
        absent += [folder for folder in folders if not holds(folder, "")]
        if absent:
            raise self._incomplete(absent)

    def _incomplete(self, absent: list[Path]) -> UserError:
        return UserError(
            f"COCO {self.year} is not complete in {self.root}: {', '.join(map(str, absent))} not found",
            valid="the official files, flat or in images/ and annotations/; offline: data=shapes_captions, image_text",
            fix=f"python -m mmdl data prepare coco --year {self.year} --root {self.root}, or data.root=FOLDER",
        )


class _Locate:
    """Entry of Karpathy's file -> folder and file name.

    Args:
        folders: `train2014` and `val2014`, or those of 2017, -> folder.
    """

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = {name: folder.absolute() for name, folder in folders.items()}
        self.in_val: set[str] = set()
        if "val2017" in folders and folders["val2017"].is_dir():
            with os.scandir(folders["val2017"]) as found:
                self.in_val = {entry.name for entry in found}

    def __call__(self, entry: dict[str, Any]) -> tuple[Path, str]:
        name: str = entry["filename"]
        if "train2014" in self.folders:
            return self.folders["val2014" if name.startswith("COCO_val2014_") else "train2014"], name
        # COCO_val2014_000000391895.jpg is 000000391895.jpg in 2017, in one of the two folders
        name = name.rpartition("_")[2]
        return self.folders["val2017" if name in self.in_val else "train2017"], name


def coco_captions(
    root: str | None = None,
    year: Year = 2014,
    karpathy: str | bool | None = None,
    restval_in_train: bool = True,
    val_images: int = 2000,
    limit_images: int | None = None,
    split_seed: int = 0,
    **options: Unpack[CaptionDataOptions],
) -> CaptionDataModule:
    """The data module of COCO captions; the module's docstring describes its splits.

    Args:
        root: As for `CocoCaptionSource`.
        year: As for `CocoCaptionSource`.
        karpathy: As for `CocoCaptionSource`.
        restval_in_train: As for `CocoCaptionSource`.
        val_images: As for `CocoCaptionSource`.
        limit_images: As for `CocoCaptionSource`.
        split_seed: As for `CocoCaptionSource`.
        **options: As for `CaptionDataModule`.
    """
    bad = options.get("on_bad_sample", "raise")
    source = CocoCaptionSource(
        root, year, karpathy, restval_in_train, val_images, limit_images, split_seed, bad
    )
    return CaptionDataModule(source, **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few samples in the official layout and names; drawn shapes stand in for photographs.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    import json

    from PIL import Image

    from mmdl.data.shapes.generate import generate_shapes

    shapes = folder / "shapes"
    generate_shapes(shapes, train=24, val=6, test=6, progress=False)
    root = folder / "coco"
    (root / "annotations").mkdir(parents=True)
    for drawn, official in (("train", "train2014"), ("val", "val2014")):
        images = root / "images" / official
        images.mkdir(parents=True)
        document = json.loads((shapes / "annotations" / f"captions_{drawn}.json").read_text())
        for entry in document["images"]:
            name = f"COCO_{official}_{entry['id']:012d}.jpg"
            with Image.open(shapes / "images" / drawn / entry["file_name"]) as image:
                image.convert("RGB").save(images / name, quality=95)
            entry["file_name"] = name
        (root / "annotations" / f"captions_{official}.json").write_text(json.dumps(document))
    return {"data.root": str(root)}
