"""Your own images with your own captions.

A file is JSONL (one object a line) or CSV (a header line), in UTF-8::

    {"image": "kitchen/1.jpg", "caption": "A red kettle on a stove."}
    {"image": "kitchen/2.jpg", "captions": ["Two cups.", "Two white cups on a table."]}

`image` is relative to `data.image_root` (or to the file's folder). In a CSV several captions are separated by `|`.
Several lines with one image are one image with the captions of all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from mmdl.data.caption_index import CaptionIndex
from mmdl.data.captions import CaptionDataModule, CaptionDataOptions, OnBadSample
from mmdl.data.readers.caption_table import read_caption_table
from mmdl.errors import UserError


class CaptionTableSource:
    """Splits from tables; validation images are split off train where there is no table for them.

    Args:
        train: JSONL, JSON, CSV or TSV file.
        val: The same; None takes `val_share` of the training images.
        test: The same; None has no test split.
        image_root: Folder of the images; None is each file's own folder.
        val_share: In (0, 1).
        limit_images: Only the first so many images of each split.
        split_seed: Seed of which images are split off.
        on_bad_sample: As in the readers.

    Raises:
        UserError: if there is no file, or the share is not one.
    """

    def __init__(
        self,
        train: str | None,
        val: str | None = None,
        test: str | None = None,
        image_root: str | None = None,
        val_share: float = 0.1,
        limit_images: int | None = None,
        split_seed: int = 0,
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        if train is None and test is None:
            raise UserError(
                "data=image_text has no file",
                valid="JSONL or CSV with image, caption or captions",
                fix="data.train=train.jsonl data.image_root=images/",
            )
        if not 0 < val_share < 1:
            raise UserError(
                f"data.val_share={val_share}", valid="a share between 0 and 1", fix="data.val_share=0.1"
            )
        if limit_images is not None and limit_images < 1:
            raise UserError(f"data.limit_images={limit_images}", valid="1 or more, or null: all")
        self.files = {"train": train, "val": val, "test": test}
        self.image_root = image_root
        self.val_share = val_share
        self.limit_images = limit_images
        self.split_seed = split_seed
        self.on_bad_sample: OnBadSample = on_bad_sample
        self._split: dict[str, CaptionIndex] = {}

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

    def index(self, split: str) -> CaptionIndex | None:
        """The validated index of a split."""
        file, train = self.files[split], self.files["train"]
        if split != "test" and self.files["val"] is None and train is not None:
            if not self._split:
                self._split = self._split_off(train)
            return self._split[split]
        return self._read(file) if file else None

    def _read(self, file: str) -> CaptionIndex:
        return read_caption_table(file, self.image_root, self.on_bad_sample).limited(self.limit_images)

    def _split_off(self, file: str) -> dict[str, CaptionIndex]:
        """Train and val from the training file, disjoint in images."""
        whole = self._read(file)
        count = max(1, round(self.val_share * len(whole)))
        if count >= len(whole):
            raise UserError(
                f"{file} has {len(whole)} images: too few to split a validation set off",
                fix="give data.val=FILE",
            )
        whole.notes = [
            f"validation: {count:,} of the {len(whole):,} images of {file} are held out "
            f"(data.split_seed={self.split_seed})"
        ]
        return whole.hold_out(count, self.split_seed)


def image_text(
    train: str | None = None,
    val: str | None = None,
    test: str | None = None,
    image_root: str | None = None,
    val_share: float = 0.1,
    limit_images: int | None = None,
    split_seed: int = 0,
    **options: Unpack[CaptionDataOptions],
) -> CaptionDataModule:
    """The data module of own files; the module's docstring describes their format.

    Args:
        train: As for `CaptionTableSource`.
        val: As for `CaptionTableSource`.
        test: As for `CaptionTableSource`.
        image_root: As for `CaptionTableSource`.
        val_share: As for `CaptionTableSource`.
        limit_images: As for `CaptionTableSource`.
        split_seed: As for `CaptionTableSource`.
        **options: As for `CaptionDataModule`.
    """
    bad = options.get("on_bad_sample", "raise")
    source = CaptionTableSource(train, val, test, image_root, val_share, limit_images, split_seed, bad)
    return CaptionDataModule(source, **options)


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
    rows: list[dict[str, str | list[str]]] = []
    lines = ["image,captions"]
    for number in range(30):
        name, color = f"{number}.png", list(colors)[number % 3]
        shade = tuple(max(0, value - 4 * number) for value in colors[color])
        Image.new("RGB", (48, 36), shade).save(folder / "images" / name)
        captions = [f"A {color} area.", f"Nothing but {color}, number {number}."]
        if number < 24:
            rows.append(
                {"image": name, "captions": captions}
                if number % 2
                else {"image": name, "caption": captions[0]}
            )
        else:
            lines.append(f'{name},"{"|".join(captions)}"')
    rows.append({"image": "0.png", "caption": "The first of the red ones."})
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "test.csv").write_text("\n".join(lines) + "\n")
    return {
        "data.train": str(folder / "train.jsonl"),
        "data.test": str(folder / "test.csv"),
        "data.image_root": str(folder / "images"),
    }
