"""The index of captioned images."""

from __future__ import annotations

import numpy as np
import pytest

from mmdl.data.caption_index import CaptionIndex
from mmdl.errors import UserError


def index(**options: object) -> CaptionIndex:
    captions = [["a", "b"], ["c"], ["d", "e", "f"], ["g"]]
    return CaptionIndex([3, 1, 4, 5], ["w", "x", "y", "/z"], captions, "/pictures", **options)  # type: ignore[arg-type]


def test_columns() -> None:
    found = index(skipped={"missing image": 2}, joined=1)
    assert found.image_paths == ["/pictures/w", "/pictures/x", "/pictures/y", "/z"]
    assert found.offsets.tolist() == [0, 2, 3, 6, 7]
    assert found.image_of.tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert len(found) == 4


def test_selection_keeps_captions_with_their_images() -> None:
    found = index(notes=["n"], joined=1).select(np.array([2, 0]))
    assert (found.image_ids, found.captions) == ([4, 3], ["d", "e", "f", "a", "b"])
    assert found.image_paths == ["/pictures/y", "/pictures/w"]
    assert found.files[0] == "/pictures/y"
    assert (found.notes, found.joined) == (["n"], 1)


def test_hold_out_is_a_partition_and_counts_once() -> None:
    parts = index(skipped={"x": 2}, joined=3).hold_out(1, seed=0)
    assert sorted(parts["train"].image_ids + parts["val"].image_ids) == [1, 3, 4, 5]
    assert len(parts["val"]) == 1
    assert parts["train"].image_ids == [i for i in (3, 1, 4, 5) if i in parts["train"].image_ids], "in order"
    assert (parts["train"].skipped, parts["val"].skipped) == ({"x": 2}, {})
    assert (parts["train"].joined, parts["val"].joined) == (3, 0)
    chosen = {index().hold_out(1, seed).pop("val").image_ids[0] for seed in range(30)}
    assert chosen == {1, 3, 4, 5}
    for count in (0, 4):
        with pytest.raises(UserError, match="too few"):
            index().hold_out(count, 0)


def test_the_fingerprint_is_of_ids_captions_and_their_order() -> None:
    same = CaptionIndex([3, 1, 4, 5], ["", "", "", ""], [["a", "b"], ["c"], ["d", "e", "f"], ["g"]])
    assert same.fingerprint == index().fingerprint
    moved = CaptionIndex([3, 1, 4, 5], ["", "", "", ""], [["a"], ["b", "c"], ["d", "e", "f"], ["g"]])
    other = CaptionIndex([3, 1, 4, 6], ["", "", "", ""], [["a", "b"], ["c"], ["d", "e", "f"], ["g"]])
    assert len({same.fingerprint, moved.fingerprint, other.fingerprint}) == 3


def test_limited() -> None:
    assert index().limited(2).image_ids == [3, 1]
    assert index().limited(None).image_ids == index().limited(9).image_ids == [3, 1, 4, 5]


def test_nothing_is_left() -> None:
    with pytest.raises(UserError, match="no captioned image is left"):
        CaptionIndex([], [], [])
