"""How each run is run again: its command, and what it ran on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmdl.review.model import Review, RunView
from mmdl.review.page.marks import badge, swatch
from mmdl.review.page.section import Section, text

OPEN = 2
"""Runs that are unfolded at first."""
HASH_DIGITS = 16


def section(review: Review) -> Section:
    """A block for each run: the command with a button that copies it, code, versions, hardware, data."""
    blocks = "".join(_block(number, run) for number, run in enumerate(review.runs))
    html = f'<div class="run-list">{blocks}</div>' if blocks else '<p class="note">No run.</p>'
    return Section("reproduce", "Reproduce", html)


def _block(number: int, run: RunView) -> str:
    facts = "".join(f"<dt>{text(name)}</dt><dd>{value}</dd>" for name, value in _facts(run))
    return (
        f'<details class="run-block"{" open" if number < OPEN else ""}><summary>{swatch(run.id)} {text(run.id)} '
        f"{badge(run)}</summary>{_command(number, run)}"
        f'<dl class="facts">{facts}</dl></details>'
    )


def _command(number: int, run: RunView) -> str:
    if not run.command:
        return '<p class="note">The command is not known: manifest.json is missing, damaged, or older.</p>'
    return (
        f'<div class="command"><pre id="command-{number}">{text(run.command)}</pre>'
        f'<button type="button" data-copy="command-{number}" '
        f'aria-label="Copy the command of {text(run.id)}">Copy</button>'
        "</div>"
    )


def _facts(run: RunView) -> list[tuple[str, str]]:
    """Name and HTML of each fact that is known, and what is not."""
    manifest = run.manifest
    found = [
        ("Folder", f'<span class="mono">{text(run.path)}</span>'),
        ("Seed", "unknown" if run.seed is None else str(run.seed)),
        ("Started", text(manifest.get("started", "unknown"))),
        ("mmdl's code", _commit(manifest.get("mmdl_git"))),
        ("Your code", _commit(manifest.get("git"))),
    ]
    if isinstance(packages := manifest.get("packages"), Mapping):
        found.append(("Versions", text(", ".join(f"{name} {version}" for name, version in packages.items()))))
    if isinstance(hardware := manifest.get("hardware"), Mapping):
        found.append(("Hardware", text(_hardware(hardware))))
    if isinstance(data := manifest.get("data"), Mapping):
        found.append(("Data, SHA-256", _hashes(data)))
    if isinstance(marks := manifest.get("marks"), Mapping):
        said = [f"{name.replace('_', ' ')}: {_said(value)}" for name, value in marks.items() if value]
        if said:
            found.append(("Mind", text("; ".join(said))))
    return found


def _said(value: Any) -> str:
    """A value of the marks in words.

    >>> _said({"truncated": 2}), _said(["no test split"]), _said(True)
    ('truncated 2', 'no test split', 'yes')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return "yes" if value is True else str(value)


def _commit(git: Any) -> str:
    commit = git.get("commit") if isinstance(git, Mapping) else None
    if not commit:
        return '<span class="muted">no commit known: not in a git repository</span>'
    dirty = git.get("dirty")
    flag = (
        ' <span class="badge warn">with changes that were not committed</span>'
        if dirty
        else ""
        if dirty is None
        else ' <span class="badge ok">clean</span>'
    )
    return f'<span class="mono">{text(commit)}</span>{flag}'


def _hardware(hardware: Mapping[str, Any]) -> str:
    gpus = hardware.get("gpus")
    parts = [f"{hardware['cpu']}"] if hardware.get("cpu") else []
    if hardware.get("cores"):
        parts.append(f"{hardware['cores']} cores")
    parts.append(f"GPUs: {', '.join(map(str, gpus))}" if isinstance(gpus, list) and gpus else "no GPU")
    parts += [str(hardware[key]) for key in ("system", "machine") if hardware.get(key)]
    return ", ".join(parts)


def _hashes(data: Mapping[str, Any]) -> str:
    return "<br>".join(
        f'{text(name)} <span class="mono" title="{text(value)}">{text(str(value)[:HASH_DIGITS])}…</span>'
        for name, value in data.items()
    )
