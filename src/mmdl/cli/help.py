"""The help pages: what can be run, from the verb table, the source and the configs, with no import."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping

import mmdl
from mmdl.cli.catalog import catalog, groups
from mmdl.cli.paths import PACKAGE, PROGRAM
from mmdl.cli.verb import Verb

SECTIONS = (
    ("experiments", "experiment", "train +experiment=NAME"),
    ("models", "model", "model=NAME"),
    ("data sets", "data", "data=NAME"),
)

FLAGS = (
    (
        "-m, --multirun",
        "run every combination of key=a,b (launchers and sweepers: hydra/launcher=joblib ...)",
    ),
    (
        "-c, --cfg job|hydra|all",
        "print the composed config and stop; with --resolve, and -p PACKAGE for a part",
    ),
    ("-i, --info searchpath|...", "print where configs come from and stop"),
    ("-cn, --config-name NAME", "another primary config"),
    ("-cd, --config-dir DIR", "one more folder of configs, searched last"),
    ("-sc install=bash", "set up tab completion"),
    ("--trust PACKAGE", "let configs name classes of this package (also MMDL_TRUST)"),
    ("--hydra-help", "Hydra's own help"),
)


def table(rows: Mapping[str, str], empty: str = "(none)") -> str:
    """Names and descriptions in two columns, indented by two."""
    if not rows:
        return f"  {empty}"
    width = max(len(name) for name in rows)
    return "\n".join(f"  {name:<{width}}  {text}".rstrip() for name, text in rows.items())


def overview(verbs: Mapping[str, Verb]) -> str:
    """The page of `python -m mmdl`: verbs, experiments, models and data sets, one line each.

    Args:
        verbs: The verb table.
    """
    parts = [
        f"{mmdl.__doc__}\n\nusage: {PROGRAM} VERB [key=value ...]      e.g. {PROGRAM} train +experiment=vqa",
        "verbs\n" + table({name: verb.summary for name, verb in verbs.items()}),
    ]
    parts += [f"{title}  ({usage})\n" + table(catalog(group)) for title, group, usage in SECTIONS]
    parts.append(
        f"{PROGRAM} VERB --help explains one verb; {PROGRAM} ls GROUP lists any group.\n"
        "A conf/ folder in the current directory is searched before mmdl's own."
    )
    return "\n\n".join(parts)


def _docstring(verb: str) -> str:
    path = PACKAGE / "commands" / f"{verb}.py"
    if not path.is_file():
        return ""
    return inspect.cleandoc(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


def verb_page(name: str, verb: Verb) -> str:
    """The page of `python -m mmdl VERB --help`.

    Args:
        name: The verb.
        verb: Its row of the verb table.
    """
    text = _docstring(name) or verb.summary
    usage = "[flags] [key=value ...] [+group=name ...]" if verb.config else "..."
    parts = [text] if "usage:" in text else [f"usage: {PROGRAM} {name} {usage}", text]
    if verb.config:
        choices = {group: ", ".join(catalog(group)) for group in groups()}
        parts.append("config groups  (group=name; +group=name where none is chosen yet)\n" + table(choices))
        parts.append("flags\n" + table(dict(FLAGS)))
    return "\n\n".join(parts)
