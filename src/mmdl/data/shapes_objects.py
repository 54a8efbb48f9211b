"""Single objects of the embedded shapes world as a classification set: drawn in memory, labelled by one attribute."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import numpy.typing as npt

from mmdl.data.image_split import ImageSplit
from mmdl.data.images import ImageDataModule, ImageDataOptions
from mmdl.data.shapes.draw import render
from mmdl.data.shapes.draws import Draws
from mmdl.data.shapes.scene import COLORS, PATTERNS, SHAPES, SIZES, Scene, SceneObject, sample_scene
from mmdl.data.shapes.split import GENERATOR_VERSION, SPLITS
from mmdl.errors import UserError, nearest

Attribute = Literal["shape", "colour", "size", "pattern"]

CLASSES = {"shape": SHAPES, "colour": COLORS, "size": SIZES, "pattern": PATTERNS}
"""Attribute -> names of its classes."""

MOST = 100_000
"""Pictures of a split: there are 576,288 different objects in all."""

_STREAM = 0x0B7EC7
"""Last part of the key of the random stream: scenes of several objects are drawn from other streams."""


class ShapesObjectsSource:
    """Pictures of one object each; no picture stands in two splits, and none is a scene of the captions or questions.

    Those have two to five objects, so that single ones are new to a model that was trained on them.

    Args:
        attribute: What the classes are: `shape` (3), `colour` (8), `size` (2) or `pattern` (3).
        train: Pictures for training.
        val: Pictures for validation.
        test: Pictures for the test.
        scene_size: Pixels of the square images.
        seed: Seed of the pictures.

    Raises:
        UserError: if there is no such attribute, or a number is out of range.
    """

    def __init__(
        self,
        attribute: Attribute = "shape",
        train: int = 4_000,
        val: int = 1_000,
        test: int = 2_000,
        scene_size: int = 64,
        seed: int = 0,
    ) -> None:
        if attribute not in CLASSES:
            raise UserError(
                f"data.attribute={attribute!r} is no attribute of the shapes",
                valid=nearest(str(attribute), CLASSES),
                fix="data.attribute=shape",
            )
        sizes = {"train": train, "val": val, "test": test}
        for name, count in sizes.items():
            if not 1 <= count <= MOST:
                raise UserError(f"data.objects_{name}={count}", valid=f"an integer from 1 to {MOST}")
        if not 32 <= scene_size <= 1024:
            raise UserError(f"data.scene_size={scene_size}", valid="an integer from 32 to 1024")
        self.attribute = attribute
        self.sizes = (train, val, test)
        self.scene_size = scene_size
        self.seed = seed

    def prepare(self) -> None:
        """Nothing: they are drawn in memory."""

    def split(self, name: str) -> ImageSplit | None:
        """`train`, `val` or `test`."""
        if name not in SPLITS:
            return None
        objects = _objects(self.sizes, self.seed)[name]
        word = "color" if self.attribute == "colour" else self.attribute
        classes = CLASSES[self.attribute]
        labels = [classes.index(getattr(scene.objects[0], word)) for scene in objects]
        return ImageSplit(
            [f"{name}/{row}" for row in range(len(objects))],
            np.array(labels, dtype=np.int64),
            classes,
            pixels=_drawn(name, self.sizes, self.seed, self.scene_size),
            content=f"shapes objects v{GENERATOR_VERSION} {self.sizes} {self.scene_size}px seed {self.seed}",
        )


@lru_cache(maxsize=2)
def _objects(sizes: tuple[int, int, int], seed: int) -> dict[str, tuple[Scene, ...]]:
    """Split -> scenes of one object; sets of different attributes share them."""
    taken: set[tuple[SceneObject, ...]] = set()
    found: dict[str, tuple[Scene, ...]] = {}
    # test first, so that neither val nor test depends on the number of training pictures
    for name, count in reversed(list(zip(SPLITS, sizes, strict=True))):
        draws = Draws(seed, SPLITS.index(name), _STREAM)
        scenes: list[Scene] = []
        while len(scenes) < count:
            scene = sample_scene(draws, 1, 1)
            # there eight of ten are solid; here each class of each attribute is equally likely
            item = replace(scene.objects[0], pattern=draws.choice(PATTERNS))
            scene = Scene((item,), scene.background)
            if scene.signature() not in taken:
                scenes.append(scene)
                taken.add(scene.signature())
        found[name] = tuple(scenes)
    return found


@lru_cache(maxsize=6)
def _drawn(name: str, sizes: tuple[int, int, int], seed: int, scene_size: int) -> npt.NDArray[np.uint8]:
    """`(N, 3, H, W)` pictures of a split, in memory."""
    pictures = np.empty((sizes[SPLITS.index(name)], 3, scene_size, scene_size), np.uint8)
    for row, scene in enumerate(_objects(sizes, seed)[name]):
        pictures[row] = render(scene, scene_size).transpose(2, 0, 1)
    return pictures


def shapes_objects(
    attribute: Attribute = "shape",
    objects_train: int = 4_000,
    objects_val: int = 1_000,
    objects_test: int = 2_000,
    scene_size: int = 64,
    data_seed: int = 0,
    **options: Unpack[ImageDataOptions],
) -> ImageDataModule:
    """The data module of single objects.

    Args:
        attribute: What the classes are: `shape`, `colour`, `size` or `pattern`.
        objects_train: Pictures for training.
        objects_val: Pictures for validation.
        objects_test: Pictures for the test.
        scene_size: Pixels of the square images.
        data_seed: Seed of the pictures.
        **options: As for `ImageDataModule`.
    """
    source = ShapesObjectsSource(attribute, objects_train, objects_val, objects_test, scene_size, data_seed)
    return ImageDataModule(source, **options)


def write_fixture(folder: Path) -> dict[str, str]:
    """Nothing on disk, the pictures are drawn in memory; fewer of them.

    Args:
        folder: Unused.

    Returns:
        Config keys that make the data set small.
    """
    return {"data.objects_train": "48", "data.objects_val": "16", "data.objects_test": "16"}
