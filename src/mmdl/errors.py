"""Errors that a user can act on: what was given, what is valid, what to run."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable, Sequence

EXIT_USER_ERROR = 2
"""Exit code of the process after a `UserError`."""


class UserError(Exception):
    """A mistake of the user's, reported in three parts and without a traceback.

    Args:
        given: What was given, and what is wrong with it.
        valid: What is valid instead; empty where nothing can be said.
        fix: What to run or to change; empty where the first two say it.

    >>> print(UserError("unknown model 'vqaa'", valid="vqa", fix="python -m mmdl ls model"))
    unknown model 'vqaa'
      valid: vqa
      try:   python -m mmdl ls model
    """

    def __init__(self, given: str, valid: str = "", fix: str = "") -> None:
        self.given = given
        self.valid = valid
        self.fix = fix
        super().__init__(given)

    def __str__(self) -> str:
        lines = [self.given]
        if self.valid:
            lines.append(f"  valid: {self.valid}")
        if self.fix:
            lines.append(f"  try:   {self.fix}")
        return "\n".join(lines)


class RunError(UserError):
    """What has gone wrong in a run without a mistake of the user's: another start may go well."""


class UserErrors(UserError):
    """Several `UserError`s at once, so that all can be mended in one go.

    >>> print(UserErrors([UserError("a is missing"), UserError("b is 3", valid="a string")]))
    2 errors
    1. a is missing
    2. b is 3
         valid: a string
    """

    def __init__(self, errors: Sequence[UserError]) -> None:
        self.errors = list(errors)
        super().__init__(f"{len(self.errors)} errors")

    def __str__(self) -> str:
        if len(self.errors) == 1:
            return str(self.errors[0])
        blocks = [f"{len(self.errors)} errors"]
        for number, error in enumerate(self.errors, start=1):
            blocks.append(f"{number}. " + str(error).replace("\n", "\n   "))
        return "\n".join(blocks)


class Preempted(BaseException):
    """A scheduler's signal has stopped the run, and nothing is lost.

    No `Exception`: like Ctrl-C it must pass through whatever handles errors.

    Args:
        cause: The signal.
        step: Optimizer step of the checkpoint; None where there was nothing to save.
        counts: False in a process whose launcher takes any exit code but 0 for a failure of the run.
    """

    def __init__(self, cause: signal.Signals, step: int | None = None, *, counts: bool = True) -> None:
        self.cause = cause
        self.step = step
        self.counts = counts
        self.advice = ""
        """How to go on; the command fills it in."""
        super().__init__(cause.name)

    @property
    def exit_code(self) -> int:
        """128 and the number of the signal, as a shell reports a process that a signal has ended.

        >>> Preempted(signal.SIGTERM).exit_code
        143
        """
        return 128 + int(self.cause) if self.counts else 0


def nearest(name: str, names: Iterable[str], most: int = 8) -> str:
    """The valid names as one line, those nearest to `name` first.

    Args:
        name: What was given.
        names: All valid names.
        most: How many to list; the rest is counted.

    Returns:
        A comma-separated line, or an empty string without names.

    >>> nearest("shapes_vqs", ["coco", "mnist", "shapes_vqa"])
    'shapes_vqa, mnist, coco'
    """
    ordered = sorted(
        set(names), key=lambda other: (-difflib.SequenceMatcher(None, name, other).ratio(), other)
    )
    line = ", ".join(ordered[:most])
    return line + (f" and {len(ordered) - most} more" if len(ordered) > most else "")
