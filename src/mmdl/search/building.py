"""Makes an index of a folder of images, or brings one up to date: what is new is encoded, what is gone is dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdl.data.bad_images import BadSamples, listed
from mmdl.errors import UserError
from mmdl.search.folder import FACTS, Index, only_writer, read_index
from mmdl.search.listing import Listing, list_images
from mmdl.search.settings import IDENTITY, Settings
from mmdl.search.writer import Encode, IndexWriter


class Update(NamedTuple):
    """What was done.

    Attributes:
        facts: The content of `index.json`.
        kept: Images that were in the index and are unchanged.
        added: New ones.
        changed: Those with another size or time.
        dropped: Those that are gone.
        bad: What was left out.
        anew: Why the earlier index could not be used; empty where it was, or where there was none.
        seconds: Of encoding.
    """

    facts: dict[str, Any]
    kept: int
    added: int
    changed: int
    dropped: int
    bad: list[BadSamples]
    anew: str
    seconds: float


def update_index(folder: Path, images: Path, settings: Settings, encode: Encode) -> Update:
    """Make an index, or bring it up to date.

    The files of the earlier one are replaced at once, when the new ones are whole. Where encoding takes long, or is
    interrupted, what there is by then is saved as an unfinished index; the next call goes on from it.

    Args:
        folder: Of the index; made if need be.
        images: Folder of the images.
        settings: What the index depends on.
        encode: Encodes files; called only where there is something new.

    Raises:
        UserError: if there is no image, bad ones are to stop it, or the folder can't be written.
    """
    listing = list_images(images, leave_out=folder)
    if listing.bad and not settings.skip_bad:
        raise _refused(listing.bad)
    with only_writer(folder):
        old, anew = _usable(folder, settings)
        settings = settings.resolved(old, len(listing.names))
        source, before = _unchanged(listing, old)
        todo = np.flatnonzero(source < 0)
        dropped = len(before - set(listing.names))
        if old is not None and not len(todo) and not dropped and _is_whole(old, images, settings):
            return Update(old.facts, len(old), 0, 0, 0, listing.bad, "", 0.0)
        writer = IndexWriter(folder, images, listing, old, source, settings)
        writer.encode(encode)
        if writer.bad and not settings.skip_bad:
            raise _refused(writer.bad)
        facts = writer.save(is_whole=True)
        encoded = [listing.names[row] for row in todo if writer.source[row] >= 0]
        changed = sum(name in before for name in encoded)
        added = len(encoded) - changed
        kept = len(listing.names) - len(todo)
        return Update(facts, kept, added, changed, dropped, writer.bad, anew, writer.seconds)


def _unchanged(listing: Listing, old: Index | None) -> tuple[npt.NDArray[np.int64], set[str]]:
    """For each listed image its row in the old index, or -1 where it is new or changed; and the old names."""
    source = np.full(len(listing.names), -1, np.int64)
    if old is None:
        return source, set()
    rows = {name: row for row, name in enumerate(old.names)}
    sizes, times = old.sizes.tolist(), old.times.tolist()
    for place, (name, size, changed) in enumerate(zip(*listing[:3], strict=True)):
        row = rows.get(name, -1)
        if row >= 0 and (sizes[row], times[row]) == (size, changed):
            source[place] = row
    return source, set(rows)


def _refused(bad: list[BadSamples]) -> UserError:
    errors = listed(bad)
    last = errors.errors[-1]
    last.fix = "mend or remove these, or on_bad_sample=skip, which leaves them out and counts them"
    return errors


def _usable(folder: Path, settings: Settings) -> tuple[Index | None, str]:
    """The index that is there, if it was made by the same; else why not."""
    if not (folder / FACTS).is_file():
        return None, ""
    try:
        old = read_index(folder)
    except UserError as error:
        return None, error.given
    made_by = old.facts["made_by"]
    differing = [key for key in IDENTITY if made_by.get(key) != settings.made_by[key]]
    if differing:
        return None, f"the earlier index has another {', '.join(differing)}"
    if old.embeddings.dtype == np.float16 and settings.dtype == "float32":
        return None, "the earlier index is in float16"
    return old, ""


def _is_whole(old: Index, images: Path, settings: Settings) -> bool:
    """Whether an index without new or missing images needs no other change."""
    facts = old.facts
    return bool(
        facts["is_whole"]
        and facts["backend"] == settings.backend
        and facts["dtype"] == settings.dtype
        and facts["images"] == str(images.absolute())
        and facts["made_by"] == settings.made_by
    )
