"""The embedded shapes data set as VQA data: made on first use, read like the real VQA v2."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from mmdl.data.paths import data_root
from mmdl.data.readers.vqa_json_official import read_official
from mmdl.data.shapes.generate import generate_shapes
from mmdl.data.shapes.split import default_name
from mmdl.data.sources.merged import with_val_in_train
from mmdl.data.vqa import OnBadSample, VQADataModule, VQADataOptions
from mmdl.data.vqa_index import VQAIndex


class ShapesSource:
    """Scenes of simple objects with questions about them, in the official VQA v2 files.

    Args:
        root: Folder of a data set that `mmdl data generate shapes` made; None makes one of the sizes given here in
            the data home.
        train: Scenes for training.
        val: Scenes for validation.
        test: Scenes for the test.
        scene_size: Pixels of the square images.
        seed: Seed of the scenes.
        on_bad_sample: As in the readers.
    """

    def __init__(
        self,
        root: str | None = None,
        train: int = 10_000,
        val: int = 1_000,
        test: int = 1_000,
        scene_size: int = 64,
        seed: int = 0,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        self.sizes = {"train": train, "val": val, "test": test}
        self.scene_size = scene_size
        self.seed = seed
        self.on_bad_sample: OnBadSample = on_bad_sample
        self.root = data_root(root, "shapes", default_name(train, val, test, scene_size, seed))
        self.given = root is not None

    def prepare(self) -> None:
        """Make the files, unless the folder holds a complete data set."""
        if self.given and (self.root / "dataset.json").is_file():
            return
        sizes = self.sizes
        generate_shapes(
            self.root,
            train=sizes["train"],
            val=sizes["val"],
            test=sizes["test"],
            image_size=self.scene_size,
            seed=self.seed,
        )

    def index(self, split: str) -> VQAIndex:
        """The validated index of a split."""
        annotations = self.root / "annotations"
        return read_official(
            annotations / f"questions_{split}.json",
            annotations / f"annotations_{split}.json",
            self.root / "images" / split,
            f"SHAPES_{split}_{{image_id:012d}}.png",
            self.on_bad_sample,
        )


def shapes_vqa(
    root: str | None = None,
    scenes_train: int = 10_000,
    scenes_val: int = 1_000,
    scenes_test: int = 1_000,
    scene_size: int = 64,
    data_seed: int = 0,
    train_on_val: bool = False,
    **options: Unpack[VQADataOptions],
) -> VQADataModule:
    """The data module of the embedded shapes.

    Args:
        root: As for `ShapesSource`.
        scenes_train: Scenes for training.
        scenes_val: Scenes for validation.
        scenes_test: Scenes for the test.
        scene_size: Pixels of the square images.
        data_seed: Seed of the scenes.
        train_on_val: Add the validation questions to the training ones; the run is marked.
        **options: As for `VQADataModule`.
    """
    source = ShapesSource(
        root,
        scenes_train,
        scenes_val,
        scenes_test,
        scene_size,
        data_seed,
        options.get("on_bad_sample", "raise"),
    )
    return VQADataModule(with_val_in_train(source, train_on_val), train_on_val=train_on_val, **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few samples in the real format: test data, documentation of the format and smoke run in one.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    generate_shapes(folder / "shapes", train=24, val=6, test=6, progress=False)
    return {"data.root": str(folder / "shapes")}
