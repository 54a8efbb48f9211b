import os
import subprocess
import sys

import pytest
import torch

from mmdl.errors import UserError
from mmdl.runs.checkpoint_io import (
    AtomicCheckpointIO,
    checksum_file,
    clean_checkpoints,
    newest_valid,
    read_checkpoint,
)

CONTENT = {"mmdl": {"answers": ["a"]}, "state_dict": {"w": torch.arange(1000.0)}}


@pytest.fixture
def two(tmp_path):
    for step in (10, 20):
        AtomicCheckpointIO().save_checkpoint(
            CONTENT | {"global_step": step}, tmp_path / f"last-step={step:08d}.ckpt"
        )
    return tmp_path


def test_what_is_written_is_read_back_without_pickle(two):
    found = read_checkpoint(two / "last-step=00000020.ckpt")
    assert torch.equal(found["state_dict"]["w"], CONTENT["state_dict"]["w"])
    assert found["mmdl"] == {"answers": ["a"]}
    assert newest_valid(two).name == "last-step=00000020.ckpt"
    assert not list(two.glob(".tmp-*"))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "no checksum"])
def test_a_damaged_checkpoint_is_refused_and_the_one_before_is_used(two, damage):
    path = two / "last-step=00000020.ckpt"
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        checksum_file(path).unlink()
    with pytest.raises(UserError, match=r"damaged|no .*sha256"):
        read_checkpoint(path)
    assert newest_valid(two).name == "last-step=00000010.ckpt"


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "last-step=00000001.ckpt"
    AtomicCheckpointIO().save_checkpoint({"state_dict": {}}, path)
    with pytest.raises(UserError, match="not written by mmdl"):
        read_checkpoint(path)
    path.write_bytes(b"hello")
    digest = __import__("hashlib").sha256(b"hello").hexdigest()
    checksum_file(path).write_text(digest)
    with pytest.raises(UserError, match="is not a checkpoint"):
        read_checkpoint(path)


def test_a_pickle_does_not_run(tmp_path):
    import pickle

    class Bomb:
        def __reduce__(self):
            return (os.makedirs, (str(tmp_path / "exploded"),))

    path = tmp_path / "last-step=00000001.ckpt"
    path.write_bytes(pickle.dumps({"mmdl": Bomb()}))
    checksum_file(path).write_text(__import__("hashlib").sha256(path.read_bytes()).hexdigest())
    with pytest.raises(UserError):
        read_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


def test_orphans_are_removed(two):
    (two / ".tmp-1-x.ckpt").write_bytes(b"half")
    (two / "gone.ckpt.sha256").write_text("x")
    clean_checkpoints(two)
    assert sorted(p.name for p in two.iterdir()) == [
        f"last-step={s:08d}.ckpt{e}" for s in (10, 20) for e in ("", ".sha256")
    ]


FULL_DISK = """
import sys, torch
from pathlib import Path
from mmdl.errors import UserError
from mmdl.runs.checkpoint_io import AtomicCheckpointIO, newest_valid
folder = Path(sys.argv[1])
content = {"mmdl": {}, "state_dict": {"w": torch.rand(100_000)}}
AtomicCheckpointIO().save_checkpoint(content, folder / "last-step=00000001.ckpt")
content["state_dict"]["w"] = torch.rand(3_000_000)
try:
    AtomicCheckpointIO().save_checkpoint(content, folder / "last-step=00000002.ckpt")
except UserError as error:
    print(error)
print("newest", newest_valid(folder).name, sorted(p.name for p in folder.iterdir()))
"""


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=2m tmpfs {disk} && exec {sys.executable} -c "$0" {disk}'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, FULL_DISK], capture_output=True, text=True, check=False
    )
    if "newest" not in done.stdout:
        pytest.skip(f"no private mounts on this machine: {done.stderr.strip()[-200:]}")
    assert "the disk is full" in done.stdout
    assert "MB are free" in done.stdout
    assert (
        "newest last-step=00000001.ckpt ['last-step=00000001.ckpt', 'last-step=00000001.ckpt.sha256']"
        in done.stdout
    )
