"""Writes what was found: the page, its pictures as PNG files, and the figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdl.inspection.page.parts import Page
from mmdl.inspection.page.render import render
from mmdl.inspection.subject import file_name
from mmdl.runs.files import write_bytes, write_json, write_text

PAGE = "index.html"
FACTS = "inspection.json"


def write_inspection(folder: Path, page: Page, facts: Mapping[str, Any]) -> list[Path]:
    """Write the folder of one inspection; what an earlier one wrote there is replaced.

    Args:
        folder: Made if need be; other files in it stay.
        page: The page.
        facts: Plain values for `inspection.json`.

    Returns:
        The PNG files.

    Raises:
        UserError: if the folder can't be written.
    """
    text = render(page)
    files = {
        f"{count:02d}-{file_name(figure.name)}.png": figure.picture.light
        for count, figure in enumerate(page.figures(), start=1)
    }
    for name, content in files.items():
        write_bytes(folder / name, content)
    stale = _pictures_of(folder / FACTS) - files.keys()
    write_json(folder / FACTS, {**facts, "pictures": list(files)})
    write_text(folder / PAGE, text)
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    return [folder / name for name in files]


def _pictures_of(facts: Path) -> set[str]:
    """Names of the pictures that an earlier inspection wrote."""
    try:
        found = json.loads(facts.read_text(encoding="utf-8"))["pictures"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    names = {str(name) for name in found} if isinstance(found, list) else set()
    return {name for name in names if name.endswith(".png") and "/" not in name}
