"""The embedded shapes as captioned images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmdl.data.shapes_captions import shapes_captions, write_fixture
from mmdl.data.tokenizer.word import WordTokenizer


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_fixture(tmp_path_factory.mktemp("shapes"))["data.root"])


def test_five_captions_a_scene_as_in_the_file(root: Path) -> None:
    data = shapes_captions(str(root), tokenizer=WordTokenizer(max_length=32), image_size=32)
    data.prepare_data()
    data.setup()
    assert {split: len(index) for split, index in data.indexes.items()} == {"train": 24, "val": 6, "test": 6}
    for split, index in data.indexes.items():
        document = json.loads((root / "annotations" / f"captions_{split}.json").read_text())
        assert index.image_ids == [entry["id"] for entry in document["images"]]
        assert set(map(int, index.offsets[1:] - index.offsets[:-1])) == {5}
        told: dict[int, list[str]] = {}
        for entry in document["annotations"]:
            told.setdefault(entry["image_id"], []).append(entry["caption"])
        assert index.captions == [text for image in index.image_ids for text in told[int(image)]]
        assert all(Path(path).is_file() for path in index.image_paths)
    assert data.skipped == {}
    assert data.notes("test") == []
    assert data.cautions() == []


def test_the_fingerprint_knows_the_captions(root: Path) -> None:
    def prints(seed: int) -> dict[str, str]:
        data = shapes_captions(str(root), tokenizer=WordTokenizer(), image_size=32, seed=seed)
        data.setup()
        return data.fingerprints()

    assert prints(0) == prints(1)
    assert len(set(prints(0).values())) == 4
