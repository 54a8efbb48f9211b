"""VQA v2 (Goyal 2017) on COCO 2014 images, with a protocol in which no figure chooses its own weights.

Training images are those of train2014, less `val_images` that are held out to choose weights and settings by. The
official val2014, whose score the literature reports as "val", is touched by the final test only. With `train_on_val`
val2014 is trained on as well, the test split is test2015, which has no public references, and the run is marked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np

from mmdl.data.index_cache import cached_index
from mmdl.data.paths import data_home, data_root
from mmdl.data.readers.vqa_json_official import read_official
from mmdl.data.sources.merged import concatenated
from mmdl.data.sources.vqa_v2 import layout, missing_files
from mmdl.data.vqa import OnBadSample, VQADataModule, VQADataOptions
from mmdl.data.vqa_index import VQAIndex
from mmdl.errors import UserError

HELD_OUT_AT_MOST = 0.1
"""Share of the training images that may be held out: matters for subsets only."""


class VQAv2Source:
    """The official files.

    Args:
        root: Folder of the files; None is `vqa_v2` in the data home.
        val_images: Training images held out for validation.
        limit_images: Only the first so many images of each split.
        train_on_val: Train on val2014 too, and test on test2015.
        seed: Seed of which images are held out.
        on_bad_sample: As in the readers.
    """

    def __init__(
        self,
        root: str | None = None,
        val_images: int = 2000,
        limit_images: int | None = None,
        train_on_val: bool = False,
        seed: int = 0,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        self.root = data_root(root, "vqa_v2")
        self.val_images = val_images
        self.limit_images = limit_images
        self.official = (
            {"train": ("train", "val"), "test": ("test",)}
            if train_on_val
            else {
                "train": ("train",),
                "test": ("val",),
            }
        )
        self.seed = seed
        self.on_bad_sample: OnBadSample = on_bad_sample
        self._held_out: dict[str, VQAIndex] = {}

    def prepare(self) -> None:
        """The official files must be there: they are too large to be fetched without being asked for.

        Raises:
            UserError: naming what is missing.
        """
        wanted = sorted({name for names in self.official.values() for name in names})
        missing = missing_files(self.root, wanted)
        if missing:
            raise UserError(
                f"VQA v2 is not complete in {self.root}: {', '.join(str(file) for file in missing)} not found",
                valid="the official files, flat or in images/ and annotations/; offline: data=shapes_vqa, vqa_json",
                fix=f"python -m mmdl data prepare vqa_v2 --root {self.root}, or data.root=FOLDER",
            )

    def index(self, split: str) -> VQAIndex:
        """The validated index of `train`, `val` (held out of train) or `test`."""
        if split == "test":
            return self._official("test")
        if not self._held_out:
            whole = self._official("train")
            count = max(1, min(self.val_images, int(HELD_OUT_AT_MOST * whole.num_images)))
            order = np.random.Generator(np.random.PCG64(self.seed)).permutation(whole.num_images)
            self._held_out = {
                "val": whole.select_images(np.sort(order[:count])),
                "train": whole.select_images(np.sort(order[count:])),
            }
            self._held_out["val"].skipped = {}  # counted once, with train
        return self._held_out[split]

    def _official(self, split: str) -> VQAIndex:
        parts = [self._read(name) for name in self.official[split]]
        index = parts[0] if len(parts) == 1 else concatenated(*parts)
        if self.limit_images is not None and self.limit_images < index.num_images:
            index = index.select_images(np.arange(self.limit_images))
        return index

    def _read(self, name: str) -> VQAIndex:
        files = layout(self.root)[name]
        given: list[Path] = [path for path in (files.questions, files.annotations, files.image_dir) if path]
        return cached_index(
            given,
            lambda: read_official(*files, self.on_bad_sample),
            data_home() / "cache" / "index",
            {"on_bad_sample": self.on_bad_sample},
        )


def vqa_v2(
    root: str | None = None,
    val_images: int = 2000,
    limit_images: int | None = None,
    train_on_val: bool = False,
    **options: Unpack[VQADataOptions],
) -> VQADataModule:
    """The data module of VQA v2; the module's docstring describes its splits.

    Args:
        root: As for `VQAv2Source`.
        val_images: As for `VQAv2Source`.
        limit_images: As for `VQAv2Source`.
        train_on_val: As for `VQAv2Source`.
        **options: As for `VQADataModule`.
    """
    source = VQAv2Source(
        root,
        val_images,
        limit_images,
        train_on_val,
        seed=options.get("seed", 0),
        on_bad_sample=options.get("on_bad_sample", "raise"),
    )
    return VQADataModule(source, train_on_val=train_on_val, **options)


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
    root = folder / "vqa_v2"
    (root / "annotations").mkdir(parents=True)
    for drawn, official in (("train", "train2014"), ("val", "val2014")):
        images = root / "images" / official
        images.mkdir(parents=True)
        questions = json.loads((shapes / "annotations" / f"questions_{drawn}.json").read_text())
        answers = json.loads((shapes / "annotations" / f"annotations_{drawn}.json").read_text())
        for image_id in {question["image_id"] for question in questions["questions"]}:
            with Image.open(shapes / "images" / drawn / f"SHAPES_{drawn}_{image_id:012d}.png") as image:
                image.convert("RGB").save(images / f"COCO_{official}_{image_id:012d}.jpg", quality=95)
        names = (f"v2_OpenEnded_mscoco_{official}_questions.json", f"v2_mscoco_{official}_annotations.json")
        for name, content in zip(names, (questions, answers), strict=True):
            (root / "annotations" / name).write_text(json.dumps(content))
    return {"data.root": str(root), "data.min_answer_count": "1"}
