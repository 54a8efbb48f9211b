"""A loader process that dies, hangs or runs out of memory ends the run, with the cause and the sample."""

import json

import pytest

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=none", "evaluator=[vqa_accuracy]", "run.id=r"),
    *("trainer.max_epochs=2", "data.scenes_train=96", "data.num_workers=1", "data.worker_timeout_s=2"),
    *("callbacks.checkpoints.every_steps=2",),
)
SAYS = {
    "killed": "was killed by SIGKILL, as Linux does where memory runs out",
    "exit": "ended with exit code 3",
    "segfault": "was killed by SIGSEGV",
    "abort": "was killed by SIGABRT",
    "hang": "hangs: no sample for 2 s",
    "memory": "a loader process ran out of memory (MemoryError)",
    "raises": "a loader process failed",
}
"""Fault -> what the message says; `KeyError` is a bug, and keeps its traceback."""


def check(launch, folder, fault, ranks=1, words=(), **arguments):
    done = launch(folder, (*WORDS, *words), "loader_fault", fault=fault, ranks=ranks, grace=30, **arguments)
    assert not done.late, done.stderr
    assert not done.left
    code = done.codes[arguments.get("on_rank", 0)]
    text = done.stderr if not arguments.get("on_rank") else (folder / "stderr.1").read_text()
    assert code == (1 if fault == "raises" else 2), text
    assert SAYS[fault] in text
    assert ("Traceback" in text) == (fault == "raises")
    status = json.loads((folder / "runs" / "r" / "status.json").read_text())
    assert status["status"] == "failed"
    return done, text


QUICK = ("killed", "hang", "raises")


@pytest.mark.parametrize("fault", QUICK)
def test_the_message_names_cause_and_sample(launch, tmp_path, fault):
    _, text = check(launch, tmp_path, fault)
    assert "at question ids 1007, in a batch of" in text


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault for fault in SAYS if fault not in QUICK])
def test_other_faults(launch, tmp_path, fault):
    _, text = check(launch, tmp_path, fault)
    assert "at question ids" in text


@pytest.mark.slow
@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("fault", ["killed", "hang"])
def test_evaluation(launch, tmp_path, split, fault):
    _, text = check(launch, tmp_path, fault, split=split)
    assert "at question ids" in text


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["killed", "hang"])
def test_what_no_sample_does_alone_names_the_batch(launch, tmp_path, fault):
    _, text = check(launch, tmp_path, fault, alone=False)
    assert "(none of them alone does it again)" in text


@pytest.mark.parametrize("on_rank", [1])
def test_the_other_rank_ends_too(launch, tmp_path, on_rank):
    words = ("trainer.devices=2", "trainer.accelerator=cpu")
    done, _ = check(launch, tmp_path, "killed", ranks=2, words=words, on_rank=on_rank)
    assert done.codes[1 - on_rank] != 0
