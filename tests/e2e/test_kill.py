"""SIGKILL at random moments: the continued run ends with the bits of the uninterrupted one."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

WORDS = (
    "+experiment=vqa",
    "quick=true",
    "logger=none",
    "evaluator=[vqa_accuracy]",
    "trainer.max_epochs=6",
    "data.scenes_train=96",
    "callbacks=[default,ema]",
    "callbacks.checkpoints.every_steps=3",
)


def start(root, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "mmdl", "train", *words, f"run.root={root}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(process):
    error = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 0, error


def weights(root, run_id):
    return load_file(root / run_id / "checkpoints" / "final.safetensors")


def kill_and_resume(root, run_id, moment):
    """Kill once, `moment` seconds after the run folder appears; then continue to the end."""
    process = start(root, *WORDS, f"run.id={run_id}")
    while not (root / run_id / "config.yaml").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    lines = (
        (root / run_id / "metrics.jsonl").read_text() if (root / run_id / "metrics.jsonl").exists() else ""
    )
    finish(start(root, f"resume={run_id}"))
    assert not list((root / run_id).rglob(".tmp-*"))
    return lines


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    began = time.monotonic()
    finish(start(root, *WORDS, "run.id=whole"))
    config = (root / "whole" / "config.yaml").stat().st_mtime
    return weights(root, "whole"), time.monotonic() - began, time.time() - config


def check(whole, tmp_path, number):
    expected, _, after_start = whole
    moment = random.Random(number).uniform(0, after_start)
    kill_and_resume(tmp_path, f"kill{number}", moment)
    found = weights(tmp_path, f"kill{number}")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(value, found[name]), (name, moment)


@pytest.mark.parametrize("number", range(2))
def test_a_killed_run_ends_with_the_same_bits(whole, tmp_path, number):
    check(whole, tmp_path, number)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2, 20))
def test_twenty_kills_in_all(whole, tmp_path, number):
    check(whole, tmp_path, number)
