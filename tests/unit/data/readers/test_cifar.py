"""The two forms of CIFAR's files give the same images."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mmdl.data.readers.cifar import binary_batch, pickled_batch, pickled_names, text_names

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
COARSE, FINE = np.array([1, 0, 1, 2, 0]), np.array([7, 3, 9, 11, 3])


def pickled(**changes: object) -> bytes:
    batch = {"data": IMAGES.reshape(5, -1), "fine_labels": FINE.tolist(), "coarse_labels": COARSE.tolist()}
    return pickle.dumps({k.encode(): v for k, v in (batch | changes).items()}, protocol=2)


def test_both_forms_agree() -> None:
    rows = np.concatenate([COARSE[:, None], FINE[:, None], IMAGES.reshape(5, -1)], axis=1).astype(np.uint8)
    for key, column, wanted in (("coarse_labels", 0, COARSE), ("fine_labels", 1, FINE)):
        for images, labels in (
            pickled_batch(pickled(), key),
            binary_batch(rows.tobytes(), 2, column),
        ):
            assert np.array_equal(images, IMAGES)
            assert labels.dtype == np.int64
            assert np.array_equal(labels, wanted)


def test_the_planes_are_red_green_and_blue() -> None:
    row = bytes([4]) + b"\x01" * 1024 + b"\x02" * 1024 + b"\x03" * 1024
    images, labels = binary_batch(row, 1, 0)
    assert labels.tolist() == [4]
    assert [set(plane.ravel().tolist()) for plane in images[0]] == [{1}, {2}, {3}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": IMAGES.reshape(10, -1)}, r"'data' is of shape \(10, 1536\), expected rows of 3072"),
        ({"data": [1]}, "'data' is a list"),
        ({"data": None}, "'data' is missing"),
        ({"fine_labels": [1, 2]}, "5 images and 2 labels"),
        ({"fine_labels": ["a"] * 5}, "expected a list of numbers"),
    ],
)
def test_a_wrong_pickle(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pickled_batch(pickled(**changes), "fine_labels")


@pytest.mark.parametrize("size", [0, 3072, 3074, 2 * 3073 - 1])
def test_a_wrong_binary_file(size: int) -> None:
    with pytest.raises(ValueError, match="no whole number of rows"):
        binary_batch(bytes(size), 1, 0)


def test_names() -> None:
    content = pickle.dumps({b"label_names": [b"cat", "dog"]}, protocol=2)
    assert pickled_names(content, "label_names") == text_names(b"cat\ndog\n\n") == ("cat", "dog")
    with pytest.raises(ValueError, match="'fine_label_names' is missing"):
        pickled_names(content, "fine_label_names")
