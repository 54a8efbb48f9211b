"""SIGKILL at any moment: the continued run leaves what an uninterrupted one leaves, to the bit, and nothing more."""

import itertools
import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmdl.runs.logged import quantity

COMMON = (
    *("train", "quick=true", "logger=none", "run.id=r", "trainer.max_epochs=2"),
    *("trainer.log_every_n_steps=2", "callbacks.checkpoints.every_steps=2"),
)
VQA = (
    *COMMON,
    "+experiment=vqa",
    "evaluator=[vqa_accuracy]",
    *("data.batch_size=48", "data.eval_batch_size=64"),  # each of two ranks has a batch of the validation
    "callbacks=[default,ema]",
)
ACCUMULATED = (*VQA, "trainer.accumulate_grad_batches=2")
WITHIN = (*VQA, "trainer.val_check_interval=4")
CLIP = (
    *(*COMMON, "+experiment=clip", "evaluator=[retrieval]", "data.num_workers=1"),
    "callbacks=[default,contrastive_diagnosis,evaluation_pictures]",
)
DIGITS = (
    *(*COMMON, "+experiment=mnist", "data=digits", "evaluator=[classification]", "data.batch_size=250"),
    *("data.eval_batch_size=100", "callbacks=[default,ema,learning_curves,confusion_matrix]"),
)
NEVER = 10**9
RANKS = {1: (), 2: ("trainer.devices=2", "trainer.accelerator=cpu")}

POINTS = {
    "start": 0,
    "config": 0,
    "backward": 6,
    "stepped": 12,
    "last: before": 2,
    "last: half": 3,
    "last: written": 4,
    "last: renamed": 4,
    "pruning": 0,
    "best: half": 1,
    "validation": 1,
    "figures": 1,
    "line": 6,
    "resume: read": 0,
    "resume: loaded": 0,
    "weights": 1,
    "summary": 0,
}
"""Name of a point and how often a run gets by before it is killed there."""

MOMENTS = ("seconds", "operation")
"""A rank is killed after so much of computing, or at the n-th operation on files of the run folder."""

REPLACED = (
    "status.json",
    "progress.json",
    "manifest.json",
    "config.yaml",
    "descent.csv",
    "descent.png",
    "descent_curves.csv",
)
"""Files of a run folder that tell of the last start, or of seconds."""


def counts(name, row):
    """Whether a figure of a row must be that of an uninterrupted run."""
    if name in ("step", "epoch") and any(key.startswith("test/") for key in row):
        return (
            False  # where a training that had ended inside an epoch is continued, Lightning counts one less
        )
    return name != "time" and not quantity(name).measured


def rows_of(path):
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in row.items() if counts(name, row)} for row in rows]


def figures_of(path):
    figures = json.loads(path.read_text())
    return {name: figures[name] for name in figures if counts(name, {})}


def content_of(path):
    """What of a file must not depend on faults; None: nothing. Checkpoints hold times."""
    if path.name in REPLACED or path.suffix in (".ckpt", ".sha256"):
        return None
    read = {"metrics.jsonl": rows_of, "summary.json": figures_of}.get(path.name, Path.read_bytes)
    return read(path)


def leavings(run):
    """Relative path -> content of all files of a run folder but the tracker's; weights are compared byte by byte.

    A rank that notices the end of another before it is ended too leaves its stacks.
    """
    apart = {run / "wandb", run / "stacks"}
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and not apart & set(path.parents)]
    return {path.relative_to(run).as_posix(): content_of(path) for path in files}


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert [name for name, content in one.items() if content != other[name]] == []


@pytest.fixture(scope="module")
def whole(launch, tmp_path_factory):
    """What uninterrupted runs leave, how long each rank computes, and operations on files; each made once."""
    made = {}

    def get(words, ranks):
        if (words, ranks) not in made:
            folder = tmp_path_factory.mktemp("whole")
            done = launch(folder, (*words, *RANKS[ranks]), "kill_at", ranks=ranks, operation=NEVER)
            assert done.codes == [0] * ranks, done.stderr
            left = leavings(folder / "runs" / "r")
            operations = int((folder / "operations").read_text())
            made[words, ranks] = SimpleNamespace(left=left, cpu=done.cpu, operations=operations)
            shutil.rmtree(folder)
        return made[words, ranks]

    return get


def other_file_system(folder):
    for other in ("/dev/shm", "/tmp", "/var/tmp", str(Path.home())):
        if (
            Path(other).is_dir()
            and os.access(other, os.W_OK)
            and Path(other).stat().st_dev != folder.stat().st_dev
        ):
            return other
    pytest.skip("no second file system that can be written: a tmpfs on /dev/shm would do")


