"""Class names as parts of figures' names."""

from __future__ import annotations

import re
from collections.abc import Sequence


def class_keys(classes: Sequence[str]) -> list[str]:
    """One key a class, all different: letters, digits and `_ . + -`, other characters as `_`.

    The slash separates the parts of a figure's name, and TensorBoard and W&B change other characters by themselves.

    Args:
        classes: Names of the classes.

    >>> class_keys(["cat", "shiba inu / dog", "a b", "a_b", "?"])
    ['cat', 'shiba_inu_dog', 'a_b', 'a_b_2', 'class']
    """
    keys: list[str] = []
    taken: set[str] = set()
    for name in classes:
        base = re.sub(r"[^\w.+-]+", "_", name).strip("_") or "class"
        key, number = base, 2
        while key in taken:
            key, number = f"{base}_{number}", number + 1
        taken.add(key)
        keys.append(key)
    return keys
