"""Reads Karpathy's `dataset_coco.json`: COCO 2014's images with their captions, split into train, val and test.

The file::

    {"dataset": "coco",
     "images": [{"filepath": "val2014", "filename": "COCO_val2014_000000391895.jpg", "cocoid": 391895, "imgid": 0,
                 "split": "test", "sentids": [770337, ...],
                 "sentences": [{"raw": "A man with a red helmet ...", "sentid": 770337, "tokens": [...]}, ...]}, ...]}

`restval` is what is left of val2014 after 5,000 images for val and 5,000 for test. Source: Karpathy and Li 2015,
arXiv:1412.2306, https://cs.stanford.edu/people/karpathy/deepimagesent/
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmdl.data.caption_index import CaptionIndex
from mmdl.data.readers.bad_samples import (
    BadSamples,
    OnBadSample,
    Problem,
    check_id,
    check_string,
    missing_key,
    type_name,
)
from mmdl.data.readers.captions_official import entries
from mmdl.data.readers.collected_captions import CollectedCaptions
from mmdl.data.readers.image_paths import image_path
from mmdl.data.readers.text_files import read_json
from mmdl.errors import UserError
from mmdl.progress_bar import ProgressBar

SPLITS = ("train", "restval", "val", "test")
"""Names of the splits in the file."""


class KarpathySplit:
    """The file, read once for all splits.

    Args:
        file: `dataset_coco.json`.
        locate: Entry -> folder and file name of its image.
        on_bad_sample: `raise` or `skip`. A malformed file raises in any case.

    Raises:
        UserError: The file can't be read.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        locate: Callable[[dict[str, Any]], tuple[Path, str]],
        on_bad_sample: OnBadSample = "raise",
    ) -> None:
        self.file = Path(file)
        self.locate = locate
        self.on_bad_sample: OnBadSample = on_bad_sample
        self._images = entries(read_json(self.file, _slim), self.file, "images")

    def index(self, splits: Sequence[str]) -> CaptionIndex:
        """The images of some of `SPLITS`, in file order; entries without a good `split` are reported with `train`.

        Args:
            splits: Such as `["train", "restval"]`.

        Raises:
            UserError: There are bad samples and `on_bad_sample` is `raise`, or no image has one of the splits.
        """
        bad = BadSamples(self.file, self.on_bad_sample)
        collected = CollectedCaptions(bad)
        found: Counter[str] = Counter()
        for row, entry in enumerate(ProgressBar(self._images, self.file.name, delay=2)):
            where = f"images[{row}]"
            split = entry.get("split") if isinstance(entry, dict) else None
            if split not in SPLITS:
                if "train" in splits:
                    bad.add(where, _without_split(entry))
                continue
            found[split] += 1
            if split in splits:
                self._add(where, entry, collected)
        total = sum(found[split] for split in splits)
        if not total and not bad.counts:
            raise UserError(
                f"{self.file} has no image of {' or '.join(splits)}",
                valid=", ".join(f"{split} {count:,}" for split, count in found.items()),
            )
        return collected.finish(total, "")

    def _add(self, where: str, entry: dict[str, Any], collected: CollectedCaptions) -> None:
        bad = collected.bad
        problem = check_id(entry, "cocoid") or check_string(entry, "filename")
        sentences = entry.get("sentences")
        if problem is None and not isinstance(sentences, list):
            problem = (
                Problem("wrong type", f"'sentences' is {type_name(sentences)}, expected a list")
                if "sentences" in entry
                else missing_key(entry, "sentences")
            )
        if problem:
            bad.add(where, problem)
            return
        folder, name = self.locate(entry)
        path = image_path({"filename": name}, folder, "filename")
        if isinstance(path, Problem):
            bad.add(where, path)
            return
        collected.add_image(where, entry["cocoid"], f"{folder}/{path}")
        assert isinstance(sentences, list)
        for number, sentence in enumerate(sentences):
            place = f"{where}.sentences[{number}]"
            if isinstance(sentence, dict):
                given = sentence.get("sentid")
                key = given if isinstance(given, int | str) else number
                collected.add_caption(place, entry["cocoid"], sentence, key, "raw")
            else:
                bad.add(place, Problem("wrong type", f"{type_name(sentence)}, expected an object"))


def _slim(entry: dict[str, Any]) -> dict[str, Any]:
    """Without what is not used: the words of six hundred thousand sentences would take a gigabyte."""
    for key in ("tokens", "sentids"):
        entry.pop(key, None)
    return entry


def _without_split(entry: Any) -> Problem:
    if not isinstance(entry, dict):
        return Problem("wrong type", f"{type_name(entry)}, expected an object")
    if "split" not in entry:
        return missing_key(entry, "split")
    return Problem("unknown split", f"{entry['split']!r}, expected one of {', '.join(SPLITS)}")
