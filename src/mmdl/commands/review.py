"""Compares runs: what is better, whether that is real, and what goes wrong.

usage: python -m mmdl review RUN... [--against NAME] [--output FILE.html] [--open] [--json] [--root FOLDER]
       python -m mmdl review --serve [--port N] [--open] [--root FOLDER]

RUN is an id, a run folder, `latest`, `latest:3`, a pattern such as 'vqa-*', the name of a sweep or of an experiment,
or a folder of runs. It prints scores with intervals, verdicts on the same test items, costs and the keys that
differ, and writes one HTML page with curves, predictions and the commands that reproduce each run; the page needs no
server and no network.

Runs that differ in their seed only are one entrant: mean and standard deviation. Runs that are still running, or were
killed, are shown with what they have logged. `--serve` shows all runs of the folder live, on this machine only.

flags:
  --against NAME     compare all with this run, or entrant; else with the one that is best on validation
  --output FILE.html where the page goes; else below the runs, in reviews/
  --open             open the page in the browser
  --json             print everything as JSON, and no table
  --serve            a live page over all runs; --port N for another port

examples:
  python -m mmdl review latest
  python -m mmdl review latest:2
  python -m mmdl review seed-0 seed-1 other --against other
  python -m mmdl review --serve
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mmdl.cli.paths import shown
from mmdl.errors import UserError, nearest

if TYPE_CHECKING:
    from mmdl.review.model import Review

FLAGS = ("--root", "--against", "--output", "--json", "--open", "--serve", "--port")
REVIEWS = "reviews"
"""Folder of the pages, beside the runs."""


class _Parser(argparse.ArgumentParser):
    """Argument errors as `UserError`."""

    def error(self, message: str) -> NoReturn:
        flag = next((word for word in message.split() if word.startswith("--")), "")
        raise UserError(
            f"review: {message}",
            valid=nearest(flag, FLAGS) if flag else "RUN... and " + ", ".join(FLAGS),
            fix="python -m mmdl review --help",
        )


def main(argv: list[str]) -> int:
    """Run the verb."""
    if "--help" in argv or "-h" in argv:
        from mmdl.__main__ import VERBS
        from mmdl.cli.help import verb_page

        print(verb_page("review", VERBS["review"]))
        return 0
    arguments = _parsed(argv)
    if arguments.serve:
        from mmdl.review.serve.app import serve

        serve(arguments.root, arguments.port, arguments.open)
        return 0
    from mmdl.review.choosing import choose_runs

    runs = choose_runs(arguments.runs, arguments.root)
    from mmdl.review.building import build_review

    review = build_review(runs, arguments.against)
    path = arguments.output or _default_output(arguments.root, [run.id for run in review.runs])
    if not arguments.json:
        _print(review)
    written = _write(review, path)
    if arguments.json:
        print(json.dumps(as_json(review) | {"page": str(written)}, indent=2))
    else:
        print(f"\npage      {shown(written)}")
    if arguments.open:
        import webbrowser

        webbrowser.open(written.resolve().as_uri())
    return 0


def _write(review: Review, path: Path) -> Path:
    from mmdl.review.page.render import write_page
    from mmdl.runs.files import WriteError

    try:
        return write_page(review, path)
    except (WriteError, OSError) as error:
        cause = error.__cause__ or error
        raise UserError(
            f"the page {path} could not be written: {getattr(cause, 'strerror', None) or cause}",
            valid="a folder that can be written to",
            fix="--output FILE.html",
        ) from error


def _parsed(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="mmdl review", add_help=False, allow_abbrev=False)
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--root", type=Path, default=Path("runs"))
    parser.add_argument("--against")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--port", type=int)
    found = parser.parse_args(argv)
    found.root = found.root.expanduser()
    if found.serve:
        given = [flag for flag in ("against", "output", "json") if getattr(found, flag)] + found.runs
        if given:
            raise UserError(
                f"review --serve together with {given[0]}",
                valid="--serve shows all runs of a folder: --root FOLDER, --port N, --open",
            )
    elif found.port is not None:
        raise UserError("review --port without --serve", fix="python -m mmdl review --serve --port ...")
    elif not found.runs:
        raise UserError(
            "review: no run is named",
            valid="an id, a run folder, latest, latest:3, a pattern, a sweep; or --serve for all runs",
            fix="python -m mmdl review latest",
        )
    if found.output is not None:
        found.output = _page_file(found.output.expanduser())
    return found


def _page_file(path: Path) -> Path:
    if path.is_dir():
        return path / "review.html"
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--output {path}", valid="a file that ends in .html, or a folder that exists")
    return path


def _default_output(root: Path, ids: Sequence[str]) -> Path:
    """`runs/reviews/<ids>.html`: the same runs have the same page, which a browser reloads."""
    names = [name.replace("/", "-") for name in ids]
    name = "-".join(names)
    if len(name) > 60 or len(ids) > 3:
        digest = hashlib.sha256("\n".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:6]
        name = f"{names[0][:40]}-and-{len(ids) - 1}-more-{digest}"
    return root / REVIEWS / f"{name}.html"


def _print(review: Review) -> None:
    from mmdl.review.console import lines

    for line in lines(review):
        print(line)
    commands = [(run.id, run.command) for run in review.runs if run.command]
    if commands:
        print("\nreproduce")
        for name, command in commands[:5]:
            print(f"  {name}: {command}")
        if len(commands) > 5:
            print(f"  and {len(commands) - 5:,} more; all are on the page", flush=True)


def as_json(review: Review) -> dict[str, Any]:
    """A review as plain containers: without configurations and manifests, which lie in the run folders."""
    runs = [
        {
            "id": run.id,
            "path": str(run.path),
            "state": run.state,
            "name": run.name,
            "seed": run.seed,
            "metric": run.metric,
            "summary": {name: figure._asdict() for name, figure in run.summary.items()},
            "command": run.command,
            "gaps": run.gaps,
        }
        for run in review.runs
    ]
    comparisons = [
        vars(found) | {"tests": [test._asdict() for test in found.tests]} for found in review.comparisons
    ]
    return {
        "made": review.made,
        "runs": runs,
        "entrants": [vars(one) for one in review.entrants],
        "comparisons": comparisons,
        "differences": [difference._asdict() for difference in review.differences],
        "notes": review.notes,
    }
