"""The bundled digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mmdl.data.digits import digits


def test_splits_and_pixels() -> None:
    data = digits()
    data.prepare_data()
    data.setup()
    splits = data.splits()
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 1294, "val": 144, "test": 359}
    assert len(frozenset.union(*splits.values())) == 1797
    original = load_digits()
    for name in splits:
        found = data.dataset(name).split
        rows = np.array([int(id_.split("/")[1]) for id_ in found.ids])
        assert np.array_equal(found.labels, original.target[rows])
        assert np.array_equal(found.pixels[:, 0], np.round(original.images[rows] * 255 / 16).astype(np.uint8))
    assert data.dataset("train").split.pixels.max() == 255
    assert np.ptp(np.bincount(data.dataset("test").split.labels)) <= 2
    assert data.facts()["channels"] == 1


def test_the_test_images_are_always_the_same() -> None:
    found = []
    for options in ({}, {"split_seed": 3}, {"seed": 5}, {"val_share": 0.3}):
        data = digits(**options)
        data.setup()
        found.append(data.splits()["test"])
    assert all(ids == found[0] for ids in found)
    data = digits(test_share=0.5)
    data.setup()
    assert len(data.splits()["test"]) == pytest.approx(898, abs=1)
