"""What the verb table says about one verb."""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """One verb of the command line; its code is `mmdl/commands/<name>.py`.

    Args:
        summary: One line for the help page.
        config: Name of its primary config for a Hydra verb, whose module has
            `main(cfg: DictConfig) -> float | None`; None for a plain verb, whose module has
            `main(argv: list[str]) -> int | None`.
        whole: True where a config with missing or unresolvable values is refused before the verb starts;
            False where the verb reports them itself, together with all other errors.
    """

    summary: str
    config: str | None = None
    whole: bool = True
