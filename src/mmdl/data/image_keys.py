"""Short names of image files that tell the images of a split apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def image_keys(paths: Sequence[str]) -> list[str]:
    """The base name of each path; where several paths share it, as much of the path as tells them apart.

    They don't change with the folder in which the data lies, as long as they differ below it. Equal paths are one image
    and share a key.

    Args:
        paths: With `/` between the parts.

    >>> image_keys(["/data/a/1.png", "/data/b/1.png", "/data/b/2.png", "/data/b/2.png"])
    ['a/1.png', 'b/1.png', '2.png', '2.png']
    """
    parts = {path: path.split("/") for path in dict.fromkeys(paths)}
    keys = {path: own[-1] for path, own in parts.items()}
    length = 1
    while True:
        counts = Counter(keys.values())
        shared = [path for path, key in keys.items() if counts[key] > 1 and len(parts[path]) >= length]
        if not shared:
            return [keys[path] for path in paths]
        length += 1
        for path in shared:
            keys[path] = "/".join(parts[path][-length:])
