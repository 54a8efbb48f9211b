"""Reading all splits before saying what is wrong."""

from __future__ import annotations

import pytest

from mmdl.data.every_split import every_split
from mmdl.errors import UserError, UserErrors


def test_what_the_source_has() -> None:
    assert every_split({"train": 1, "val": None, "test": 3}.get, ["train", "val", "test"]) == {
        "train": 1,
        "test": 3,
    }


def test_the_errors_of_all_splits_each_once() -> None:
    def read(split: str) -> int:
        if split == "ok":
            return 1
        if split == "several":
            raise UserErrors([UserError("one"), UserError("two", fix="this")])
        raise UserError("one" if split in ("train", "val") else split)

    with pytest.raises(UserErrors) as caught:
        every_split(read, ["train", "ok", "val", "several", "test"])
    assert [error.given for error in caught.value.errors] == ["one", "two", "test"]
    assert caught.value.errors[1].fix == "this"


def test_other_errors_are_not_held_back() -> None:
    def read(split: str) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        every_split(read, ["train"])
