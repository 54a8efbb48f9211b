"""Own images with own captions: the splits."""

from __future__ import annotations

from typing import Any

import pytest

from mmdl.data.image_text import CaptionTableSource, image_text, write_fixture
from mmdl.data.tokenizer.word import WordTokenizer
from mmdl.errors import UserError


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    keys = write_fixture(tmp_path_factory.mktemp("own"))
    return {key.removeprefix("data."): value for key, value in keys.items()}


def module(own: dict[str, str], **options: Any) -> Any:
    data = image_text(**{**own, **options}, tokenizer=WordTokenizer(), image_size=16)
    data.prepare_data()
    data.setup()
    return data


def test_validation_is_split_off_by_image(own: dict[str, str]) -> None:
    data = module(own, val_share=0.25)
    sizes = {split: len(index) for split, index in data.indexes.items()}
    assert sizes == {"train": 18, "val": 6, "test": 6}
    assert not set(data.indexes["train"].image_ids) & set(data.indexes["val"].image_ids)
    every = data.indexes["train"].captions + data.indexes["val"].captions
    assert "The first of the red ones." in every
    assert len(every) == 12 + 2 * 12 + 1
    assert "6 of the 24 images" in data.notes("val")[0]
    other = module(own, val_share=0.25, split_seed=3)
    assert other.indexes["val"].image_ids != data.indexes["val"].image_ids


def test_files_of_their_own(own: dict[str, str]) -> None:
    data = module(own, val=own["test"], test=None)
    assert {split: len(index) for split, index in data.indexes.items()} == {"train": 24, "val": 6}
    assert not data.has_split("test")
    with pytest.raises(UserError, match="no 'test' split"):
        data.dataset("test")


def test_only_a_test_file(own: dict[str, str]) -> None:
    source = CaptionTableSource(None, test=own["test"], image_root=own["image_root"])
    source.prepare()
    index = source.index("test")
    assert index is not None
    assert len(index) == 6
    assert source.index("train") is None


def test_wrong_settings(own: dict[str, str]) -> None:
    with pytest.raises(UserError, match="data=image_text has no file"):
        image_text(tokenizer=WordTokenizer())
    with pytest.raises(UserError, match=r"data.val=a.jsonl, data.test=b.csv"):
        module(own, val="a.jsonl", test="b.csv")
    with pytest.raises(UserError, match=r"data.val_share=1.5"):
        module(own, val_share=1.5)
    with pytest.raises(UserError, match="too few"):
        module(own, limit_images=1)
    assert len(module(own, limit_images=10).indexes["train"]) == 9
