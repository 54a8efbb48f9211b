import os
import subprocess
import sys

import pytest
import torch

from mmdl.errors import UserError
from mmdl.runs import checkpoint_files, checkpoint_io, files
from mmdl.runs.checkpoint_files import (
    FORMAT,
    NewerCheckpoint,
    checksum_file,
    clean_checkpoints,
    newest_checkpoint,
    newest_valid,
    read_checkpoint,
    recorded_digests,
)
from mmdl.runs.checkpoint_io import AtomicCheckpointIO

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


NAME = "last-step=00000020.ckpt"


class PowerCut(BaseException):
    """In place of the end of the process: no handler takes it for an error."""


def raising(*arguments, **named):
    raise PowerCut


CUTS = {
    "before the checksum": (checkpoint_io, "write_text", 0, "old"),
    "before the new file has its name": (checkpoint_io.Path, "replace", 1, "old"),
    "before the folder is on disk": (files, "sync_folder", 1, "new"),
    "before the old checksum is gone": (checkpoint_io, "write_text", 1, "new"),
}


@pytest.mark.parametrize("moment", CUTS)
def test_a_checkpoint_of_the_same_step_is_replaced_without_a_gap(two, moment, monkeypatch):
    owner, name, skip, expected = CUTS[moment]
    plain, left = getattr(owner, name), [skip]

    def cut(*arguments, **named):
        left[0] -= 1
        return raising() if left[0] < 0 else plain(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, cut)
        with pytest.raises(PowerCut):
            AtomicCheckpointIO().save_checkpoint(CONTENT | {"global_step": 21}, two / NAME)
    assert read_checkpoint(two / NAME)["global_step"] == {"old": 20, "new": 21}[expected]
    AtomicCheckpointIO().save_checkpoint(CONTENT | {"global_step": 22}, two / NAME)
    assert read_checkpoint(two / NAME)["global_step"] == 22
    assert len(recorded_digests(two / NAME)) == 1


def test_a_full_disk_keeps_the_checkpoint_of_the_same_step(two, monkeypatch):
    before = sorted(path.name for path in two.iterdir())
    monkeypatch.setattr(files, "free_bytes", lambda folder: 1000)
    with pytest.raises(
        UserError, match=r"the disk is full \(0.0\d+ MB are needed, 0.0010 MB are free\)"
    ) as raised:
        AtomicCheckpointIO().save_checkpoint(CONTENT, two / NAME)
    assert "the run's 2 checkpoints take 0.0 MB: room for one more is needed" in str(raised.value)
    assert read_checkpoint(two / NAME)["global_step"] == 20
    assert sorted(path.name for path in two.iterdir()) == before


def test_what_a_checkpoint_needs_is_known_before_it_is_written(tmp_path):
    shared = torch.rand(50_000)
    content = CONTENT | {
        "state_dict": {"a": shared, "b": shared[:100], "c": torch.rand(300, 300)},
        "epoch": 3,
    }
    AtomicCheckpointIO().save_checkpoint(content, tmp_path / NAME)
    size = (tmp_path / NAME).stat().st_size
    assert size <= checkpoint_io._size_of(content) <= 1.05 * size


def test_a_newer_format_is_not_passed_over(two):
    AtomicCheckpointIO().save_checkpoint({"mmdl": {"format": FORMAT + 1}}, two / NAME)
    with pytest.raises(NewerCheckpoint, match="written by a newer mmdl: its format is 2"):
        newest_checkpoint(two)


def test_without_a_valid_one_all_are_named(two):
    assert newest_checkpoint(two, "best-*.ckpt") is None
    for path in two.glob("*.ckpt"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"is valid:(?s:.*)step=00000020(?s:.*)step=00000010") as raised:
        newest_checkpoint(two)
    assert "rm -r" in raised.value.fix


def test_a_checkpoint_that_was_verified_is_not_hashed_again(two, monkeypatch):
    reader = AtomicCheckpointIO()
    monkeypatch.setattr(checkpoint_files, "sha256", raising)
    reader.verified = two / NAME, {"here": 1}
    assert reader.load_checkpoint(two / NAME) == {"here": 1}
    reader.verified = two / NAME, None
    assert reader.load_checkpoint(two / NAME)["global_step"] == 20
    with pytest.raises(PowerCut):
        reader.load_checkpoint(two / NAME)


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
