"""The weights of a checkpoint, whether it is a file or a folder of shards: written as one file, or put into a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdl.runs.checkpoint_folders import FOLDER_KEY, key_of
from mmdl.runs.dcp_reader import Reader
from mmdl.runs.stream_safetensors import stream_safetensors


def store_weights(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write the model's tensors as one safetensors file, whole, under the names that they have in an unsharded run.

    Of a folder a part is in memory at a time.

    Args:
        checkpoint: From `open_checkpoint`.
        path: The file.

    Raises:
        UserError: if it can't be written.
    """
    if FOLDER_KEY not in checkpoint:
        from mmdl.callbacks.checkpoints import write_weights

        write_weights(checkpoint["state_dict"], path)
        return
    reader = Reader(Path(checkpoint[FOLDER_KEY]))
    state = {name.removeprefix("model."): tensor for name, tensor in checkpoint["state_dict"].items()}
    keys = {name.removeprefix("model."): key_of(("state_dict", name)) for name in checkpoint["state_dict"]}

    def read(names: Sequence[str]) -> dict[str, Tensor]:
        shards = [name for name in names if state[name].is_meta]
        targets = reader.empty([keys[name] for name in shards])
        reader.fill(targets)
        return {name: targets[keys[name]] if name in shards else state[name] for name in names}

    stream_safetensors(path, state, read)


def load_state(task: Any, checkpoint: Mapping[str, Any]) -> None:
    """Put the weights into a task; those of a sharded model into its shards, on all ranks together.

    Args:
        task: Whole or sharded.
        checkpoint: From `open_checkpoint`.
    """
    from mmdl.strategies.sharding import is_sharded

    if is_sharded(task.model):
        from mmdl.runs.sharded_checkpoint import load_sharded, shards_of

        checkpoint = (
            load_sharded(Path(checkpoint[FOLDER_KEY]), task, [])
            if FOLDER_KEY in checkpoint
            else shards_of(checkpoint, task, [])
        )
    elif FOLDER_KEY in checkpoint:
        from mmdl.runs.checkpoint_folders import fill_folder

        checkpoint = fill_folder(dict(checkpoint))
    task.load_state_dict(checkpoint["state_dict"])
