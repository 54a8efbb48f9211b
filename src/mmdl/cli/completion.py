"""Tab completion by Hydra's plug-ins, with the verb as the first word."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from mmdl.cli.arguments import take_trust
from mmdl.cli.verb import Verb
from mmdl.errors import UserError


def is_completion(words: Sequence[str]) -> bool:
    """Whether the shell asks, or the user installs: `-sc query=bash`, `-sc install=bash`."""
    return "-sc" in words or "--shell-completion" in words


def split_line(line: str) -> tuple[str, str | None]:
    """Splits the line that is typed into its verb and what Hydra completes.

    Args:
        line: The line up to the cursor, program first.

    Returns:
        The first word after the program as far as it is typed, and the line without it for Hydra; None
        while that first word is still being typed.

    >>> split_line("mmdl tr")
    ('tr', None)
    >>> split_line("mmdl train +exp")
    ('train', 'mmdl +exp')
    >>> split_line("mmdl train ")
    ('train', 'mmdl ')
    """
    program, _, rest = line.lstrip().partition(" ")
    verb, space, rest = rest.lstrip().partition(" ")
    if not space:
        return verb, None
    words, _ = take_trust(rest.split())
    ending = " " if rest.endswith(" ") and words else ""
    return verb, f"{program} {' '.join(words)}{ending}"


def complete(words: Sequence[str], verbs: Mapping[str, Verb]) -> None:
    """Answers the shell's query, or prints the script that sets completion up.

    Args:
        words: The words after the program; a verb in front of `-sc` makes no difference.
        verbs: The verb table.
    """
    command = next((word for word in words if word.split("=")[0] in ("install", "uninstall", "query")), "")
    if command.startswith("query="):
        verb, line = split_line(os.environ.get("COMP_LINE", ""))
        if line is None:
            print("\n".join(name for name in verbs if name.startswith(verb)))
            return
        config = verbs[verb].config if verb in verbs else None
        if config is None:
            return
        os.environ["COMP_LINE"] = line
        _hydra(verb, config, command)
        return
    if not command:
        raise UserError(
            "-sc needs a command", valid="install=bash, install=fish, uninstall=bash, uninstall=fish"
        )
    # The script is made for the console script: the shells know no completion for `python -m`.
    sys.argv = ["mmdl", *sys.argv[1:]]
    _hydra("train", "train", command)


def _hydra(verb: str, config_name: str, command: str) -> None:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from mmdl.cli.app import hydra_for

    is_query = command.startswith("query=")
    with hydra_for(verb) as hydra:
        try:
            hydra.shell_completion(config_name, [command])
        except (HydraException, OmegaConfBaseException, UserError, SystemExit):
            if not is_query:  # while a line is being typed, most of it is not valid yet
                raise
        except ValueError as error:
            if not is_query:
                raise UserError(" ".join(str(error).split())) from error
