"""Splits: rows, labels, fingerprints, and the stratified hold-out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmdl.data.bad_images import BadSamples
from mmdl.data.columns import Column
from mmdl.data.image_dataset import MappedPixels
from mmdl.data.image_files import PathFiles
from mmdl.data.image_split import ImageSplit, stratified_holdout

PIXELS = np.arange(6 * 3 * 2 * 2, dtype=np.uint8).reshape(6, 3, 2, 2)


def split(**changes: object) -> ImageSplit:
    given = {"ids": list("abcdef"), "labels": np.array([0, 0, 1, 1, 2, 2]), "classes": ("x", "y", "z")}
    return ImageSplit(**({"pixels": PIXELS} | given | changes))


@pytest.mark.parametrize(
    ("sizes", "count"),
    [((50, 50), 10), ((900, 90, 10), 100), ((3, 3, 3), 6), ((2, 2, 2), 1), ((1, 1, 8), 7), ((7, 5, 1), 10)],
)
def test_the_holdout_keeps_the_proportions(sizes: tuple[int, ...], count: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    train, held_out = stratified_holdout(labels, count, seed=1)
    assert sorted([*train, *held_out]) == list(range(sum(sizes)))
    assert len(held_out) == count
    assert np.all(np.diff(train) > 0)
    assert np.all(np.diff(held_out) > 0)
    given = np.bincount(labels[held_out], minlength=len(sizes))
    exact = count * np.array(sizes) / sum(sizes)
    assert np.all(given <= np.array(sizes) - 1)
    if np.all(np.ceil(exact) <= np.array(sizes) - 1):
        assert np.all(np.abs(given - exact) < 1)


def test_the_seed_chooses_the_rows_and_nothing_else() -> None:
    labels = np.arange(1000) % 10
    one, again, other = (stratified_holdout(labels, 100, seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(np.bincount(labels[one]), np.bincount(labels[other]))


def test_a_choice_without_keeping_may_leave_classes_out() -> None:
    labels = np.arange(100) % 50
    assert len(stratified_holdout(labels, 10, seed=0, keep=0)[1]) == 10
    assert len(stratified_holdout(labels, 100, seed=0, keep=0)[1]) == 100
    with pytest.raises(AssertionError):
        stratified_holdout(labels, 51, seed=0)


def test_the_official_mnist_holdout_is_fixed() -> None:
    """The rows that runs train on must not change with the program: a digest of those of one split seed."""
    import hashlib

    _, held_out = stratified_holdout(np.arange(60_000) % 10, 3000, seed=0)
    digest = hashlib.sha256(held_out.astype("<i8").tobytes()).hexdigest()
    assert digest == "96caca05d395ad65f28e9f1e63f8bec93c691f503e3647c940913b641489979b"


@pytest.mark.parametrize(
    "images",
    [
        {"pixels": PIXELS},
        {"pixels": None, "files": PathFiles("/r", ["a", "b", "c", "d", "e", "f"])},
        {"pixels": None, "decoded": MappedPixels(PIXELS), "content": "abc"},
    ],
)
def test_select(images: dict[str, object]) -> None:
    whole = split(**images, bad=[BadSamples("empty file", "x")], notes=("a note",))
    part = whole.select(np.array([4, 1])).select(np.array([1]))
    assert list(part.ids) == ["b"]
    assert part.labels.tolist() == [0]
    assert (part.classes, part.notes, part.bad, part.content) == (
        whole.classes,
        whole.notes,
        [],
        whole.content,
    )
    if part.pixels is not None:
        assert np.array_equal(part.pixels, PIXELS[[1]])
    if part.files is not None:
        assert part.files[0] == "/r/b"
    if part.decoded is not None:
        assert torch.equal(part.decoded[np.array([0])], torch.from_numpy(PIXELS[[1]]))


def test_ids_may_be_a_column() -> None:
    files = PathFiles("/r", ["a", "b", "c", "d", "e", "f"])
    part = split(pixels=None, files=files, ids=files.names).select(np.array([5, 0]))
    assert isinstance(part.ids, Column)
    assert list(part.ids) == ["f", "a"]


def test_relabelled() -> None:
    other = split(labels=np.array([0, 2, 1, -1, 2, 0])).relabelled(("z", "x", "y"))
    assert other.labels.tolist() == [1, 0, 2, -1, 0, 1]
    assert other.classes == ("z", "x", "y")


def test_the_fingerprint_changes_with_everything_that_counts() -> None:
    changed = PIXELS.copy()
    changed[3, 2, 1, 1] ^= 1
    variants = [
        split(),
        split(pixels=changed),
        split(ids=list("abcdeg")),
        split(labels=np.array([0, 0, 1, 1, 2, 1])),
        split(classes=("x", "y", "w")),
        split(content="one"),
        split(content="two"),
        split().select(np.array([0, 1, 2])),
    ]
    found = [variant.fingerprint() for variant in variants]
    assert len(set(found)) == len(found)
    assert split().fingerprint() == split(pixels=PIXELS.copy(), notes=("a note",)).fingerprint()
