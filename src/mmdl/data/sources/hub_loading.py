"""Opens data sets of the Hugging Face hub, and local files in its formats, through the library `datasets`."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmdl.data.bad_images import some
from mmdl.data.cache import file_stat
from mmdl.errors import UserError, nearest

DataFiles = str | Sequence[str] | Mapping[str, str | Sequence[str]]
"""Files, or split -> files."""

SPLITS = {
    "train": ("train", "training"),
    "val": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval"),
}
"""Split -> names under which the hub's sets have it, best first."""

OFFLINE = "offline: data.path=parquet data.data_files=FILE, data=imagefolder data.root=FOLDER, or data=digits"
"""What works without a network."""


@dataclass(frozen=True)
class HubPlace:
    """What is opened; all as for `datasets.load_dataset`.

    Attributes:
        path: Name of a set on the hub, a local folder, or a format such as `parquet` or `imagefolder`.
        name: Its configuration.
        revision: Branch, tag or commit.
        data_dir: Folder of the files.
        data_files: Files, or split -> files.
    """

    path: str
    name: str | None = None
    revision: str | None = None
    data_dir: str | None = None
    data_files: DataFiles | None = None

    def identity(self) -> dict[str, Any]:
        """What a copy of it depends on: the arguments, and size and time of local files."""
        return asdict(self) | {"local": [file_stat(path) for path in sorted(self._local_files())]}

    def _local_files(self) -> Iterator[str]:
        files = self.data_files or ()
        patterns = (
            [files]
            if isinstance(files, str)
            else list(files.values() if isinstance(files, Mapping) else files)
        )
        for pattern in patterns:
            for one in [pattern] if isinstance(pattern, str) else pattern:
                if "://" not in one:
                    yield from glob.glob(os.path.join(self.data_dir or "", one), recursive=True)  # noqa: PTH118, PTH207
        for folder in (self.path, self.data_dir):
            if not files and folder and Path(folder).is_dir():
                yield from (str(path) for path in Path(folder).rglob("*") if path.is_file())


def open_hub(place: HubPlace, streaming: bool) -> dict[str, Any]:
    """Split -> data set, under the names of the hub.

    Args:
        place: What is opened; code that comes with a set is never run.
        streaming: Read over the network while iterating; otherwise the files are downloaded and kept.

    Returns:
        `datasets.Dataset`, or `datasets.IterableDataset` where it is streamed.

    Raises:
        UserError: there is no such set, it can't be reached, or it is no data.
    """
    if place.path == "pandas":
        raise UserError(
            "data.path=pandas reads pickles, which run what they name", valid="parquet, csv, json, arrow"
        )
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    what = f"data.path={place.path}" + (f" data.name={place.name}" if place.name else "")
    try:
        found: dict[str, Any] = datasets.load_dataset(
            place.path,
            place.name,
            data_dir=place.data_dir,
            data_files=place.data_files,
            revision=place.revision,
            streaming=streaming,
        )
    except datasets.exceptions.DatasetNotFoundError as error:
        raise UserError(
            f"{what}: {error}", valid="a public set of the hub, OWNER/NAME; for others: hf auth login"
        ) from None
    except (FileNotFoundError, datasets.exceptions.DatasetGenerationError) as error:
        raise UserError(
            f"{what}: {_first_line(error)}", fix="check data.path, data.data_dir and data.data_files"
        ) from None
    except (ConnectionError, HfHubHTTPError) as error:
        raise UserError(
            f"{what} can't be reached: {_first_line(error)}", valid=OFFLINE, fix="run it again with a network"
        ) from None
    except (ValueError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # a full disk: the command line says so, and no key of the data is at fault
        raise UserError(
            f"{what}: {_first_line(error)}", fix="check data.path, data.name and data.data_files"
        ) from None
    return dict(found)


def mapped_splits(present: Sequence[str], given: Mapping[str, str | None] | None) -> dict[str, str]:
    """Split (`train`, `val`, `test`) -> its name in the set.

    Args:
        present: Names in the set.
        given: What the user chose; None finds them by their usual names. A null takes a split away.

    Raises:
        UserError: there is no training split, or a name is not one of the set's.
    """
    if given is None:
        found = {
            split: next((name for name in names if name in present), None) for split, names in SPLITS.items()
        }
        if found["train"] is None and len(present) == 1:
            found["train"] = present[0]
            found = {split: name if split == "train" else None for split, name in found.items()}
    else:
        found = dict(given)
        wrong = [key for key in found if key not in SPLITS]
        if wrong:
            raise UserError(f"data.splits has {some(wrong)}", valid=", ".join(SPLITS))
        absent = [name for name in found.values() if name is not None and name not in present]
        if absent:
            raise UserError(f"the set has no split {absent[0]!r}", valid=nearest(absent[0], present))
    if found.get("train") is None:
        raise UserError(
            f"the set has no split 'train', but {some(list(present))}",
            valid="a training split",
            fix=f"data.splits={{train: {present[0] if present else 'NAME'}}}",
        )
    return {split: name for split, name in found.items() if name is not None}


def _first_line(error: BaseException) -> str:
    """What an error says first; of a chain, what its cause says."""
    cause = error.__cause__ if error.__cause__ is not None else error
    lines = str(cause).strip().splitlines() or str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
