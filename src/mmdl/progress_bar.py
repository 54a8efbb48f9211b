"""The one progress bar of long work: a bar with an estimate on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

LINE_EVERY_S = 30.0
"""Seconds between two lines in a log file, and before the first one: what is quicker leaves no line."""


class ProgressBar(tqdm):
    """tqdm's bar, which vanishes when it is done; where stderr is no terminal, whole lines without control characters.

    Args:
        *args: As tqdm's.
        **kwargs: As tqdm's; `disable=None` is the same as False.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.disable: bool
        self.plain = not sys.stderr.isatty()
        kwargs["disable"] = bool(kwargs.get("disable"))
        kwargs.setdefault("leave", False)
        kwargs.setdefault("dynamic_ncols", True)
        if self.plain:
            kwargs |= {"mininterval": LINE_EVERY_S, "maxinterval": LINE_EVERY_S, "delay": LINE_EVERY_S}
            kwargs |= {"ncols": 0, "dynamic_ncols": False, "file": sys.stderr}
        super().__init__(*args, **kwargs)

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Draw the bar, or write its line."""
        if not self.plain:
            return bool(super().display(msg, pos))
        if msg != "":
            self.fp.write(f"{str(self).strip()}\n")
            self.fp.flush()
        return True

    def close(self) -> None:
        """Remove the bar; in a log file nothing is to be removed."""
        if not self.plain:
            super().close()
        elif not self.disable:
            self.disable = True
            self._decr_instances(self)
