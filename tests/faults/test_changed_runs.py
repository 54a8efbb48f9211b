"""Runs that are continued on another number of ranks, or with another configuration or other data."""

import json
import shutil

import pytest

QUICK = ("train", "+experiment=mnist", "quick=true", "logger=none", "run.id=r", "evaluator=[classification]")
WORDS = (
    *(*QUICK, "data=digits", "data.limit_train=100", "data.batch_size=12", "data.eval_batch_size=100"),
    *("model.channels=[4,8]", "model.norm=none", "trainer.max_epochs=2", "trainer.log_every_n_steps=1"),
    *("trainer.accelerator=cpu", "callbacks.checkpoints.every_steps=1", "augment@data.augment=[flip]"),
)
"""Nine batches an epoch: eight of twelve images and one of four."""
INSIDE = {"at": "batch", "epoch": 1, "batch": 4}


def ranks_of(count, words=()):
    return (*words, f"trainer.devices={count}", *(() if count == 1 else ("data.num_workers=1",)))


@pytest.fixture(scope="module")
def stopped(exactness, tmp_path_factory):
    """Folders of a run that was killed inside its second epoch, by ranks; made once."""
    made = {}

    def get(ranks):
        if ranks not in made:
            folder = tmp_path_factory.mktemp(f"stopped-{ranks}")
            words = ranks_of(ranks, (*WORDS, f"data.batch_size={12 // ranks}"))
            done = exactness.run(folder, words, ranks, **INSIDE)
            assert all(code < 0 for code in done.codes), done.stderr
            made[ranks] = folder
        return made[ranks]

    return get


@pytest.fixture
def copied(stopped, tmp_path):
    """A folder with a copy of that run."""

    def copy(ranks=1):
        folder = shutil.copytree(stopped(ranks), tmp_path / "copy")
        lines = (folder / "note").read_text().splitlines(keepends=True)
        # one rank may have begun the batch before which another one killed all
        kept = [line for line in lines if json.loads(line)[:2] < [INSIDE["epoch"], INSIDE["batch"]]]
        (folder / "note").write_text("".join(kept))
        return folder

    return copy


def seen(order, epoch):
    """Images of an epoch, batch by batch."""
    return [rows for (number, _), rows in sorted(order.items()) if number == epoch]


MOVES = [(1, 2), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ((2, 1), (2, 3), (1, 3), (3, 2)))]


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_another_number_of_ranks_sees_the_same_order(before, after, exactness, copied):
    folder = copied(before)
    words = ("train", "resume=r", *ranks_of(after), f"data.batch_size={12 // after}")
    done = exactness.run(folder, words, after)
    assert done.codes == [0] * after, done.stderr
    named = "1 rank" if after == 1 else f"{after} ranks"
    said = f"{named} instead of {before}: the same order of samples, 12 in an optimizer step as before"
    assert said in done.stderr
    expected, found = exactness.whole(WORDS), exactness.read(folder)
    batches = seen(found[4], 1)
    rows = sorted(row for batch in batches for row in batch)
    assert rows == list(range(100))  # each image once over both parts
    # a last batch of four images has one for each rank, and the same rows on every number of ranks
    assert batches == seen(expected[4], 1)
    assert found[2]["steps"] == expected[2]["steps"]
    rates = [
        [row["train/learning_rate"] for row in log if "train/loss" in row] for log in (expected[3], found[3])
    ]
    assert rates[0] == rates[1]
    for one, other in zip(expected[1], found[1], strict=True):
        assert one["val/loss"] == pytest.approx(other["val/loss"], rel=0.02)


