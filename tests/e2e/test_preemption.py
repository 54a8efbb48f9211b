"""USR1, USR2 and TERM at named moments: the continued run ends with the bits of one that was not stopped."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

PROGRAM = Path(__file__).with_name("signalled_runs.py")
WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("trainer.max_epochs=2", "data.scenes_train=96", "data.eval_batch_size=20", "callbacks=[default,ema]"),
)
CODES = {"SIGUSR1": 138, "SIGUSR2": 140, "SIGTERM": 143}
MOMENTS = ("start-up", "step", "validation", "epoch end", "test")


@pytest.fixture(scope="module")
def launch(data_home):
    """`launch(folder, words, moment=..., ...)` gives a run's exit code and what it wrote to stderr."""
    program = subprocess.Popen(
        [sys.executable, str(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    def run(folder, words, moment=None, **case):
        folder.mkdir(exist_ok=True)
        case = {"signal": "SIGTERM", "group": False} | case
        program.stdin.write(
            json.dumps({"folder": str(folder), "words": words, "moment": moment, **case}) + "\n"
        )
        program.stdin.flush()
        return int(program.stdout.readline()), (folder / "stderr").read_text()

    yield run
    program.stdin.close()
    program.wait(timeout=60)
    program.stdout.close()


def results(folder):
    """Everything of a run that must not depend on whether it was stopped."""
    run = folder / "runs" / "r"
    weights = {
        f"{kind}/{name}": value
        for kind in ("final", "best")
        for name, value in load_file(run / "checkpoints" / f"{kind}.safetensors").items()
    }
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    figures = [{k: v for k, v in row.items() if k != "time"} for row in rows if "val/vqa_accuracy" in row]
    summary = json.loads((run / "summary.json").read_text())
    return weights, figures, {name: value for name, value in summary.items() if not name.startswith("time/")}


@pytest.fixture(scope="module")
def whole(launch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    code, error = launch(folder, WORDS)
    assert code == 0, error
    return results(folder)


def check(launch, whole, folder, moment, number, workers, group, **case):
    words = (*WORDS, f"data.num_workers={workers}")
    skip = int(moment in ("validation", "test"))  # the second batch of it
    code, error = launch(folder, words, moment, signal=number, group=group, skip=skip, times=2, **case)
    assert code == CODES[number], error
    run = folder / "runs" / "r"
    if moment == "start-up":
        assert f"stopped by {number} before anything was done; run the command again" in error
        assert not run.exists()
    else:
        assert json.loads((run / "status.json").read_text())["status"] == "preempted"
        assert f"stopped by {number}; to continue: python -m mmdl train resume=r" in error
        assert "Traceback" not in error
    code, error = launch(folder, ("train", "resume=r") if run.exists() else words)
    assert code == 0, error
    weights, figures, summary = results(folder)
    for name, value in whole[0].items():
        assert torch.equal(value, weights[name]), name
    assert (figures, summary) == whole[1:]
    assert [path.name for path in (folder / "runs").iterdir()] == ["r"]
    assert json.loads((run / "status.json").read_text())["status"] == "finished"


QUICK = (
    ("step", "SIGUSR1", 2, True),
    ("validation", "SIGTERM", 0, False),
)


@pytest.mark.parametrize(("moment", "number", "workers", "group"), QUICK)
def test_a_stopped_run_ends_with_the_same_bits(launch, whole, tmp_path, moment, number, workers, group):
    check(launch, whole, tmp_path, moment, number, workers, group)


ALL = itertools.product(MOMENTS, CODES, (0, 2), (False, True))


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "number", "workers", "group"), [c for c in ALL if c not in QUICK])
def test_sixty_cases_in_all(launch, whole, tmp_path, moment, number, workers, group):
    check(launch, whole, tmp_path, moment, number, workers, group)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["ranks meet", "last step", "validation begins", "evaluators", "saving"])
def test_other_moments(launch, whole, tmp_path, moment):
    check(launch, whole, tmp_path, moment, "SIGTERM", 2, True)


@pytest.mark.slow
def test_accumulated_gradients_are_stepped_first(launch, tmp_path):
    """At a signal in the middle of an accumulation."""
    accumulating = (*WORDS, "trainer.accumulate_grad_batches=4", "data.batch_size=16")
    code, error = launch(tmp_path / "whole", accumulating)
    assert code == 0, error
    code, error = launch(tmp_path / "stopped", accumulating, "accumulation")
    assert code == CODES["SIGTERM"], error
    assert "saved at step 2" in error
    code, error = launch(tmp_path / "stopped", ("train", "resume=r"))
    assert code == 0, error
    whole, stopped = results(tmp_path / "whole"), results(tmp_path / "stopped")
    assert all(torch.equal(value, stopped[0][name]) for name, value in whole[0].items())
    assert stopped[1:] == whole[1:]


@pytest.mark.slow
@pytest.mark.parametrize("everyone", [False, True])
def test_two_ranks_save_at_the_same_step(launch, tmp_path, everyone):
    """The signal reaches the first rank only, or all processes with their loader workers."""
    ranks = ("trainer.devices=2", "trainer.accelerator=cpu", "trainer.strategy=ddp", "data.num_workers=1")
    code, error = launch(tmp_path / "whole", (*WORDS, *ranks))
    assert code == 0, error
    code, error = launch(tmp_path / "stopped", (*WORDS, *ranks), "step", group=everyone)
    assert code == CODES["SIGTERM"], error
    code, error = launch(tmp_path / "stopped", ("train", "resume=r"))
    assert code == 0, error
    whole, stopped = results(tmp_path / "whole"), results(tmp_path / "stopped")
    assert all(torch.equal(value, stopped[0][name]) for name, value in whole[0].items())


@pytest.mark.slow
def test_wandb_goes_on_under_the_same_id(launch, tmp_path):
    """A signal to all processes does not reach W&B's service, which is told of the preemption."""
    words = [word for word in WORDS if word != "logger=none"]
    code, error = launch(tmp_path, words, "step", group=True)
    assert code == CODES["SIGTERM"], error
    assert "Traceback" not in error
    code, error = launch(tmp_path, ("train", "resume=r"))
    assert code == 0, error
    folders = [path.name for path in (tmp_path / "runs" / "r" / "wandb").glob("offline-run-*")]
    assert len(folders) == 2
    assert {name.rpartition("-")[2] for name in folders} == {"r"}


def test_the_codes_are_those_of_a_shell():
    assert {name: 128 + int(getattr(signal, name)) for name in CODES} == CODES
