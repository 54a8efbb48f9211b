"""A folder of small pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from mmdl.runs.files import TEMPORARY, WriteError
from mmdl.runs.picture_folder import PictureFolder, encoded

Image8 = npt.NDArray[np.uint8]


def noise(size: int, seed: int = 0) -> Image8:
    """A picture that no file format makes smaller."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.uint8)


def photo(size: int) -> Image8:
    """A picture with smooth shades and grain."""
    ramp = np.linspace(0, 200, size)
    grain = np.random.default_rng(0).integers(0, 40, (size, size, 3))
    return (ramp[:, None, None] * 0.5 + ramp[None, :, None] * 0.5 + grain).astype(np.uint8)


def test_small_and_drawn_pictures_are_lossless_and_photographs_are_not() -> None:
    drawn = np.zeros((120, 160, 3), dtype=np.uint8)
    drawn[40:80, 40:80] = (255, 0, 0)
    assert encoded(drawn)[1] == ".png"
    assert encoded(noise(32))[1] == ".png"
    assert encoded(noise(28)[..., 0])[1] == ".png"
    content, suffix = encoded(photo(160))
    assert suffix == ".jpg"
    assert len(content) < 20_000


def test_equal_pictures_are_one_file_and_the_index_names_it(tmp_path: Path) -> None:
    target = PictureFolder(tmp_path, "test", 1e6)
    for key, seed in (("a", 0), ("b", 1), ("c", 0)):
        assert target.add(key, noise(8, seed))
    target.finish(left_out=5)
    index = json.loads((tmp_path / "index.json").read_text())
    images = index["images"]["test"]
    assert images["a"] == images["c"] != images["b"]
    assert images["a"]["width"] == 8
    assert index["left_out"] == {"test": 5}
    assert len(list((tmp_path / "test").iterdir())) == 2
    with Image.open(tmp_path / images["b"]["file"]) as image:
        assert np.array_equal(np.asarray(image), noise(8, 1))
    assert target.used == sum(path.stat().st_size for path in (tmp_path / "test").iterdir())


def test_the_cap_counts_what_other_names_hold_and_equal_pictures_once(tmp_path: Path) -> None:
    size = len(encoded(noise(8))[0])
    first = PictureFolder(tmp_path, "val", 2.5 * size)
    assert first.add("a", noise(8))
    first.finish()
    target = PictureFolder(tmp_path, "test", 2.5 * size)
    assert target.add("a", noise(8))
    assert target.add("again", noise(8))
    assert not target.add("b", noise(8, 1))
    target.finish()
    index = json.loads((tmp_path / "index.json").read_text())
    assert list(index["images"]["test"]) == ["a", "again"]
    assert list(index["images"]["val"]) == ["a"]


def test_writing_a_name_again_replaces_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for seed in (0, 1):
        target = PictureFolder(tmp_path, "test", 1e6)
        target.add("a", noise(8, seed))
        target.finish(left_out=seed)
    [path] = (tmp_path / "test").iterdir()
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["images"]["test"]["a"]["file"] == f"test/{path.name}"
    assert index["left_out"] == {"test": 1}
    assert not list(tmp_path.rglob(f"{TEMPORARY}*"))


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"images": 3}', '{"images": {"val": [1], "x": {"a": {"file": 1}}}, "left_out": 4}'],
)
def test_a_damaged_index_is_begun_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "index.json").write_text(content)
    target = PictureFolder(tmp_path, "test", 1e6)
    target.add("a", noise(8))
    target.finish(left_out=0)
    assert "a" in json.loads((tmp_path / "index.json").read_text())["images"]["test"]


def test_a_file_in_the_way_is_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "test").write_text("in the way")
    with pytest.raises(WriteError):
        PictureFolder(tmp_path, "test", 1e6).add("a", noise(8))
