"""Where the configs lie: inside the package, and beside the caller."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
"""The folder of the `mmdl` package."""

PROGRAM = "python -m mmdl"
"""How the command is written in help and errors: it works wherever the package is installed."""


PACKAGED_CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent.parent / "conf"
"""The configs that mmdl ships: `<package>/conf` in a wheel, the repository's `conf/` in a checkout."""


def packaged_conf() -> Path:
    """The folder of the configs that mmdl ships."""
    return PACKAGED_CONF


def caller_conf() -> Path | None:
    """The `conf/` of the current directory, which is searched before the packaged one.

    Returns:
        Its absolute path, or None where there is none or where it is the packaged one.
    """
    folder = Path.cwd() / "conf"
    if not folder.is_dir():
        return None
    packaged = packaged_conf()
    return None if packaged.is_dir() and folder.samefile(packaged) else folder


def shown(path: Path) -> str:
    """The path as a person reads it: relative to the current directory where it lies below it."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)
