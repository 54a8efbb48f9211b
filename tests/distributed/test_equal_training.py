"""Training on 2 and 3 ranks is that of one process on the joined batches, also where shares are unequal or empty."""

import json

import pytest
import torch
from safetensors.torch import load_file

from mmdl.data.mnist import write_fixture

COMMON = (
    *(
        "train",
        "quick=true",
        "logger=none",
        "run.id=r",
        "trainer.accelerator=cpu",
        "trainer.precision=64-true",
    ),
    *("optimizer=sgd", "trainer.max_epochs=2", "trainer.log_every_n_steps=1", "callbacks=[default]"),
)
VQA = (
    *("+experiment=vqa", "data.scenes_train=11", "evaluator=[vqa_accuracy]", "optimizer.lr=1e-2"),
    *("model.dropout=0", "trainer.sync_batchnorm=true"),
)
CLIP = ("+experiment=clip", "evaluator=[retrieval]", "optimizer.lr=1e-2")
CASES = {
    # joined batch, words, rows of the last joined batch
    "classification": (
        12,  # of 49: the last batch has one image, for which two ranks are idle
        (
            "+experiment=mnist",
            "data.root=../data",
            "data.limit_train=49",
            "model.norm=none",
            "optimizer.lr=1e-2",
        ),
    ),
    "vqa": (
        30,  # of 99 questions: the last batch has 9
        VQA,
    ),
    "vqa accumulated": (
        12,  # of 99: nine batches, in windows of two, the last of which has one batch of 3
        (
            *VQA,
            *("task.loss=cross_entropy", "trainer.accumulate_grad_batches=2"),
        ),
    ),
    "infonce": (6, (*CLIP, "data.scenes_train=13")),
    "infonce of single pairs": (6, (*CLIP, "data.scenes_train=7", "task.tile=2")),  # batches of 3 and 4
    "siglip in parts": (
        12,
        (*CLIP, "data.scenes_train=25", "task.loss=siglip", "model.init_bias=-10", "task.micro_batch=2"),
    ),
    "frozen tower": (
        12,
        (*CLIP, "data.scenes_train=25", "task.freeze=[image_tower*]", "callbacks=[default,ema]"),
    ),
    "last layers": (12, (*CLIP, "data.scenes_train=25", "task.train_last={image_tower*: 1}")),
    "joined batch norm": (
        12,  # of 47: the last batch has 11
        (
            *("+experiment=mnist", "data.root=../data", "data.limit_train=47", "optimizer.lr=1e-2"),
            *("trainer.sync_batchnorm=true", "callbacks=[default,gradient_norms]"),
        ),
    ),
}
QUICK = (("classification", 3), ("vqa accumulated", 2), ("joined batch norm", 2))


@pytest.fixture(scope="module")
def run(launch, tmp_path_factory):
    """`run(case, ranks)`: the folder of a training on so many ranks, with the same joined batches."""
    made = {}

    def train(case, ranks, *more):
        if (case, ranks, more) not in made:
            batch, words = CASES[case]
            base = tmp_path_factory.mktemp("run")
            write_fixture(base / "data")
            many = (f"trainer.devices={ranks}", f"data.batch_size={batch // ranks}")
            done = launch(base / "here", (*COMMON, *words, *many, *more), ranks=ranks)
            assert not done.late, done.stderr
            assert done.codes == [0] * ranks, done.stderr
            made[case, ranks, more] = base / "here" / "runs" / "r"
        return made[case, ranks, more]

    return train


def logged(run, name):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


def compare(one, many):
    assert logged(many, "train/loss") == pytest.approx(logged(one, "train/loss"), rel=2e-5)
    assert len(logged(one, "train/loss")) >= 4
    assert logged(many, "train/grad_norm") == pytest.approx(logged(one, "train/grad_norm"), rel=1e-4)
    assert logged(many, "train/samples") == logged(one, "train/samples")
    steps = [json.loads((run / "summary.json").read_text())["steps"]["value"] for run in (one, many)]
    assert steps[0] == steps[1]
    one, many = (load_file(run / "checkpoints" / "final.safetensors") for run in (one, many))
    for name, value in one.items():
        torch.testing.assert_close(
            many[name], value, rtol=1e-4, atol=2e-6, msg=lambda text, n=name: f"{n}: {text}"
        )


@pytest.mark.parametrize(
    ("case", "ranks"),
    [
        pytest.param(case, ranks, marks=() if (case, ranks) in QUICK else pytest.mark.slow)
        for case in CASES
        for ranks in (2, 3)
    ],
)
def test_ranks_together_train_as_one_process(run, case, ranks):
    compare(run(case, 1), run(case, ranks))


@pytest.mark.slow
def test_per_rank_batch_norm_is_another_training(run):
    """What `trainer.sync_batchnorm` mends, and this test could not see otherwise."""
    with pytest.raises(AssertionError):
        compare(run("joined batch norm", 1), run("joined batch norm", 2, "trainer.sync_batchnorm=false"))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_static_graph_changes_no_bit(run, case):
    one = run(case, 2)
    other = run(case, 2, "strategy.static_graph=false", "strategy.gradient_as_bucket_view=false")
    one, other = (load_file(path / "checkpoints" / "final.safetensors") for path in (one, other))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-5, atol=1e-7, msg=name)


LEFT_OUT = "head.3.bias"
WORDS = (*COMMON, *CASES["vqa"][1], "data.batch_size=15", "trainer.devices=2")
STATIC_OFF = ("strategy.static_graph=false",)
SEARCH = (*STATIC_OFF, "strategy.find_unused_parameters=true")


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        pytest.param([1], (), id="missing later"),
        pytest.param([0], (), id="missing at first", marks=pytest.mark.slow),
        pytest.param([0], STATIC_OFF, id="not static", marks=pytest.mark.slow),
        pytest.param([1], ("trainer.accumulate_grad_batches=2",), id="accumulated", marks=pytest.mark.slow),
        pytest.param(
            [3],
            (*STATIC_OFF, "trainer.accumulate_grad_batches=2"),
            id="accumulated later",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_parameter_without_gradient_is_named(launch, tmp_path, batches, words):
    done = launch(
        tmp_path, (*WORDS, *words), "leave_out", ranks=2, parameter=LEFT_OUT, batches=batches, timeout=120
    )
    assert done.codes == [2, 2], done.stderr
    assert LEFT_OUT in done.stderr
    assert "strategy.find_unused_parameters=true strategy.static_graph=false" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_what_the_message_says_helps(launch, tmp_path):
    done = launch(
        tmp_path, (*WORDS, *SEARCH), "leave_out", ranks=2, parameter=LEFT_OUT, batches=[1, 3], timeout=120
    )
    assert done.codes == [0, 0], done.stderr
