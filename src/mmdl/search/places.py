"""Where indexes lie: inside the folder of the run that encoded them, one for each folder of images."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mmdl.errors import UserError
from mmdl.runs.folder import RunFolder, find_run, run_ids
from mmdl.search.folder import FACTS, read_facts

FOLDER = "indexes"


def index_folder(run: RunFolder, images: Path) -> Path:
    """Where the index of a folder of images lies by default.

    Args:
        run: Encodes them.
        images: The folder; another one of the same name gets a name with a part of its hash.
    """
    from mmdl.inspection.subject import file_name

    absolute = images.resolve()
    plain = run.path / FOLDER / file_name(absolute.name)
    if not (plain / FACTS).is_file():
        return plain
    try:
        is_same = Path(str(read_facts(plain)["images"])).resolve() == absolute
    except UserError:  # damaged: it is made anew
        is_same = True
    mark = hashlib.sha256(str(absolute).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return plain if is_same else plain.with_name(f"{plain.name}-{mark}")


def known_indexes(root: Path, run: str | None = None) -> list[Path]:
    """Folders of the indexes inside run folders, the newest last.

    Args:
        root: Folder of all runs.
        run: Only those of this run.
    """
    runs = [find_run(root, run)] if run is not None else [RunFolder(root, one) for one in run_ids(root)]
    found = [path for one in runs for path in (one.path / FOLDER).glob(f"*/{FACTS}")]
    return [path.parent for path in sorted(found, key=lambda path: (path.stat().st_mtime, str(path)))]


def find_index(root: Path, given: str | None, run: str | None = None) -> Path:
    """The folder of an index.

    Args:
        root: Folder of all runs.
        given: A folder, or the name of one inside a run folder; None takes the newest.
        run: Only indexes of this run.

    Raises:
        UserError: if there is none.
    """
    if given is not None and (Path(given).expanduser() / FACTS).is_file():
        return Path(given).expanduser()
    known = known_indexes(root, run)
    if given is None and known:
        return known[-1]
    named = [path for path in known if path.name == given]
    if named:
        return named[-1]
    of_run = "" if run is None else f" of the run {run!r}"
    raise UserError(
        f"there is no index{of_run} in {root.resolve()}" if given is None else f"there is no index {given}",
        valid=", ".join(map(str, reversed(known[-5:]))) or "a folder that mmdl index wrote",
        fix="" if known else f"python -m mmdl index run={run or 'latest'} images=FOLDER",
    )
