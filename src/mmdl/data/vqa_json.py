"""Your own questions about your own images.

A file is JSONL (one object a line) or CSV (a header line), in UTF-8::

    {"image": "kitchen/1.jpg", "question": "What color is the kettle?", "answer": "red"}
    {"image": "kitchen/1.jpg", "question": "How many cups are there?", "answers": ["2", "2", "3"]}

`image` is relative to `data.image_root` (or to the file's folder). `answer` is one reference; `answers` several (in a
CSV, separated by `|`). `question_id`, `question_type` and `answer_type` are optional.
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import numpy as np

from mmdl.data.readers.table import read_table
from mmdl.data.sources.merged import with_val_in_train
from mmdl.data.vqa import OnBadSample, VQADataModule, VQADataOptions
from mmdl.data.vqa_index import VQAIndex
from mmdl.errors import UserError


class TableSource:
    """Splits from tables; validation images are split off train where there is no table for them.

    Args:
        train: JSONL or CSV file.
        val: The same; None takes `val_share` of the training images, chosen by `seed`.
        test: The same; None has no test split.
        image_root: Folder of the images.
        val_share: In (0, 1).
        seed: Seed of the split.
        on_bad_sample: As in the readers.

    Raises:
        UserError: if there is no training file, or the share is not one.
    """

    def __init__(
        self,
        train: str | None,
        val: str | None = None,
        test: str | None = None,
        image_root: str | None = None,
        val_share: float = 0.1,
        seed: int = 0,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        if train is None and test is None:
            raise UserError(
                "data=vqa_json has no file",
                valid="JSONL or CSV with image, question, answer or answers",
                fix="data.train=train.jsonl data.image_root=images/",
            )
        if not 0 < val_share < 1:
            raise UserError(
                f"data.val_share={val_share}", valid="a share between 0 and 1", fix="data.val_share=0.1"
            )
        self.files = {"train": train, "val": val, "test": test}
        self.image_root = image_root
        self.val_share = val_share
        self.seed = seed
        self.on_bad_sample: OnBadSample = on_bad_sample
        self._split: dict[str, VQAIndex] = {}

    def prepare(self) -> None:
        """The files must be there.

        Raises:
            UserError: naming every file that is not.
        """
        missing = [
            f"data.{split}={file}" for split, file in self.files.items() if file and not Path(file).is_file()
        ]
        if missing:
            raise UserError(
                f"there is no file {', '.join(missing)}", valid="paths from where the command is run"
            )

    def index(self, split: str) -> VQAIndex | None:
        """The validated index of a split."""
        file = self.files[split]
        if split != "test" and self.files["val"] is None and self.files["train"] is not None:
            return self._split_off()[split]
        return self._read(file) if file else None

    def _read(self, file: str) -> VQAIndex:
        return read_table(file, self.image_root, self.on_bad_sample)

    def _split_off(self) -> dict[str, VQAIndex]:
        """Train and val from the training file, disjoint in images."""
        if not self._split:
            assert self.files["train"] is not None
            whole = self._read(self.files["train"])
            count = max(1, round(self.val_share * whole.num_images))
            if count >= whole.num_images:
                raise UserError(
                    f"{self.files['train']} has {whole.num_images} images: too few to split a validation set off",
                    fix="give data.val=FILE",
                )
            order = np.random.Generator(np.random.PCG64(self.seed)).permutation(whole.num_images)
            self._split = {
                "val": whole.select_images(np.sort(order[:count])),
                "train": whole.select_images(np.sort(order[count:])),
            }
            self._split["val"].skipped = {}  # counted once, with train
        return self._split


def vqa_json(
    train: str | None = None,
    val: str | None = None,
    test: str | None = None,
    image_root: str | None = None,
    val_share: float = 0.1,
    train_on_val: bool = False,
    **options: Unpack[VQADataOptions],
) -> VQADataModule:
    """The data module of own files; the module's docstring describes their format.

    Args:
        train: JSONL or CSV file.
        val: The same; None splits it off train, by image.
        test: The same; None has no test split.
        image_root: Folder of the images; None is each file's own folder.
        val_share: Share of the training images that is split off.
        train_on_val: Add the validation questions to the training ones; the run is marked.
        **options: As for `VQADataModule`.
    """
    source = TableSource(
        train, val, test, image_root, val_share, options.get("seed", 0), options.get("on_bad_sample", "raise")
    )
    return VQADataModule(with_val_in_train(source, train_on_val), train_on_val=train_on_val, **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """A few samples in the format of this module.

    Args:
        folder: Where; made if need be.

    Returns:
        Config keys that make the data set read them.
    """
    import json

    from PIL import Image

    (folder / "images").mkdir(parents=True, exist_ok=True)
    colors = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (40, 80, 200)}
    for split, count in (("train", 24), ("test", 6)):
        rows: list[dict[str, str | list[str]]] = []
        for number in range(count):
            name, color = f"{split}-{number}.png", list(colors)[number % 3]
            Image.new("RGB", (48, 36), colors[color]).save(folder / "images" / name)
            rows.append({"image": name, "question": "What color is it?", "answer": color})
            rows.append(
                {"image": name, "question": "Is it red?", "answers": ["yes" if color == "red" else "no"] * 3}
            )
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "data.train": str(folder / "train.jsonl"),
        "data.test": str(folder / "test.jsonl"),
        "data.image_root": str(folder / "images"),
    }