def test_the_samples_of_a_step_may_not_change_unsaid(exactness, copied):
    """Two ranks of as many samples as one had are refused; `global_batch_size` keeps the samples."""
    folder = copied()
    config = (folder / "runs" / "r" / "config.yaml").read_bytes()
    done = exactness.run(folder, ("train", "resume=r", *ranks_of(2)), 2)
    assert 2 in done.codes
    assert "samples of an optimizer step: 12 -> 24 (on 2 ranks instead of 1)" in done.stderr
    assert "global_batch_size=12" in done.stderr
    assert (folder / "runs" / "r" / "config.yaml").read_bytes() == config
    done = exactness.run(folder, ("train", "resume=r", *ranks_of(2), "global_batch_size=12"), 2)
    assert done.codes == [0, 0], done.stderr
    assert seen(exactness.read(folder)[4], 1) == seen(exactness.whole(WORDS)[4], 1)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_other_batches_begin_at_the_nearest_boundary(schedule, exactness, tmp_path):
    """Four batches of 12 were done; those of 20 go on at image 40, and the schedule still ends with the run."""
    words = (*WORDS, f"schedule={schedule}")
    exactness.run(tmp_path, words, **INSIDE)
    (tmp_path / "note").rename(tmp_path / "first")
    done = exactness.run(tmp_path, ("train", "resume=r", "data.batch_size=20", "allow_changes=true"))
    assert done.code == 0, done.stderr
    assert (
        "batches of 20 samples in place of 12: the epoch goes on at sample 40 of 100; 8 are seen again"
        in done.stderr
    )
    *_, log, order = exactness.read(tmp_path)
    assert sorted(order) == [(1, 2), (1, 3), (1, 4)]
    assert [len(batch) for batch in seen(order, 1)] == [20, 20, 20]
    whole = [row for batch in seen(exactness.whole(WORDS)[4], 1) for row in batch]
    assert [row for batch in seen(order, 1) for row in batch] == whole[40:]
    rates = [row["train/learning_rate"] for row in log if "train/loss" in row]
    assert len(rates) == 9 + 4 + 3
    assert rates[-1] < 0.2 * max(rates)
    summary = json.loads((tmp_path / "runs" / "r" / "summary.json").read_text())
    assert summary["steps"]["value"] == 16


REFUSED = {
    "seed=1": "seed: 0 -> 1",
    "data.batch_size=24": "samples of an optimizer step: 12 -> 24",
    "optimizer.lr=0.5": "optimizer.lr: 0.01 -> 0.5",
    "optimizer=sgd": "optimizer.name: AdamW -> SGD",
    "schedule=linear": "schedule._target_",
    "trainer.max_epochs=9": "trainer.max_epochs: 2 -> 9",
    "trainer.precision=64-true": " -> 64-true",
    "trainer.accumulate_grad_batches=2": "trainer.accumulate_grad_batches: 1 -> 2",
    "callbacks=[default,ema]": "callbacks.ema",
    "+experiment=mnist augment@data.augment=[crop]": "data.augment.crop",
    "data.limit_train=50": "data.limit_train: 100 -> 50",
    "model.channels=[8,8]": "model.channels: [4, 8] -> [8, 8]",
    "+experiment=cifar10": "experiment: mnist -> cifar10",
    "debug=overfit": "debug: None -> overfit",
    "quick=false": "quick: True -> False",
}


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(w, marks=[] if w in ("seed=1", "+experiment=cifar10") else pytest.mark.slow)
        for w in REFUSED
    ],
)
def test_a_change_is_refused(word, exactness, stopped):
    folder = stopped(1)
    run = folder / "runs" / "r"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = exactness.run(folder, ("train", "resume=r", *word.split()))
    assert done.code == 2
    assert "Traceback" not in done.stderr
    assert REFUSED[word] in done.stderr
    assert "allow_changes=true" in done.stderr
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_what_is_the_same_goes_through_and_is_said(exactness, copied):
    folder = copied()
    words = (
        "train",
        "+experiment=mnist",
        "seed=0",
        "data.num_workers=1",
        "callbacks.checkpoints.keep=5",
        "resume=r",
    )
    done = exactness.run(folder, words)
    assert done.code == 0, done.stderr
    assert "changed      callbacks.checkpoints.keep: 2 -> 5; data.num_workers: 0 -> 1" in done.stderr
    assert exactness.read(folder)[1:4] == exactness.whole(WORDS)[1:4]


