"""The same weights have the same figures, files and counts on 1, 2 and 3 ranks: to the last bit, every sample once.

A batch of an evaluation holds the same samples on any number of ranks, so that an image is encoded among the same
others, and sums are rounded once: nothing needs a tolerance.
"""

import json
from types import SimpleNamespace

import pytest

from mmdl.cli.catalog import catalog
from mmdl.data.mnist import write_fixture

COMMON = ("quick=true", "logger=none", "trainer.accelerator=cpu", "trainer.precision=32-true", "run.id=r")
SETS = [f"+data@evaluator.{name}.sets.look.data=shapes_objects" for name in ("knn", "linear_probe")]
TASKS = {
    "vqa": SimpleNamespace(
        words=("+experiment=vqa", "data.scenes_train=20", "data.scenes_test=13", "data.scenes_val=5"),
        evaluators=("vqa_accuracy", "vqa_baselines"),
        key="question_id",
        counts={"test/vqa_accuracy": 117, "test/loss": 117, "baseline/question_only/vqa_accuracy": 117},
    ),
    "classification": SimpleNamespace(
        words=("+experiment=mnist", "data.root=../data", "data.batch_size=32"),
        evaluators=("classification",),
        key="id",
        counts={"test/accuracy": 40, "test/loss": 40, "test/calibration_error": 40, "test/tp/class/3": 40},
    ),
    "contrastive": SimpleNamespace(
        words=(
            *("+experiment=clip", "data.scenes_val=5", "data.scenes_test=27", "data.eval_captions=null"),
            *("evaluator.retrieval.fold_size=10", *SETS, "evaluator.linear_probe.features=embedding"),
        ),
        evaluators=("retrieval", "zero_shot", "embedding_geometry", "knn", "linear_probe"),
        key=None,
        counts={
            "test/text_to_image/recall@1": 135,
            "test/image_to_text/recall@1": 27,
            "test/10/text_to_image/recall@1": 100,
            "test/loss": 27,
            "test/zero_shot/shape/accuracy": 16,
        },
    ),
}
"""Uneven splits, by task; a new evaluator goes to the task whose runs it can evaluate."""
TRAINS = ("vqa_baselines",)
"""Evaluators that `mmdl eval` leaves out, since their figures are in the run's summary."""


def test_every_evaluator_is_compared():
    assert sorted(name for task in TASKS.values() for name in task.evaluators) == sorted(catalog("evaluator"))


def read(path):
    return json.loads(path.read_text())


def files(folder):
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: content for path, content in found.items() if path.name != "figures.json"}


def finished(done):
    assert not done.late, done.stderr
    assert set(done.codes) == {0}, done.stderr
    assert not done.left


@pytest.fixture(scope="module")
def trained(launch, tmp_path_factory):
    """`trained(task, ranks)`: a run, trained and tested on so many ranks."""
    made = {}

    def train(name, ranks=1):
        if (name, ranks) not in made:
            task = TASKS[name]
            base = tmp_path_factory.mktemp(f"{name}{ranks}")
            write_fixture(base / "data")
            folder = base / "here"
            words = ("train", *task.words, *COMMON, f"evaluator=[{','.join(task.evaluators)}]")
            many = (f"trainer.devices={ranks}", "data.eval_batch_size=7")
            finished(launch(folder, (*words, *many), ranks=ranks))
            made[name, ranks] = folder
        return made[name, ranks]

    return train


@pytest.fixture
def check(trained, launch):
    def evaluate(name, ranks, size, trained_on=1):
        """`mmdl eval` on so many ranks gives what the end of the training gave."""
        task, folder = TASKS[name], trained(name, trained_on)
        words = ("eval", "run=r", f"output=of{ranks}x{size}", f"+trainer.devices={ranks}")
        if size != 7:  # other batches round otherwise: one rank with the same ones is the reference
            words += (f"+data.eval_batch_size={size}",)
            expected = folder / f"of1x{size}"
            if ranks != 1 and not expected.is_dir():
                evaluate(name, 1, size)
        finished(launch(folder, words, ranks=ranks))
        found = folder / f"of{ranks}x{size}"
        [at] = found.rglob("figures.json")
        figures, summary = read(at), read(folder / "runs" / "r" / "summary.json")
        if size != 7:
            assert ranks == 1 or figures == read(expected / at.relative_to(found))
            assert ranks == 1 or files(found) == files(expected)
            return
        skipped = {n for n in summary if task.evaluators[-1] in TRAINS and n.startswith("baseline/")}
        expected = {
            n: figure
            for n, figure in summary.items()
            if n.startswith(("test/", "baseline/")) and n not in skipped
        }
        assert figures == expected
        assert {n: summary[n]["n"] for n in task.counts} == task.counts
        run = folder / "runs" / "r"
        assert files(found / "evaluation" / "test") == files(run / "evaluation" / "test")
        for written in run.glob("predictions/*"):
            if skipped and "_baseline_" in written.name:
                continue
            assert (found / written.name).read_bytes() == written.read_bytes()
        if task.key is not None:
            rows = [json.loads(line) for line in (found / "test.jsonl").read_text().splitlines()]
            assert len({row[task.key] for row in rows}) == len(rows) == max(task.counts.values())

    return evaluate


@pytest.mark.parametrize("task", TASKS)
def test_three_ranks_equal_one(check, task):
    check(task, 3, 7)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("ranks", "size"),
    [
        pytest.param(1, 7, id="the end of the training"),
        pytest.param(2, 7, id="two ranks"),
        pytest.param(2, 1000, id="a rank without a batch"),
        pytest.param(3, 1000, id="two ranks without a batch"),
        pytest.param(3, 5, id="other batches"),
    ],
)
def test_other_ranks_and_batches(check, task, ranks, size):
    check(task, ranks, size)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("ranks", [2, 3])
def test_what_many_ranks_trained_and_tested_one_rank_finds_again(check, task, ranks):
    check(task, 1, 7, trained_on=ranks)


@pytest.mark.parametrize(
    "task", ["classification", *(pytest.param(t, marks=pytest.mark.slow) for t in ("vqa", "contrastive"))]
)
def test_the_validation_of_a_training_on_three_ranks_is_that_of_eval(trained, launch, task):
    """Some ranks have no validation batch; batch norms have other running statistics on each rank."""
    folder = trained(task, 3)
    rows = [json.loads(line) for line in (folder / "runs/r/metrics.jsonl").read_text().splitlines()]
    logged = [row for row in rows if "val/loss" in row][-1]
    words = ("eval", "run=r", "split=val", "weights=last", "output=val", "+trainer.devices=1")
    finished(launch(folder, words))
    found = read(folder / "val" / "evaluation" / "val" / "figures.json")
    assert found["val/loss"]["n"] == {"vqa": 45, "classification": 6, "contrastive": 5}[task]
    both = found.keys() & logged.keys()
    assert len(both) >= 3
    # Lightning logs a mean weighted by n, in float32
    values = {name: found[name]["value"] for name in both}
    assert values == pytest.approx({name: logged[name] for name in both}, rel=5e-7)
