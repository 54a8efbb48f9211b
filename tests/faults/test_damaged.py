"""Damaged and foreign checkpoints: the one before is used, with a warning, or the run is refused; nothing is run."""

import hashlib
import json
import pickle
import shutil
import zipfile

import pytest
import torch

from mmdl.runs.checkpoint_files import checksum_file
from mmdl.runs.checkpoint_io import AtomicCheckpointIO

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("trainer.max_epochs=2", "data.scenes_train=48", "data.eval_batch_size=20", "callbacks=[default,ema]"),
    *("callbacks.checkpoints.every_steps=2",),
)
NEWEST, BEFORE = "last-step=00000010.ckpt", "last-step=00000008.ckpt"


@pytest.fixture(scope="module")
def whole(launch, results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    done = launch(folder, WORDS)
    assert done.code == 0, done.stderr
    return results(folder / "runs" / "r")


@pytest.fixture(scope="module")
def killed(launch, tmp_path_factory):
    """A run that was killed after its eleventh step; each test has a copy of it."""
    folder = tmp_path_factory.mktemp("killed")
    assert launch(folder, WORDS, "kill_at", point="stepped", skip=10, grace=0).code == -9
    names = {path.name for path in (folder / "runs" / "r" / "checkpoints").glob("last-*.ckpt")}
    assert names == {NEWEST, BEFORE}
    return folder


@pytest.fixture
def folder(killed, tmp_path):
    shutil.copytree(killed / "runs", tmp_path / "runs")
    return tmp_path / "runs" / "r" / "checkpoints"


def seal(path):
    """Make the checksum fit: damage from before the hashing, or somebody's intent."""
    checksum_file(path).write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def flip(path, at):
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 0x10
    path.write_bytes(content)


def inside(path, name):
    """Where a file of the archive has its content."""
    with zipfile.ZipFile(path) as archive:
        entry = next(entry for entry in archive.infolist() if entry.filename.endswith(name))
    with path.open("rb") as handle:
        handle.seek(entry.header_offset + 26)
        lengths = handle.read(4)
    begin = (
        entry.header_offset
        + 30
        + int.from_bytes(lengths[:2], "little")
        + int.from_bytes(lengths[2:], "little")
    )
    return begin + entry.file_size // 2


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return __import__("os").makedirs, (str(self.folder),)


def foreign(path):
    path.write_bytes(
        pickle.dumps({"mmdl": {}, "state_dict": Bomb(path.parent.parent.parent.parent / "exploded")})
    )
    seal(path)


def foreign_archive(path):
    torch.save({"mmdl": {}, "state_dict": Bomb(path.parent.parent.parent.parent / "exploded")}, path)
    seal(path)


def other_hash(path):
    checksum_file(path).write_text(f"{'0' * 64}  {path.name}\n")


CUTS = (0.0001, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999999)
FLIPS = {
    "first byte": lambda path: 0,
    "header": lambda path: 9,
    "pickle": lambda path: inside(path, "data.pkl"),
    "byte order": lambda path: inside(path, "byteorder"),
    "first tensor": lambda path: inside(path, "data/0"),
    "last tensor": lambda path: inside(path, "data/9"),
    "directory": lambda path: path.stat().st_size - 200,
    "last byte": lambda path: path.stat().st_size - 1,
}
DAMAGES = {
    **{f"cut to {share}": lambda path, share=share: cut(path, share) for share in CUTS},
    **{f"flip in {name}": lambda path, at=at: flip(path, at(path)) for name, at in FLIPS.items()},
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("<html>404 Not Found</html>\n"),
    "pickle": foreign,
    "archive": foreign_archive,
    "wrong hash": other_hash,
}
REASONS = {"pickle": "is not a checkpoint", "archive": "is not a checkpoint"}
"""Others don't match their hash."""


@pytest.fixture
def check(launch, results, whole, folder, tmp_path):
    """The run goes on from the checkpoint before, says why, and ends with the same bits."""

    def resume(damage):
        DAMAGES[damage](folder / NEWEST)
        done = launch(tmp_path, ("train", "resume=r"))
        assert done.code == 0, done.stderr
        reason = REASONS.get(damage, "is damaged: its content does not match its SHA-256")
        assert f"{folder / NEWEST} {reason}".removeprefix(f"{tmp_path}/") in done.stderr
        assert f"{BEFORE} is used instead" in done.stderr
        assert "resuming     at step 8" in done.stderr
        assert not (tmp_path / "exploded").exists()
        found = results(tmp_path / "runs" / "r")
        assert found[1:] == whole[1:]
        assert all(torch.equal(value, found[0][name]) for name, value in whole[0].items())

    return resume


QUICK = ("cut to 0.5", "flip in last tensor", "pickle")


@pytest.mark.parametrize("damage", QUICK)
def test_the_checkpoint_before_a_damaged_one_is_used(check, damage):
    check(damage)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage not in QUICK])
