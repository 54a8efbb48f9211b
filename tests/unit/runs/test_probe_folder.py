"""The records of a fixed set of items at each validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from mmdl.data.item_pictures import ItemPictures
from mmdl.runs.probe_folder import ProbeFolder

FACTS = {"kind": "classification", "split": "val", "metric": "accuracy"}


def records(step: int, size: int = 0) -> list[dict[str, Any]]:
    """Two records that tell the step."""
    return [{"id": own, "correct": True, "step": step, "text": "x" * size} for own in ("a", "b")]


def kept(folder: Path) -> list[int]:
    """Steps that are there; index and files must agree."""
    index = json.loads((folder / "index.json").read_text())
    steps = [entry["step"] for entry in index["steps"]]
    assert sorted(path.name for path in folder.glob("step-*")) == sorted(
        f"step-{step}.jsonl" for step in steps
    )
    for entry in index["steps"]:
        lines = (folder / entry["file"]).read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == [entry["step"]] * 2
    return steps


def test_every_validation_is_a_file_and_the_index_names_them(tmp_path: Path) -> None:
    probe = ProbeFolder(tmp_path, 200, 1e6)
    for epoch, step in enumerate((10, 20, 30)):
        probe.write(step, epoch, records(step), FACTS)
    assert kept(tmp_path) == [10, 20, 30]
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["ids"] == ["a", "b"]
    assert {key: index[key] for key in FACTS} == FACTS
    assert index["steps"][1] == {"step": 20, "epoch": 1, "number": 1, "file": "step-20.jsonl", "records": 2}


def test_beyond_the_cap_every_second_is_dropped_and_the_newest_stays(tmp_path: Path) -> None:
    probe = ProbeFolder(tmp_path, 5, 1e6)
    for step in range(23):
        probe.write(step, step, records(step), FACTS)
        found = kept(tmp_path)
        assert len(found) <= 5
        assert (found[0], found[-1]) == (0, step)
    assert kept(tmp_path) == [0, 8, 16, 22]


def test_bytes_are_capped_too(tmp_path: Path) -> None:
    probe = ProbeFolder(tmp_path, 200, 40_000)
    for step in range(40):
        probe.write(step, step, records(step, 500), FACTS)
    found = kept(tmp_path)
    assert 15 < len(found) < 40
    assert sum(path.stat().st_size for path in tmp_path.glob("step-*")) <= 40_000
    probe.write(99, 99, records(99, 2000), FACTS)  # no single file takes the room of all
    assert len((tmp_path / "step-99.jsonl").read_text().splitlines()) == 1


def test_a_run_that_is_continued_has_the_same_files_as_one_that_was_not(tmp_path: Path) -> None:
    for name, stop in (("whole", None), ("continued", 13)):
        probe = ProbeFolder(tmp_path / name, 5, 1e6)
        for step in range(20):
            if step == stop:  # goes on from step 10
                probe = ProbeFolder(tmp_path / name, 5, 1e6)
                probe.rewind(10)
                assert max(kept(tmp_path / name)) <= 10
                for again in range(11, 13):
                    probe.write(again, again, records(again), FACTS)
            probe.write(step, step, records(step), FACTS)
    assert kept(tmp_path / "whole") == kept(tmp_path / "continued")


def test_the_same_step_again_is_no_second_one(tmp_path: Path) -> None:
    probe = ProbeFolder(tmp_path, 5, 1e6)
    for step in (1, 2, 2, 1):
        probe.write(step, 0, records(step), FACTS)
    assert kept(tmp_path) == [1]


def test_a_damaged_index_is_made_of_the_files(tmp_path: Path) -> None:
    probe = ProbeFolder(tmp_path, 5, 1e6)
    for step in (1, 2):
        probe.write(step, 0, records(step), FACTS)
    for content in ("{", '{"steps": [3]}', "[]"):
        (tmp_path / "index.json").write_text(content)
        probe.write(3, 0, records(3), FACTS)
        assert kept(tmp_path) == [1, 2, 3]
    ProbeFolder(tmp_path / "nothing", 5, 1e6).rewind(0)
    assert not (tmp_path / "nothing").exists()


def test_images_are_written_once_and_stay_in_the_index(tmp_path: Path) -> None:
    pixels = torch.arange(3, dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, 3, 8, 8)
    pictures = ItemPictures(["c", "a", "b"], None, pixels)
    probe = ProbeFolder(tmp_path, 5, 1e6)
    probe.write(1, 0, records(1), FACTS)
    probe.add_images("val", records(1), lambda: pictures, 4)
    first = json.loads((tmp_path / "index.json").read_text())["images"]["val"]
    assert list(first) == ["a", "b"]
    assert first["a"]["width"] == 4
    assert (tmp_path / first["b"]["file"]).is_file()
    probe.write(2, 0, records(2), FACTS)
    probe.add_images("val", records(2), lambda: ItemPictures([], None, None), 4)
    assert json.loads((tmp_path / "index.json").read_text())["images"]["val"] == first
    assert kept(tmp_path) == [1, 2]
