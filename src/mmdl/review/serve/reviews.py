"""The review pages of served runs: made when they are asked for, and again when a folder has changed."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmdl.errors import UserError
from mmdl.review.serve.finding import INSIDE_RUNS

ROOM = 256 << 20
"""Bytes of pages that are kept."""

WITHOUT = frozenset({"checkpoints", "wandb", "stacks", *INSIDE_RUNS})
"""Folders of a run that no review reads."""

MOST_FILES = 20_000

State = tuple[tuple[str, int, int], ...]


class Reviews:
    """Pages by the runs that they compare.

    Args:
        root: Folder of all runs.
        make: From run folders to HTML.
        room: Bytes that all pages may take.
    """

    def __init__(self, root: Path, make: Callable[[Sequence[Path]], str], room: int = ROOM) -> None:
        self.root = root
        self.make = make
        self.room = room
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._pages: OrderedDict[tuple[Path, ...], tuple[State, bytes]] = OrderedDict()

    def page(self, folders: Sequence[Path]) -> bytes:
        """The review of some runs as UTF-8.

        Args:
            folders: Their folders.

        Raises:
            UserError: if a folder holds a link that leads out of the root.
        """
        for folder in folders:
            refuse_links(folder, self.root)
        key = tuple(folders)
        with self._making:  # one at a time: two would take twice as long, and twice the memory
            state = tuple(entry for folder in folders for entry in folder_state(folder))
            with self._lock:
                held = self._pages.get(key)
                if held is not None and held[0] == state:
                    self._pages.move_to_end(key)
                    return held[1]
            page = self.make(folders).encode(errors="replace")
            with self._lock:
                self._pages[key] = (state, page)
                self._pages.move_to_end(key)
                while len(self._pages) > 1 and sum(len(page) for _, page in self._pages.values()) > self.room:
                    self._pages.popitem(last=False)
        return page


def folder_state(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Path, time and size of the files that a review may read."""
    count = 0
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in WITHOUT)
        for name in sorted(files):
            path = Path(where, name)
            count += 1
            if count > MOST_FILES:
                return
            try:
                state = path.stat()
            except OSError:
                continue
            yield str(path), state.st_mtime_ns, state.st_size


def refuse_links(folder: Path, root: Path) -> None:
    """Nothing outside is shown, however a run folder came here.

    Args:
        folder: Of a run.
        root: Folder of all runs, without links.

    Raises:
        UserError: if it holds a link that leads out of the root.
    """
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in WITHOUT]
        for name in (*folders, *files):
            path = Path(where, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise UserError(
                    f"{path.relative_to(root)} is a link that leads out of {root}, and is not read",
                    valid="a run folder that holds its own files",
                    fix=f"python -m mmdl review {folder}",
                )


def made_page(folders: Sequence[Path]) -> str:
    """The page of a review, with the way back to the list."""
    from mmdl.review.building import build_review
    from mmdl.review.page.render import render

    head = '<header class="top"><div>'
    back = f'{head}<nav class="small" aria-label="Runs"><a href="/">&larr; All runs</a></nav>'
    return render(build_review(list(folders))).replace(head, back, 1)


def review_policy(page: bytes) -> str:
    """The page's own policy, which allows by their hashes the scripts that were put into it, and some more bounds.

    Args:
        page: As it is served; without a policy of its own no script runs.
    """
    own = re.search(rb'http-equiv="Content-Security-Policy" content="([^"]+)"', page.partition(b"<body")[0])
    held = (
        own[1].decode("ascii", errors="replace") if own else "default-src 'none'; style-src 'unsafe-inline'"
    )
    return f"{held}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