@pytest.mark.slow
@pytest.mark.parametrize("words", [("optimizer.lr=0.001",), ("optimizer=sgd", "optimizer.lr=0.001")])
def test_changes_that_are_wanted_take_effect(words, exactness, copied):
    folder = copied()
    done = exactness.run(folder, ("train", "resume=r", "allow_changes=true", *words))
    assert done.code == 0, done.stderr
    assert "changed      optimizer." in done.stderr
    log = [row for row in exactness.read(folder)[3] if "train/loss" in row]
    plain = [row for row in exactness.whole(WORDS)[3] if "train/loss" in row]
    assert [row["train/learning_rate"] for row in log[:13]] == [
        row["train/learning_rate"] for row in plain[:13]
    ]
    for row, expected in zip(log[13:], plain[13:], strict=True):
        assert row["train/learning_rate"] == pytest.approx(expected["train/learning_rate"] / 10)


@pytest.mark.slow
def test_a_run_may_be_longer_than_it_was(exactness, copied):
    folder = copied()
    words = ("train", "resume=r", "trainer.max_epochs=3", "allow_changes=true", "schedule=cosine")
    done = exactness.run(folder, words)
    assert done.code == 0, done.stderr
    assert exactness.read(folder)[2]["steps"]["value"] == 27


def test_other_data_are_refused(exactness, fixture_tree, tmp_path):
    words = (
        *QUICK,
        "data=imagefolder",
        f"data.root={fixture_tree}",
        "data.image_size=32",
        "data.batch_size=16",
    )
    exactness.run(tmp_path, (*words, "callbacks.checkpoints.every_steps=1"), at="batch", epoch=0, batch=2)
    next(fixture_tree.glob("red/*.jpg")).unlink()
    done = exactness.run(tmp_path, ("train", "resume=r"))
    assert done.code == 2
    assert "the data has changed since the run 'r' began: " in done.stderr
    assert "Traceback" not in done.stderr
    done = exactness.run(tmp_path, ("train", "resume=r", "allow_changes=true"))
    assert done.code == 0, done.stderr
    assert "the data has changed since the run 'r' began: " in done.stderr


@pytest.fixture
def fixture_tree(tmp_path):
    from mmdl.data.imagefolder import write_fixture

    write_fixture(tmp_path / "tree")
    return tmp_path / "tree"


@pytest.mark.slow
def test_a_run_folder_may_be_moved(exactness, copied):
    folder = copied()
    (folder / "elsewhere").mkdir()
    (folder / "runs" / "r").rename(folder / "elsewhere" / "s")
    done = exactness.run(folder, ("train", f"resume={folder / 'elsewhere' / 's'}"))
    assert done.code == 0, done.stderr
    assert not (folder / "runs" / "r").exists()
    assert (folder / "elsewhere" / "s" / "checkpoints" / "final.safetensors").is_file()


@pytest.mark.slow
def test_a_command_that_torchrun_repeats_continues_and_another_one_is_refused(exactness, tmp_path):
    facts = {"TORCHELASTIC_RUN_ID": "trial", "RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}
    facts |= {"WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    words = tuple(word for word in WORDS if word != "run.id=r")
    done = exactness.run(tmp_path, words, environment=facts, **INSIDE)
    assert done.code < 0
    done = exactness.run(tmp_path, (*words, "optimizer.lr=0.5"), environment=facts)
    assert done.code == 2
    assert "optimizer.lr: 0.01 -> 0.5" in done.stderr
    done = exactness.run(tmp_path, words, environment=facts)
    assert done.code == 0, done.stderr
    assert "resuming     at step 13" in done.stderr
    (tmp_path / "runs" / "torchrun-trial").rename(tmp_path / "runs" / "r")
    assert exactness.read(tmp_path)[1:4] == exactness.whole(WORDS)[1:4]
