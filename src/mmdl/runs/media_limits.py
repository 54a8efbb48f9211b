"""How many and how large the images of test items are that a run keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mmdl.errors import UserError, nearest


class MediaLimits(NamedTuple):
    """The `media` of a configuration; `conf/train.yaml` has the same defaults, for runs that were begun without it.

    Attributes:
        items: Images of a fixed part of the split, the same ones in every run; 0: none.
        mistakes: Images of the run's own most confident mistakes besides.
        pixels: Longer side at most.
        megabytes: All of a run's images together.
    """

    items: int = 256
    mistakes: int = 64
    pixels: int = 160
    megabytes: float = 8.0

    @classmethod
    def of(cls, given: Any) -> MediaLimits:
        """The limits of a configuration; None: the defaults.

        Raises:
            UserError: if a key or a value is none of theirs.
        """
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise UserError(f"media={given}", valid=f"a mapping with {', '.join(cls._fields)}")
        for key, value in given.items():
            if key not in cls._fields:
                raise UserError(f"media.{key}={value}", valid=nearest(str(key), cls._fields))
            number = isinstance(value, int if key != "megabytes" else int | float)
            if isinstance(value, bool) or not number or value < (1 if key == "pixels" else 0):
                kind = "a number" if key == "megabytes" else "an integer"
                raise UserError(f"media.{key}={value}", valid=f"{kind} of at least {int(key == 'pixels')}")
        return cls(**{str(key): value for key, value in given.items()})


def media_errors(given: Any) -> list[UserError]:
    """The error of a configuration's `media`, if it has one."""
    try:
        MediaLimits.of(given)
    except UserError as error:
        return [error]
    return []
