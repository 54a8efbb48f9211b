"""What the config groups offer: names and one line each, without loading a YAML."""

from __future__ import annotations

from pathlib import Path

from mmdl.cli.paths import caller_conf, packaged_conf


def describe(path: Path) -> str:
    """The one-line description of a config: its first comment line that is not a Hydra header.

    Args:
        path: A YAML file.

    Returns:
        The comment without `#`, or an empty string where the file does not start with one.
    """
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            text = line.strip()
            if text and not text.startswith("#"):
                return ""
            comment = text.lstrip("#").strip()
            if comment and not comment.startswith("@package"):
                return comment
    return ""


def files(group: str) -> dict[str, Path]:
    """The options of a config group and the file of each.

    Args:
        group: A group such as `data` or `model/image_tower`; empty for the primary configs.

    Returns:
        Name to file, sorted by name; a file of the caller's `conf/` hides a packaged one of its name.
    """
    found: dict[str, Path] = {}
    for root in (packaged_conf(), caller_conf()):
        if root is not None and (root / group).is_dir():
            found.update({path.stem: path for path in (root / group).glob("*.yaml")})
    return dict(sorted(found.items()))


def catalog(group: str) -> dict[str, str]:
    """The options of a config group and a line about each.

    Args:
        group: A group such as `data` or `experiment`.

    Returns:
        Name to description, sorted by name, from the packaged configs and the caller's.
    """
    return {name: describe(path) for name, path in files(group).items()}


def groups() -> list[str]:
    """All config groups that hold at least one option, sorted, such as `model/image_tower`."""
    found: set[str] = set()
    for root in (packaged_conf(), caller_conf()):
        if root is not None and root.is_dir():
            found.update(path.parent.relative_to(root).as_posix() for path in root.rglob("*.yaml"))
    return sorted(group for group in found - {"."} if group.split("/")[0] not in ("hydra", "common"))
