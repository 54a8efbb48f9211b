"""The records of a fixed set of validation items at each validation, in a folder of bounded size."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdl.runs.files import write_json, write_text, writing
from mmdl.runs.item_records import image_key, item_id
from mmdl.runs.picture_folder import PictureFolder

if TYPE_CHECKING:
    from mmdl.data.item_pictures import ItemPictures

VERSION = 1
LEAST_FILES = 16
"""A file takes at most this share of the bytes: so many validations can be kept."""


class ProbeFolder:
    """`index.json`, `step-<N>.jsonl` for each validation that is kept, and the images of the items.

    With more validations than are kept, every second one is removed, and from then on every second one is kept; the
    newest is always there. What is kept depends on the number of validations alone: a run that was continued keeps the
    same ones.

    Args:
        folder: Such as `media/probe` of the run folder.
        keep: Validations at most.
        most_bytes: Of the records; as much again of the images.
    """

    def __init__(self, folder: Path, keep: int, most_bytes: float) -> None:
        self.folder = folder
        self.keep = keep
        self.most_bytes = most_bytes

    def write(self, step: int, epoch: int, records: Sequence[dict[str, Any]], facts: dict[str, Any]) -> None:
        """Write the records of a validation; those of the same step are replaced.

        Args:
            step: Optimizer steps so far.
            epoch: Which epoch, from 0.
            records: In the form of predictions.
            facts: What the index says of them, such as `kind`, `split` and `metric`.

        Raises:
            WriteError: if they can't be written.
        """
        index = self._read()
        steps = [entry for entry in index["steps"] if entry["step"] < step]
        stale = [entry for entry in index["steps"] if entry["step"] >= step]
        seen = [own for own in index["seen"] if own < step]
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        room, taken = self.most_bytes / LEAST_FILES, 0
        for line in lines:
            if room < len(line.encode()):
                break
            room -= len(line.encode())
            taken += 1
        entry = _entry(step, len(seen), epoch, taken)
        write_text(self.folder / entry["file"], "".join(lines[:taken]))
        kept, stride = self._thinned([*steps, entry], index.get("stride"))
        ids = [str(item_id(record)) for record in records]
        caps = {"keep": self.keep, "bytes": int(self.most_bytes)}
        index |= {**facts, "ids": ids, "stride": stride, "steps": kept, "seen": [*seen, step], "caps": caps}
        write_json(self.folder / "index.json", index)
        files = {own["file"] for own in kept}
        for gone in [*steps, *stale]:
            if gone["file"] not in files:
                self._remove(gone["file"])

    def add_images(
        self,
        name: str,
        records: Sequence[dict[str, Any]],
        pictures: Callable[[], ItemPictures | None],
        side: int,
    ) -> None:
        """Write the images of the records, once; the index names them.

        Args:
            name: Of the split.
            records: Theirs.
            pictures: Gives those of the split.
            side: Longer side in pixels at most.

        Raises:
            WriteError: if they can't be written.
        """
        target = PictureFolder(self.folder, name, self.most_bytes)
        wanted = dict.fromkeys(str(image_key(record)) for record in records)
        if target.index["images"].get(name, {}).keys() >= wanted.keys():
            return
        found = pictures()
        if found is None:
            return
        rows = {key: row for row, key in enumerate(found.keys) if key in wanted}
        for key in wanted:
            image = found.small(rows[key], side) if key in rows else None
            if image is not None and not target.add(key, image):
                break
        target.finish(left_out=len(wanted) - len(target.entries))

    def rewind(self, step: int) -> None:
        """Remove what was written after a step: a run that goes on from there writes it again.

        Raises:
            WriteError: if it can't be removed.
        """
        if not (self.folder / "index.json").is_file():
            return
        index = self._read()
        if any(own > step for own in index["seen"]):
            index["steps"] = [entry for entry in index["steps"] if entry["step"] <= step]
            index["seen"] = [own for own in index["seen"] if own <= step]
            write_json(self.folder / "index.json", index)
        for own in self._files():  # one that was killed before its index was written is in none
            if own > step:
                self._remove(f"step-{own}.jsonl")

    def _thinned(self, steps: list[dict[str, Any]], stride: object) -> tuple[list[dict[str, Any]], int]:
        """The validations that are kept, and how many there are of which one is."""
        every = stride if isinstance(stride, int) and stride > 0 else 1
        newest = steps[-1]
        kept = [own for own in steps if own["number"] % every == 0 or own is newest]
        while len(kept) > max(2, self.keep) or (len(kept) > 2 and self._bytes(kept) > self.most_bytes):
            every *= 2
            kept = [own for own in kept if own["number"] % every == 0 or own is newest]
        return kept, every

    def _bytes(self, steps: Sequence[dict[str, Any]]) -> int:
        paths = [self.folder / own["file"] for own in steps]
        return sum(path.stat().st_size for path in paths if path.is_file())

    def _files(self) -> list[int]:
        """Steps of the files that are there, rising."""
        names = (re.fullmatch(r"step-(\d+)\.jsonl", path.name) for path in self.folder.glob("step-*.jsonl"))
        return sorted(int(match[1]) for match in names if match)

    def _remove(self, file: str) -> None:
        with writing(self.folder / file):
            (self.folder / file).unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        """The index; a damaged one is made anew from the files that are there."""
        try:
            found = json.loads((self.folder / "index.json").read_bytes())
            steps = [
                _entry(int(own["step"]), int(own["number"]), own.get("epoch"), own.get("records"))
                for own in found["steps"]
            ]
            found["seen"] = sorted({int(own) for own in found["seen"]})  # of all validations, kept or not
        except FileNotFoundError:
            return {"version": VERSION, "steps": [], "seen": []}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            numbers = self._files()
            found = {"version": VERSION, "seen": numbers}
            steps = [_entry(step, number) for number, step in enumerate(numbers)]
        return {**found, "steps": sorted(steps, key=lambda own: own["step"])}


def _entry(step: int, number: int, epoch: Any = None, records: Any = None) -> dict[str, Any]:
    """What the index says of a validation."""
    return {"step": step, "epoch": epoch, "number": number, "file": f"step-{step}.jsonl", "records": records}
