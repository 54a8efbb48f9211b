"""The report on the data of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mmdl.data.bad_images import BadSamples
from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule
from mmdl.runs.data_report import write_data_report


class Source:
    """Ten grey images, two of which could not be read in training and one in test."""

    def prepare(self) -> None:
        """Nothing to make."""

    def split(self, name: str) -> ImageSplit | None:
        """Train and test."""
        if name == "val":
            return None
        lost = [BadSamples("truncated", f"{name}/x.png: truncated", 2 if name == "train" else 1)]
        labels = np.arange(10, dtype=np.int64) % 2
        pixels = np.zeros((10, 1, 4, 4), dtype=np.uint8)
        ids = [f"{name}/{row}" for row in range(10)]
        return ImageSplit(ids, labels, ("a", "b"), pixels, bad=lost, notes=("made for a test",))


def test_sizes_and_what_was_left_out_by_reason(tmp_path: Path) -> None:
    data = ImageDataModule(Source(), val_share=0.2, on_bad_sample="skip")
    data.setup()
    write_data_report(tmp_path / "data_report.json", data)
    found = json.loads((tmp_path / "data_report.json").read_text())
    assert {split: report["sizes"] for split, report in found["splits"].items()} == {
        "train": {"images": 8},
        "val": {"images": 2},
        "test": {"images": 10},
    }
    assert found["skipped"] == {"truncated": 3}
    assert found["on_bad_sample"] == "skip"
    assert "made for a test" in found["splits"]["test"]["notes"]
    assert found["marks"]["trained_on_val"] is False
