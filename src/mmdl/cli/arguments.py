"""The command line before Hydra sees it: `--trust` taken out, flags and overrides told apart."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import NoReturn

from mmdl.cli.source import is_public_name
from mmdl.errors import UserError, nearest

TRUST_VARIABLE = "MMDL_TRUST"


def take_trust(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Takes every `--trust NAME` and `--trust=NAME` out of a command line.

    Args:
        words: The words after the verb.

    Returns:
        The other words in their order, and the trusted names.

    Raises:
        UserError: If a name is missing or is no package name.

    >>> take_trust(["a=1", "--trust", "mylab", "--trust=other", "b=2"])
    (['a=1', 'b=2'], ['mylab', 'other'])
    """
    rest: list[str] = []
    names: list[str] = []
    pending = iter(words)
    for word in pending:
        if word == "--trust":
            names.append(next(pending, ""))
        elif word.startswith("--trust="):
            names.append(word.removeprefix("--trust="))
        else:
            rest.append(word)
    for name in names:
        if not is_public_name(name):
            raise UserError(
                f"--trust {name}: not a package name", valid="--trust PACKAGE, repeated for several"
            )
    return rest, names


OWN_FLAGS = {
    "submit": {"--dry-run": "dry_run=true"},
    "sweep": {"--dry-run": "dry_run=true", "--jobs": "sweep.jobs=", "-m": "", "--multirun": ""},
}
"""Verb -> flags of its own, and the override that says the same; one that ends in `=` takes a value."""


def flags_as_overrides(verb: str, words: Sequence[str]) -> list[str]:
    """A command line with the verb's own flags as overrides.

    >>> flags_as_overrides("submit", ["+experiment=vqa", "--dry-run"])
    ['+experiment=vqa', 'dry_run=true']
    >>> flags_as_overrides("sweep", ["--jobs", "2", "seed=0,1", "-m"]), flags_as_overrides("search", [""])
    (['sweep.jobs=2', 'seed=0,1'], [''])
    """
    own = OWN_FLAGS.get(verb, {})
    found: list[str] = []
    pending = iter(words)
    for word in pending:
        flag, sign, value = word.partition("=")
        override = own.get(flag, word)
        if override.endswith("=") and flag in own:
            override += value if sign else next(pending, "")
        found += [override] if override or not word else []  # an empty word is the user's
    return found


def export_trust(names: Sequence[str]) -> None:
    """Adds trusted packages to `MMDL_TRUST`, so that the processes which this one starts inherit them."""
    before = [name for name in os.environ.get(TRUST_VARIABLE, "").split(",") if name]
    merged = list(dict.fromkeys([*before, *names]))
    if merged:
        os.environ[TRUST_VARIABLE] = ",".join(merged)


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are `UserError`s."""

    def error(self, message: str) -> NoReturn:
        flags = [flag for action in self._actions for flag in action.option_strings if flag.startswith("--")]
        unknown = (
            message.removeprefix("unrecognized arguments: ").split()[0] if "unrecognized" in message else ""
        )
        raise UserError(
            message,
            valid=nearest(unknown, [*flags, "--trust"]) if unknown else "",
            fix="python -m mmdl --help",
        )


def parse_hydra(words: Sequence[str]) -> argparse.Namespace:
    """Parses what follows a Hydra verb with Hydra's own flags.

    Flags and overrides may be mixed in any order: Lightning appends overrides behind the user's flags when
    it starts a further rank, which argparse's plain `parse_args` refuses.

    Args:
        words: The words after the verb, without `--trust`.

    Raises:
        UserError: If a flag is unknown or its value is wrong.
    """
    from hydra._internal.utils import get_args_parser

    parser = _Parser(parents=[get_args_parser()], add_help=False, prog="python -m mmdl")
    found = parser.parse_intermixed_args(list(words))
    commands = (found.run, found.cfg, found.multirun, found.shell_completion, found.info)
    if sum(bool(command) for command in commands) > 1:
        raise UserError("only one of --run, --multirun, --cfg, --info and --shell-completion at a time")
    if found.resolve and not found.cfg:
        raise UserError("--resolve goes with --cfg", fix="--cfg job --resolve")
    if found.experimental_rerun is not None:
        raise UserError(
            "--experimental-rerun would unpickle a file",
            fix="python -m mmdl train resume=RUN_ID to go on with a run",
        )
    if found.config_dir is not None and not os.path.isdir(found.config_dir):  # noqa: PTH112
        raise UserError(
            f"--config-dir {found.config_dir}: no such folder", valid="a folder with config groups"
        )
    return found