def test_all_damages(check, damage):
    check(damage)


@pytest.fixture
def refused(launch, folder, tmp_path):
    """The run does not begin, and its folder stays as it is."""

    def resume(*words, ranks=1):
        before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.parent == folder}
        done = launch(tmp_path, ("train", "resume=r", *words), ranks=ranks)
        assert done.codes == [2] * ranks, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("error: ") == 1
        assert not (tmp_path / "exploded").exists()
        assert before == {
            path: path.read_bytes() for path in folder.parent.rglob("*") if path.parent == folder
        }
        return done.stderr

    return resume


def rewrite(path, change):
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)


def test_a_newer_format_is_refused(refused, folder):
    rewrite(folder / NEWEST, lambda checkpoint: checkpoint["mmdl"].update(format=2))
    said = refused()
    assert f"{NEWEST} was written by a newer mmdl: its format is 2" in said
    assert "upgrade mmdl" in said


def test_another_model_is_refused(refused, folder):
    def widen(checkpoint):
        state = checkpoint["state_dict"]
        name = next(iter(state))
        state[name] = torch.zeros(3, 5)

    rewrite(folder / NEWEST, widen)
    said = refused()
    assert f"{NEWEST} is a checkpoint of another model (other shapes: model." in said
    assert "(3, 5) for" in said


def damage_all(folder):
    for path in folder.glob("*.ckpt"):
        cut(path, 0.5)


@pytest.mark.slow
def test_without_a_valid_last_the_best_goes_on(launch, results, whole, folder, tmp_path):
    for name in (NEWEST, BEFORE):
        cut(folder / name, 0.5)
    done = launch(tmp_path, ("train", "resume=r"))
    assert done.code == 0, done.stderr
    assert (
        f"{BEFORE} is damaged: its content does not match its SHA-256; best-step=00000007.ckpt" in done.stderr
    )
    found = results(tmp_path / "runs" / "r")
    assert found[1:] == whole[1:]
    assert all(torch.equal(value, found[0][name]) for name, value in whole[0].items())


def test_without_a_valid_one_nothing_begins_anew(refused, folder):
    damage_all(folder)
    said = refused()
    assert "no checkpoint in runs/r/checkpoints is valid:" in said
    assert said.index(NEWEST) < said.index(BEFORE)
    assert "from a backup" in said


@pytest.mark.slow
def test_two_ranks_are_refused_together(refused, folder, tmp_path):
    damage_all(folder)
    said = refused("trainer.devices=2", "trainer.accelerator=cpu", "allow_changes=true", ranks=2)
    assert "no checkpoint in runs/r/checkpoints is valid:" in said
    assert "Traceback" not in (tmp_path / "stderr.1").read_text()


@pytest.mark.slow
def test_two_ranks_use_the_same(launch, results, tmp_path):
    """The second rank sees the newest as sound, as another node might; the first decides."""
    words = (*WORDS, "trainer.devices=2", "trainer.accelerator=cpu")
    assert launch(tmp_path / "whole", words, ranks=2).codes == [0, 0]
    launch(tmp_path, words, "kill_at", point="stepped", skip=4, ranks=2, grace=0)
    folder = tmp_path / "runs" / "r" / "checkpoints"
    names = sorted(path.name for path in folder.glob("last-*.ckpt"))
    cut(folder / names[-1], 0.5)
    done = launch(tmp_path, ("train", "resume=r"), "blind", ranks=2)
    assert done.codes == [0, 0], done.stderr
    found, expected = results(tmp_path / "runs" / "r"), results(tmp_path / "whole" / "runs" / "r")
    assert all(torch.equal(value, found[0][name]) for name, value in expected[0].items())


@pytest.mark.slow
def test_a_damaged_best_is_replaced_by_the_best_before_it(launch, folder, tmp_path):
    """The end of the training does not break on it."""
    done = launch(tmp_path, ("train", "resume=r"), "damage_best")
    assert done.code == 0, done.stderr
    assert "best-step=00000014.ckpt is damaged" in done.stderr
    assert "the best weights before it are used: best-step=00000007.ckpt" in done.stderr
    summary = json.loads((folder.parent / "summary.json").read_text())
    assert summary["best/step"]["value"] == 7
    assert "best/val/vqa_accuracy" not in summary
