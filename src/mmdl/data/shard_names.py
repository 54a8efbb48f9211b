"""From `train-{0000..0099}.tar`, a glob, or a list of them, to the names of the shards."""

from __future__ import annotations

import glob
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from mmdl.errors import UserError

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_CHOICE = re.compile(r"\{([^{}]*,[^{}]*)\}")


def is_remote(name: str) -> bool:
    """Whether a shard is fetched over HTTP.

    >>> is_remote("https://host/0.tar"), is_remote("/data/0.tar")
    (True, False)
    """
    return name.startswith(("http://", "https://"))


def braces(pattern: str) -> list[str]:
    """All names that a pattern with `{000..123}` and `{a,b}` stands for, as a shell has them.

    >>> braces("t-{08..10}.tar"), braces("{a,b}.tar")
    (['t-08.tar', 't-09.tar', 't-10.tar'], ['a.tar', 'b.tar'])
    """
    found = _RANGE.search(pattern)
    if found is not None:
        first, last, width = int(found[1]), int(found[2]), len(found[1])
        step = 1 if first <= last else -1
        parts = [str(number).zfill(width) for number in range(first, last + step, step)]
    else:
        found = _CHOICE.search(pattern)
        if found is None:
            return [pattern]
        parts = found[1].split(",")
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [name for part in parts for name in braces(before + part + after)]


def shard_paths(patterns: str | Sequence[str], key: str) -> list[str]:
    """Paths or addresses of all shards, in order.

    Args:
        patterns: One or several; `::` separates several in one text, as open_clip has it.
        key: Config key, for messages.

    Raises:
        UserError: A pattern matches nothing, a shard is named twice, or an address is of another kind.
    """
    given = patterns.split("::") if isinstance(patterns, str) else list(patterns)
    found: list[str] = []
    for pattern in given:
        if "://" in pattern and not is_remote(pattern):
            raise UserError(f"{key}={pattern}", valid="paths, http:// or https:// addresses")
        if pattern.startswith("pipe:"):
            raise UserError(
                f"{key}={pattern}: no command is run", valid="paths, http:// or https:// addresses"
            )
        for name in braces(pattern):
            found += [name] if is_remote(name) else _local(name, key)
    if not found:
        raise UserError(f"{key} names no shard", valid="such as 'data.shards=\"train-{0000..0099}.tar\"'")
    twice = {name for name in found if found.count(name) > 1} if len(set(found)) < len(found) else set()
    if twice:
        raise UserError(f"{key} names {min(twice)} twice", valid="each shard once")
    return found


def _local(name: str, key: str) -> list[str]:
    place = Path(name).expanduser()
    if place.is_dir():
        inside = sorted(str(path) for path in place.glob("*.tar"))
        if not inside:
            raise UserError(f"{key}: no .tar file in the folder {place}", valid="a folder of shards")
        return inside
    if glob.has_magic(str(place)) and not place.exists():
        matched = sorted(glob.glob(str(place)))  # noqa: PTH207 - the pattern may be absolute
        if not matched:
            raise UserError(f"{key}: nothing matches {place}", valid="a pattern of existing shards")
        return matched
    return [str(place)]


def short_names(paths: Sequence[str]) -> list[str]:
    """A different name for each shard: that of the file, or the path where files share a name.

    >>> short_names(["/d/a/0.tar", "/d/b/0.tar"]), short_names(["/d/0.tar", "http://host/1.tar?x=/y"])
    (['a_0.tar', 'b_0.tar'], ['0.tar', '1.tar'])
    """
    plain = [path.partition("?")[0] if is_remote(path) else path for path in paths]
    names = [posixpath.basename(path) for path in plain]
    if len(set(names)) == len(names):
        return names
    common = posixpath.commonpath(plain) if len({is_remote(path) for path in plain}) == 1 else ""
    longer = [path.removeprefix(common).strip("/").replace("/", "_") for path in plain]
    return longer if len(set(longer)) == len(longer) else [path.replace("/", "_") for path in paths]
