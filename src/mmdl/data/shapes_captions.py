"""The embedded shapes data set as captioned images: made on first use, read like COCO captions."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from mmdl.data.caption_index import CaptionIndex
from mmdl.data.captions import CaptionDataModule, CaptionDataOptions
from mmdl.data.readers.captions_official import read_captions
from mmdl.data.shapes.generate import generate_shapes
from mmdl.data.shapes_vqa import ShapesSource


class ShapesCaptionSource:
    """Scenes of simple objects with five captions each, in the official format of COCO captions.

    Args:
        shapes: The generated files.
    """

    def __init__(self, shapes: ShapesSource) -> None:
        self.shapes = shapes

    def prepare(self) -> None:
        """Make the files, unless the folder holds a complete data set."""
        self.shapes.prepare()

    def index(self, split: str) -> CaptionIndex:
        """The index of a split."""
        root = self.shapes.root
        return read_captions(root / "annotations" / f"captions_{split}.json", root / "images" / split)


def shapes_captions(
    root: str | None = None,
    scenes_train: int = 10_000,
    scenes_val: int = 1_000,
    scenes_test: int = 1_000,
    scene_size: int = 64,
    data_seed: int = 0,
    **options: Unpack[CaptionDataOptions],
) -> CaptionDataModule:
    """The data module of the embedded shapes.

    Args:
        root: Folder of a data set that `mmdl data generate shapes` made; None makes one of the sizes given here.
        scenes_train: Scenes for training.
        scenes_val: Scenes for validation.
        scenes_test: Scenes for the test.
        scene_size: Pixels of the square images.
        data_seed: Seed of the scenes.
        **options: As for `CaptionDataModule`.
    """
    source = ShapesSource(root, scenes_train, scenes_val, scenes_test, scene_size, data_seed)
    return CaptionDataModule(ShapesCaptionSource(source), **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few samples in the real format: test data, documentation of the format and smoke run in one.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    generate_shapes(folder / "shapes", train=24, val=6, test=6, progress=False)
    return {"data.root": str(folder / "shapes")}
