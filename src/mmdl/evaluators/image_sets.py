"""Classification data sets that an evaluator reads beside the run's own data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmdl.data.base import DataModule
from mmdl.data.image_dataset import ImageDataset
from mmdl.data.images import ImageDataModule
from mmdl.errors import UserError, nearest


class ImageSet:
    """An image-classification data set, brought to the size that the run's model sees, and read when it is needed.

    Args:
        name: Of its figures.
        data: The data set.
        where: Its config path, for messages.
        settings: What else its node says.
    """

    def __init__(self, name: str, data: ImageDataModule, where: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.data = data
        self.where = where
        self.settings = dict(settings)
        self._prepared = False

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; known after a split was read."""
        return self.data.classes

    def read(self, run_data: DataModule, split: str) -> ImageDataset | None:
        """A split, read once and kept; `val` where the set has no `test`.

        Args:
            run_data: The run's own data, which says the size of the images.
            split: `train`, `val` or `test`.

        Returns:
            Its images with labels; None where the set has no such split, or no labels.

        Raises:
            UserError: if the files are missing, or the set is told to give images of another size.
        """
        if not self._prepared:
            self._bring_to_size(getattr(run_data, "image_size", None))
            self.data.prepare_data()
            self._prepared = True
        for name in (split, *(["val"] if split == "test" else [])):
            self.data.setup(splits=[name])
            found = self.data.datasets.get(name)
            if found is not None:
                return found if found.labels is not None else None
        return None

    def _bring_to_size(self, size: int | None) -> None:
        view = self.data.view
        wanted = size or view.image_size
        for key, given, needed in (("image_size", view.image_size, wanted), ("channels", view.channels, 3)):
            if given not in (None, needed):
                raise UserError(
                    f"{self.where}.data.{key}={given}, and the run's model sees {needed}",
                    valid="null: as the model sees images",
                    fix=f"{self.where}.data.{key}=null",
                )
        self.data.view = view._replace(image_size=wanted, channels=3)


def image_sets(evaluator: str, sets: Mapping[str, Any], keys: Sequence[str] = ()) -> dict[str, ImageSet]:
    """The data sets of an evaluator's config.

    Args:
        evaluator: Name of the evaluator, for messages.
        sets: Name -> node with `data` (a data module) and settings; a node that is None or has no `data` is passed
            over: it is what an experiment sets of a part that the command line took away.
        keys: Settings that a node may have.

    Raises:
        UserError: if there is none, a key is unknown, or the data is of another kind.
    """
    where = f"evaluator.{evaluator}.sets"
    found: dict[str, ImageSet] = {}
    for name, node in sets.items():
        if node is None or (isinstance(node, Mapping) and node.get("data") is None):
            continue
        if not isinstance(node, Mapping):
            raise UserError(f"{where}.{name}={node!r}", valid="a node with the key data")
        for key in node:
            if key not in ("data", *keys):
                raise UserError(f"{where}.{name}.{key} is unknown", valid=nearest(str(key), ("data", *keys)))
        data = node["data"]
        if not isinstance(data, ImageDataModule):
            raise UserError(
                f"{where}.{name}.data is {type(data).__name__}",
                valid="data of image classification",
                fix=f"+data@{where}.{name}.data=digits",
            )
        settings = {key: value for key, value in node.items() if key != "data"}
        found[str(name)] = ImageSet(str(name), data, f"{where}.{name}", settings)
    if not found:
        raise UserError(
            f"{where} names no data set",
            valid="at least one image-classification data set under a name of your own",
            fix=f"+data@{where}.digits.data=digits",
        )
    return found


def read_before_training(sets: Iterable[ImageSet], run_data: DataModule, splits: Sequence[str]) -> None:
    """Read the splits, so that what is missing is said before the training and not after it.

    Raises:
        UserError: if a set has none of the splits.
    """
    for one in sets:
        found = [one.read(run_data, split) for split in splits]  # every one, so that none is missing later
        if all(dataset is None for dataset in found):
            raise UserError(
                f"{one.where}.data has no labelled images in {' or '.join(splits)}",
                valid="data with one of these splits",
            )
