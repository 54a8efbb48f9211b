"""Which columns of a hub's data set are the images and their classes or captions, and what the classes are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdl.errors import UserError, nearest

_CAPTION_NAMES = (
    "caption",
    "captions",
    "text",
    "texts",
    "sentence",
    "sentences",
    "raw",
    "description",
    "alt_text",
)
_LABEL_NAMES = ("label", "labels", "class", "category", "target", "y")


@dataclass(frozen=True)
class HubColumns:
    """Columns of a data set.

    Attributes:
        image: Column of the images.
        label: Column of the classes, or of the captions.
        classes: Their names; None where they are the values themselves.
    """

    image: str
    label: str
    classes: tuple[str, ...] | None


def find_columns(features: Any, image: str | None, label: str | None) -> HubColumns:
    """The columns: those that are given, else the only ones of their kind.

    Args:
        features: `datasets.Features` of the set.
        image: Column of the images.
        label: Column of the classes.

    Raises:
        UserError: a column is not there, there are several, or it holds something else.
    """
    import datasets

    labels = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    values = [
        name
        for name, feature in features.items()
        if isinstance(feature, datasets.Value)
        and feature.dtype in ("string", "large_string", "int64", "int32")
    ]
    image = _image_column(features, image)
    label = _choice(
        "label_column", label, labels or [n for n in values if n.lower() in _LABEL_NAMES], features
    )
    if label not in labels + values:
        raise UserError(
            f"data.label_column={label} holds {features[label]}",
            valid=f"one class an image: {', '.join(labels + values) or 'no such column is there'}",
        )
    return HubColumns(image, label, tuple(features[label].names) if label in labels else None)


def find_caption_columns(features: Any, image: str | None, caption: str | None) -> HubColumns:
    """The columns of images with captions: one text a row, or a list of them.

    Args:
        features: `datasets.Features` of the set.
        image: Column of the images.
        caption: Column of the captions.

    Raises:
        UserError: a column is not there, there are several, or it holds something else.
    """
    image = _image_column(features, image)
    texts = [name for name, feature in features.items() if _is_text(feature) or _is_text(_inside(feature))]
    named = [name for name in texts if name.lower() in _CAPTION_NAMES]
    caption = _choice("caption_column", caption, named or texts, features)
    if caption not in texts:
        raise UserError(
            f"data.caption_column={caption} holds {features[caption]}",
            valid=f"a text or a list of texts an image: {', '.join(texts) or 'no such column is there'}",
        )
    return HubColumns(image, caption, None)


def _is_text(feature: Any) -> bool:
    import datasets

    return isinstance(feature, datasets.Value) and feature.dtype in ("string", "large_string")


def _inside(feature: Any) -> Any:
    """What a list holds; None where it is no list."""
    import datasets

    if isinstance(feature, list):
        return feature[0] if feature else None
    return feature.feature if isinstance(feature, datasets.List | datasets.LargeList) else None


def _image_column(features: Any, given: str | None) -> str:
    import datasets

    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    return _choice("image_column", given, images or _encoded(features), features)


def _encoded(features: Any) -> list[str]:
    """Columns of bytes, and of bytes with a path, as files without `datasets`' own description have them."""
    import datasets

    return [
        name
        for name, feature in features.items()
        if (isinstance(feature, datasets.Value) and "binary" in feature.dtype)
        or (isinstance(feature, dict) and "bytes" in feature)
    ]


def _choice(key: str, given: str | None, found: Sequence[str], features: Any) -> str:
    if given is not None:
        if given not in features:
            raise UserError(f"data.{key}={given} is no column", valid=nearest(given, features))
        return given
    if len(found) == 1:
        return found[0]
    kind = key.removesuffix("_column")
    raise UserError(
        f"{len(found)} columns may be the {kind}: {', '.join(found)}"
        if found
        else f"no column is known as the {kind}",
        valid=", ".join(found or features),
        fix=f"data.{key}={(found or ['NAME'])[0]}",
    )


def class_names(values: Sequence[Any], columns: HubColumns) -> tuple[str, ...]:
    """Names of the classes: those that the set gives, else the values that occur in training, sorted.

    Args:
        values: The column of the training split.
        columns: The columns.
    """
    if columns.classes is not None:
        return columns.classes
    return tuple(str(value) for value in sorted({value for value in values if value is not None}))


def class_labels(values: Sequence[Any], columns: HubColumns, classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """`(N,)` class of each value; -1 where it has none, as in published test splits without references."""
    if columns.classes is not None:
        found = np.array([-1 if value is None else value for value in values], dtype=np.int64)
        return np.where((found >= 0) & (found < len(classes)), found, -1)
    order = {name: label for label, name in enumerate(classes)}
    return np.array([order.get(str(value), -1) for value in values], dtype=np.int64)
