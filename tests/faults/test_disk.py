"""A disk that is full, read-only, broken or gone: one clear error, nothing lost, and the same bits in the end."""

import itertools
import re
import shutil
import subprocess

import pytest
import torch

from mmdl.runs.checkpoint_files import newest_valid, step_of

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("trainer.max_epochs=2", "data.scenes_train=48", "data.eval_batch_size=20", "callbacks=[default,ema]"),
    *("callbacks.checkpoints.every_steps=2",),
)
FULL = r"could not be written: the disk is full \(([\d.]+ MB are needed, )?[\d.]+ MB are free\)"
BYTES = 64 * 1024**2

MOMENTS = {
    # name: moment, passings before it, step of the checkpoint that is left (None: there is none yet)
    "configuration": ("configuration", 0, None),
    "first checkpoint": ("checkpoint", 0, None),
    "second checkpoint": ("checkpoint", 1, 2),
    "best checkpoint": ("best", 1, 12),
    "line of metrics": ("line", 3, 12),
    "final weights": ("weights", 0, 14),
    "predictions": ("predictions", 0, 14),
    "summary": ("summary", 0, 14),
}


@pytest.fixture(scope="module")
def whole(launch, results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    done = launch(folder, WORDS)
    assert done.code == 0, done.stderr
    return results(folder / "runs" / "r")


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture
def fail(launch, disk, tmp_path):
    """Run until the disk fails; gives what the run said."""

    def start(moment, fault, skip, *, tmpdir_on_it=False, half=False, ranks=1, words=WORDS):
        tmpdir = (disk if tmpdir_on_it else tmp_path) / "tmp"
        tmpdir.mkdir()
        case = {"moment": moment, "fault": fault, "skip": skip, "half": half}
        case |= {"disk": str(disk), "run": str(disk / "runs" / "r"), "away": str(disk / "away")}
        place = {"environment": {"TMPDIR": str(tmpdir)}, "ranks": ranks}
        done = launch(tmp_path / "out", (*words, f"run.root={disk}/runs"), "disk_fault", **case, **place)
        assert done.codes == [2] * ranks, done.stderr
        assert not done.late
        assert done.stderr.count("error: ") == 1, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return start


@pytest.fixture
def check(launch, results, whole, disk, tmp_path):
    """What is left of the run is sound, and it ends as if nothing had been."""

    def go_on(step, mend, ranks=1, expected=None):
        run = disk / "runs" / "r"
        found = newest_valid(run / "checkpoints")
        assert (step_of(found) if found else None) == step
        for path in sorted(run.rglob("*.ckpt")):
            assert newest_valid(path.parent, path.name) == path
        assert not list(run.rglob(".tmp*"))
        mend()
        words = ("train", "resume=r") if (run / "config.yaml").exists() else WORDS
        done = launch(tmp_path / "out", (*words, f"run.root={disk}/runs"), ranks=ranks)
        assert done.codes == [0] * ranks, done.stderr
        assert not list(run.rglob(".tmp*"))
        found, expected = results(run), expected or whole
        assert found[1:] == expected[1:]
        assert found[0].keys() == expected[0].keys()
        assert all(torch.equal(value, found[0][name]) for name, value in expected[0].items())

    return go_on


@pytest.fixture
def full(fail, check, disk):
    def fill_and_go_on(name, tmpdir_on_it):
        moment, skip, step = MOMENTS[name]
        # In one layout the checkpoint is not begun, in the other the disk is full in the middle of it.
        half = not tmpdir_on_it and moment in ("checkpoint", "best")
        done = fail(moment, "full", skip, tmpdir_on_it=tmpdir_on_it, half=half)
        assert re.search(FULL, done.stderr), done.stderr
        assert str(disk / "runs" / "r") in done.stderr
        if step is not None and moment in ("checkpoint", "best"):
            assert "room for one more is needed, since the last 2 are always kept" in done.stderr
        check(step, lambda: (disk / "filler").unlink())

    return fill_and_go_on


ALL = list(itertools.product(MOMENTS, (False, True)))
QUICK = [
    ("first checkpoint", True),
    ("best checkpoint", False),
    ("line of metrics", False),
    ("summary", True),
]


@pytest.mark.parametrize(("name", "tmpdir_on_it"), QUICK)
def test_a_full_disk_leaves_what_was_there(full, name, tmpdir_on_it):
    full(name, tmpdir_on_it)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tmpdir_on_it"), [case for case in ALL if case not in QUICK])
def test_sixteen_cases_in_all(full, name, tmpdir_on_it):
    full(name, tmpdir_on_it)


OTHERS = {
    "permission": "no permission",
    "read-only": "the file system is read-only",
    "device": "the device reported an input/output error",
    "moved": "its folder was removed or moved",
    "quota": "the disk quota is used up",
}


@pytest.fixture
def broken(fail, check, disk):
    def break_and_go_on(fault):
        done = fail("checkpoint", fault, 1)
        assert f"could not be written: {OTHERS[fault]}" in done.stderr, done.stderr
        run = disk / "runs" / "r"

        def mend():
            if fault == "permission":
                (run / "checkpoints").chmod(0o755)
            elif fault == "read-only":
                subprocess.run(["mount", "-o", "remount,rw", disk], check=True)

        if fault == "moved":
            assert not run.exists()
            shutil.move(disk / "away", run)
        check(2, mend)

    return break_and_go_on


@pytest.mark.parametrize("fault", ["permission"])
def test_a_disk_that_refuses_leaves_what_was_there(broken, fault):
    broken(fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault for fault in OTHERS if fault != "permission"])
def test_five_other_faults_in_all(broken, fault):
    broken(fault)


@pytest.mark.slow
def test_two_ranks_end_together(launch, results, fail, check, disk, tmp_path):
    """The second rank doesn't wait for the first, and says nothing of its own."""
    words = (*WORDS, "trainer.devices=2", "trainer.accelerator=cpu")
    assert launch(tmp_path / "whole", words, ranks=2).codes == [0, 0]
    fail("checkpoint", "full", 1, ranks=2, words=words)
    assert "Traceback" not in (tmp_path / "out" / "stderr.1").read_text()
    expected = results(tmp_path / "whole" / "runs" / "r")
    check(2, lambda: (disk / "filler").unlink(), ranks=2, expected=expected)
