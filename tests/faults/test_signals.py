"""USR1, USR2 and TERM at named moments: the continued run ends with the bits of one that was not stopped."""

import itertools
import json
import signal

import pytest
import torch

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("trainer.max_epochs=2", "data.scenes_train=96", "data.eval_batch_size=20", "callbacks=[default,ema]"),
)
CODES = {"SIGUSR1": 138, "SIGUSR2": 140, "SIGTERM": 143}
MOMENTS = ("start-up", "step", "validation", "epoch end", "test")


@pytest.fixture(scope="module")
def whole(launch, results, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    done = launch(folder, WORDS)
    assert done.code == 0, done.stderr
    return results(folder / "runs" / "r")


def resume(launch, folder, words=("train", "resume=r"), ranks=1):
    done = launch(folder, words, ranks=ranks)
    assert done.codes == [0] * ranks, done.stderr
    assert not done.left
    return folder / "runs" / "r"


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture
def check(launch, results, whole, tmp_path):
    def stop_and_continue(moment, number, workers, group):
        words = (*WORDS, f"data.num_workers={workers}")
        skip = int(moment in ("validation", "test"))  # the second batch of it
        case = {"moment": moment, "number": number, "group": group, "skip": skip, "times": 2}
        done = launch(tmp_path, words, "signal_at", **case)
        assert done.code == CODES[number], done.stderr
        assert not done.left
        run = tmp_path / "runs" / "r"
        if moment == "start-up":
            assert f"stopped by {number} before anything was done; run the command again" in done.stderr
            assert not run.exists()
        else:
            assert json.loads((run / "status.json").read_text())["status"] == "preempted"
            assert f"stopped by {number}; to continue: python -m mmdl train resume=r" in done.stderr
            assert "Traceback" not in done.stderr
        weights, figures, summary = results(resume(launch, tmp_path, *([] if run.exists() else [words])))
        assert equal(whole[0], weights)
        assert (figures, summary) == whole[1:]
        assert [path.name for path in (tmp_path / "runs").iterdir()] == ["r"]
        assert json.loads((run / "status.json").read_text())["status"] == "finished"

    return stop_and_continue


QUICK = (
    ("step", "SIGUSR1", 2, True),
    ("validation", "SIGTERM", 0, False),
)


@pytest.mark.parametrize(("moment", "number", "workers", "group"), QUICK)
def test_a_stopped_run_ends_with_the_same_bits(check, moment, number, workers, group):
    check(moment, number, workers, group)


ALL = itertools.product(MOMENTS, CODES, (0, 2), (False, True))


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "number", "workers", "group"), [c for c in ALL if c not in QUICK])
def test_sixty_cases_in_all(check, moment, number, workers, group):
    check(moment, number, workers, group)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["ranks meet", "last step", "validation begins", "evaluators", "saving"])
def test_other_moments(check, moment):
    check(moment, "SIGTERM", 2, True)


@pytest.mark.slow
def test_accumulated_gradients_are_stepped_first(launch, results, tmp_path):
    """At a signal in the middle of an accumulation."""
    accumulating = (*WORDS, "trainer.accumulate_grad_batches=4", "data.batch_size=16")
    expected = results(resume(launch, tmp_path / "whole", accumulating))
    done = launch(tmp_path / "stopped", accumulating, "signal_at", moment="accumulation")
    assert done.code == CODES["SIGTERM"], done.stderr
    assert "saved at step 2" in done.stderr
    found = results(resume(launch, tmp_path / "stopped"))
    assert equal(expected[0], found[0])
    assert found[1:] == expected[1:]


RANKS = (*WORDS, "trainer.devices=2", "trainer.accelerator=cpu", "data.num_workers=1")


@pytest.mark.slow
@pytest.mark.parametrize("everyone", [False, True])
def test_two_ranks_save_at_the_same_step(launch, results, tmp_path, everyone):
    """The signal reaches the first rank only, or all processes with their loader workers."""
    expected = results(resume(launch, tmp_path / "whole", RANKS, ranks=2))
    done = launch(tmp_path / "stopped", RANKS, "signal_at", ranks=2, moment="step", group=everyone)
    assert done.codes == [CODES["SIGTERM"]] * 2, done.stderr
    found = results(resume(launch, tmp_path / "stopped", ranks=2))
    assert equal(expected[0], found[0])


@pytest.mark.slow
def test_wandb_goes_on_under_the_same_id(launch, tmp_path):
    """A signal to all processes does not reach W&B's service, which is told of the preemption."""
    words = [word for word in WORDS if word != "logger=none"]
    done = launch(tmp_path, words, "signal_at", moment="step", group=True)
    assert done.code == CODES["SIGTERM"], done.stderr
    assert "Traceback" not in done.stderr
    run = resume(launch, tmp_path)
    folders = [path.name for path in (run / "wandb").glob("offline-run-*")]
    assert len(folders) == 2
    assert {name.rpartition("-")[2] for name in folders} == {"r"}


def test_the_codes_are_those_of_a_shell():
    assert {name: 128 + int(getattr(signal, name)) for name in CODES} == CODES
