"""Damaged checkpoint folders of sharded runs: the older one is used, a warning says which file; no pickle is run."""

import gc
import json
import os
import pickle
import shutil

import pytest
import torch

from mmdl.errors import UserError
from mmdl.runs.checkpoint_files import (
    clean_checkpoints,
    newest_checkpoint,
    open_checkpoint,
    read_checkpoint,
    remove_checkpoint,
)
from mmdl.runs.checkpoint_folders import COMPLETE, META, seal
from mmdl.runs.files import sha256

SHARDS = ("__0_0.distcp", "__1_0.distcp")


def write_rank(rank, folder):
    """One of two ranks."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2
    )
    write_two(folder)
    gc.collect()  # what holds the group must be gone before it, or its threads abort the process
    torch.distributed.destroy_process_group()


def write_two(folder):
    """Two checkpoints of a tensor that both ranks share."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    from mmdl.runs.sharded_checkpoint import save_sharded

    mesh = init_device_mesh("cpu", (2,))
    for step in (1, 2):
        weight = distribute_tensor(torch.arange(12.0).reshape(6, 2) * step, mesh, [Shard(0)])
        checkpoint = {
            "state_dict": {"model.weight": weight, "model.scale": torch.tensor(float(step))},
            "optimizer_states": [
                {"state": {0: {"step": torch.tensor(1.0), "exp_avg": weight}}, "param_groups": [{"lr": 0.1}]}
            ],
            "global_step": step,
            "mmdl": {"format": 1, "config": {}},
        }
        save_sharded(checkpoint, folder / f"last-step={step:08d}.ckpt")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    children = []
    context = torch.multiprocessing.get_context("spawn")
    for rank in range(2):
        children.append(context.Process(target=write_rank, args=(rank, folder)))
        children[-1].start()
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    (folder / "store").unlink(missing_ok=True)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    shutil.copytree(written, tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def reseal(path):
    """As an attacker would, with matching digests."""
    names = [file.name for file in path.iterdir() if file.name != COMPLETE]
    seal(path, {name: ((path / name).stat().st_size, sha256(path / name)) for name in names})


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def cut(path, share):
    os.truncate(path, int(path.stat().st_size * share))


def bad_metadata(path, mark):
    (path / ".metadata").write_bytes(pickle.dumps(Evil(mark)))
    reseal(path)


def bad_meta(path, mark):
    torch.save({"checkpoint": Evil(mark), "shards": []}, path / META)
    reseal(path)


def of_newer_list(path, mark):
    document = json.loads((path / COMPLETE).read_text())
    document["files"]["../x"] = document["files"][META]
    (path / COMPLETE).write_text(json.dumps(document))


DAMAGES = {
    "missing shard": (lambda path, mark: (path / SHARDS[1]).unlink(), f"{SHARDS[1]} is missing"),
    "truncated shard": (lambda path, mark: cut(path / SHARDS[0], 0.9), f"{SHARDS[0]} has "),
    "empty shard": (lambda path, mark: cut(path / SHARDS[0], 0), f"{SHARDS[0]} has 0 of "),
    "flipped bit": (lambda path, mark: flip(path / SHARDS[1], -40), f"the content of {SHARDS[1]} does not"),
    "no seal": (lambda path, mark: (path / COMPLETE).unlink(), f"has no {COMPLETE}"),
    "cut seal": (lambda path, mark: cut(path / COMPLETE, 0.5), f"{COMPLETE} is not what was written"),
    "foreign list": (of_newer_list, f"{COMPLETE} does not list the files"),
    "no index": (lambda path, mark: (path / ".metadata").unlink(), ".metadata is missing"),
    "no meta": (lambda path, mark: (path / META).unlink(), f"{META} is missing"),
    "pickle as index": (bad_metadata, "posix.mkdir is no part of a checkpoint"),
    "pickle as meta": (bad_meta, "is not a checkpoint: meta.pt"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_older_folder_is_used_with_a_warning(folder, tmp_path, caplog, monkeypatch, damage):
    spoil, said = DAMAGES[damage]
    newest = folder / "last-step=00000002.ckpt"
    spoil(newest, tmp_path / "executed")
    monkeypatch.setattr("mmdl.runs.checkpoint_files.log.propagate", True)
    path, checkpoint = newest_checkpoint(folder)
    assert path.name == "last-step=00000001.ckpt"
    assert checkpoint["global_step"] == 1
    [warning] = {record.getMessage() for record in caplog.records}
    assert said in warning
    assert str(newest) in warning
    assert f"{path.name} is used instead" in warning
    with pytest.raises(UserError):
        read_checkpoint(newest)
    assert not (tmp_path / "executed").exists(), "a pickle was run"


def test_a_newer_format_is_refused(folder):
    path = folder / "last-step=00000002.ckpt" / COMPLETE
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(UserError, match="written by a newer mmdl: its format is 2"):
        newest_checkpoint(folder)


def test_a_folder_is_read_as_a_file_would_be(folder):
    path = folder / "last-step=00000002.ckpt"
    checkpoint = read_checkpoint(path)
    whole = torch.arange(12.0).reshape(6, 2) * 2
    assert list(checkpoint) == ["state_dict", "optimizer_states", "global_step", "mmdl"]
    torch.testing.assert_close(checkpoint["state_dict"]["model.weight"], whole, rtol=0, atol=0)
    moments = checkpoint["optimizer_states"][0]["state"][0]
    torch.testing.assert_close(moments, {"step": torch.tensor(1.0), "exp_avg": whole}, rtol=0, atol=0)
    opened = open_checkpoint(path)
    assert opened["state_dict"]["model.weight"].is_meta
    assert opened["state_dict"]["model.weight"].shape == (6, 2)


def test_what_was_not_finished_is_removed(folder):
    (folder / "last-step=00000002.ckpt").rename(folder / ".tmp-last-step=00000002.ckpt")
    clean_checkpoints(folder)
    assert [path.name for path in folder.iterdir()] == ["last-step=00000001.ckpt"]
    remove_checkpoint(folder / "last-step=00000001.ckpt")
    assert not list(folder.iterdir())