@pytest.fixture
def check(launch, whole, tmp_path):
    scratch = []

    def start(folder, words, ranks, other, *, patch=None, **arguments):
        scratch.append(Path(tempfile.mkdtemp(dir=other_file_system(tmp_path) if other else tmp_path)))
        environment = {"TMPDIR": str(scratch[-1])}
        words = (*words, *(RANKS[ranks] if "resume=r" not in words else ()))
        return launch(folder, words, patch, ranks=ranks, grace=0, environment=environment, **arguments)

    def kill_and_continue(words, ranks, other, *kills):
        """Kill as often as there are `kills` (arguments of the patch), then continue to the end."""
        run = tmp_path / "runs" / "r"
        for arguments in kills:
            again = ("train", "resume=r") if (run / "config.yaml").exists() else words
            killed = start(tmp_path, again, ranks, other, patch="kill_at", **arguments)
            wanted = (-9, 0) if "seconds" in arguments else (-9,)
            assert killed.codes[arguments.get("on_rank", 0)] in wanted, killed.stderr
            assert not killed.late or ranks > 1  # of several, the rest is ended as torchrun does it
        done = start(
            tmp_path, ("train", "resume=r") if (run / "config.yaml").exists() else words, ranks, other
        )
        assert done.codes == [0] * ranks, done.stderr
        assert not done.left
        assert "Traceback" not in done.stderr
        assert [path.name for path in (tmp_path / "runs").iterdir()] == ["r"]
        assert not list(scratch[-1].iterdir())
        assert_same(whole(words, ranks).left, leavings(run))
        assert json.loads((run / "status.json").read_text())["status"] == "finished"

    yield kill_and_continue
    for folder in scratch:
        shutil.rmtree(folder, ignore_errors=True)


FIRST = {"resume: read": "validation", "resume: loaded": "stepped"}
"""Where a run was killed first that is killed while it resumes."""

OTHERS = {"best: renamed": 1, "figures logged": 1, "fit ended": 0, "test": 0, "predictions": 0, "finished": 0}
"""Further points, which are tried on one rank."""

ON_EACH_RANK = (
    "start",
    "backward",
    "stepped",
    "last: before",
    "validation",
    "resume: read",
    "resume: loaded",
)
"""Points that every rank gets to: of two, the one that is killed alternates."""


def case_of(point, ranks, number=0):
    """Arguments of the patch."""
    skip = (POINTS | OTHERS)[point] // ranks
    return {"point": point, "skip": skip, "on_rank": number % ranks if point in ON_EACH_RANK else 0}


GRID = [
    (point, ranks, other, number)
    for number, (point, ranks, other) in enumerate(itertools.product(POINTS, (1, 2), (False, True)))
]
QUICK = [case for case in GRID if (case[3] // 4 + case[3]) % 4 == 0]


def name(case):
    point, ranks, other, _ = case
    return f"{point}-{ranks}-{'other' if other else 'same'}"


def check_point(check, case, words=VQA):
    point, ranks, other, number = case
    first = [case_of(FIRST[point], ranks, number + 1)] if point in FIRST else []
    check(words, ranks, other, *first, case_of(point, ranks, number))


@pytest.mark.parametrize("case", QUICK, ids=name)
def test_killed_at_a_point(check, case):
    check_point(check, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in GRID if case not in QUICK], ids=name)
def test_every_point_on_one_rank_and_two_with_both_file_systems(check, case):
    check_point(check, case)


@pytest.mark.slow
@pytest.mark.parametrize("point", OTHERS)
def test_other_points(check, point):
    check_point(check, (point, 1, False, 0))


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", ["stepped", "last: renamed", "best: half", "validation", "figures", "figures logged"]
)
def test_killed_in_an_epoch_with_several_validations(check, point):
    check_point(check, (point, 1, False, 0), WITHIN)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["last: written", "last: renamed"])
def test_killed_while_a_checkpoint_takes_the_place_of_one_of_the_same_step(check, point):
    """The training ends with a validation inside an epoch, and is saved after both."""
    words = (*VQA, "trainer.val_check_interval=4", "trainer.max_steps=4")
    check(words, 1, False, {"point": point, "skip": 2})


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.4, 0.7, 0.95])
def test_killed_study(check, whole, moment):
    words = (*COMMON[:4], "+experiment=descent", "study.arms.mini_batch.data.batch_size=16")
    check(words, 1, False, {"seconds": moment * whole(words, 1).cpu[0]})


@pytest.mark.slow
@pytest.mark.parametrize("point", ["stepped", "figures"])
def test_killed_with_a_tracker(check, tmp_path, point):
    words = [word for word in VQA if word != "logger=none"]
    check(tuple(words), 1, True, {"point": point, "skip": POINTS[point]})
    assert len(list((tmp_path / "runs" / "r" / "wandb").glob("offline-run-*-r"))) == 2


TASKS = {"vqa": VQA, "accumulated": ACCUMULATED, "clip": CLIP, "digits": DIGITS}
KINDS = itertools.product(("vqa", "vqa", "accumulated", "clip", "digits", "vqa"), (1, 2), MOMENTS)
RANDOM = [
    (*kind, number)
    for number, kind in enumerate([*list(KINDS) * 2, ("vqa", 1, "seconds"), ("vqa", 1, "operation")])
]
QUICK_RANDOM = [case for case in RANDOM if (case[3] // 4 + case[3]) % 4 == 0]


def check_random(check, whole, case):
    task, ranks, moment, number = case
    draw = random.Random(number)
    words, other = TASKS[task], draw.random() < 0.5
    if moment == "operation":
        check(words, ranks, other, {"operation": draw.randrange(whole(words, ranks).operations)})
        return
    kills = []
    for _ in range(2 if number % 3 == 0 else 1):
        rank = draw.randrange(ranks)
        kills.append({"seconds": draw.uniform(0.05, 1) * whole(words, ranks).cpu[rank], "on_rank": rank})
    check(words, ranks, other, *kills)


def random_name(case):
    return "-".join(map(str, case))


@pytest.mark.parametrize("case", QUICK_RANDOM, ids=random_name)
def test_killed_at_random(check, whole, case):
    check_random(check, whole, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in RANDOM if case not in QUICK_RANDOM], ids=random_name)
def test_fifty_kills_at_random_in_all(check, whole, case):
    check_random(check, whole, case)
