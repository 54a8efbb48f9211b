"""The run that made an index, for the encoding of queries."""

from __future__ import annotations

from pathlib import Path

from mmdl.errors import UserError
from mmdl.runs.folder import RunFolder
from mmdl.search.encoder import Encoder, load_encoder
from mmdl.search.folder import Index, again


def encoder_of(index: Index, root: Path) -> Encoder:
    """The encoder with the very weights that made an index, on the CPU: queries are few.

    Args:
        index: The index.
        root: Folder of all runs, where its run is looked for if it is no longer where it was.

    Raises:
        UserError: if the run or its weights are gone, or the weights are other ones.
    """
    from mmdl.runs.checkpoint_files import recorded_identity
    from mmdl.runs.loading import load_run

    made_by = index.facts["made_by"]
    run = _run(index, root)
    weights = _weights(index, run)
    digest = recorded_identity(weights)
    if digest and digest != made_by["weights"]:
        raise UserError(
            f"the index {index.folder} was made with other weights than those in {weights} now",
            valid="an index and a query of the same weights",
            fix=again(index.folder, index.facts),
        )
    return load_encoder(load_run(root, str(run.path), str(weights)), "cpu")


def _run(index: Index, root: Path) -> RunFolder:
    """The run's folder: where it was, where the index lies, or below `root`."""
    made_by = index.facts["made_by"]
    places = [index.folder.absolute().parent.parent, Path(made_by["run_path"]), root / made_by["run"]]
    for place in places:
        run = RunFolder(place.parent, place.name)
        if run.exists and place.name == made_by["run"]:
            return run
    raise UserError(
        f"the run {made_by['run']!r}, which made the index {index.folder}, is gone from {made_by['run_path']}",
        valid="an index whose run is there: it encodes the query",
        fix="root=FOLDER if the runs have moved, or make an index with another run",
    )


def _weights(index: Index, run: RunFolder) -> Path:
    """The checkpoint that made an index; another one of the run is no help, since it encodes otherwise."""
    made_by = index.facts["made_by"]
    recorded = Path(made_by["weights_file"])
    for path in (run.checkpoints / recorded.name, recorded):
        if path.exists():
            return path
    raise UserError(
        f"the weights {recorded.name}, which made the index {index.folder}, are gone from the run {run.id!r}",
        valid=", ".join(path.name for path in sorted(run.checkpoints.glob("*.ckpt"))) or "none are left",
        fix=again(index.folder, index.facts),
    )
