"""Sweeps of real trainings, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

SMALL = ("+experiment=mnist", "data=digits", "logger=none", "callbacks=[default]", "model.channels=[8]")


def begin(folder, *words, name="lr"):
    return subprocess.Popen(
        [sys.executable, "-m", "mmdl", "sweep", *SMALL, f"sweep.name={name}", *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sweep(folder, *words, name="lr"):
    process = begin(folder, *words, name=name)
    out = process.communicate(timeout=600)[0]
    assert process.returncode == 0, out
    return out


def trials(folder, name="lr"):
    return json.loads((folder / "runs" / "sweeps" / name / "sweep.json").read_text())["trials"]


def figures(folder, run):
    """What a training has come to, without its clocks."""
    summary = json.loads((folder / "runs" / run / "summary.json").read_text())
    lines = (folder / "runs" / run / "metrics.jsonl").read_text().splitlines()
    measured = [
        {k: v for k, v in json.loads(line).items() if k.startswith(("val/", "train/loss", "step"))}
        for line in lines
    ]
    kept = {k: v for k, v in summary.items() if not k.startswith(("time/", "cost/"))}
    return kept, [row for row in measured if row]


def test_a_trial_is_a_run_like_any_other(tmp_path, run_command, monkeypatch):
    out = sweep(tmp_path, "trainer.max_epochs=1", "seed=choice(1)")
    assert "best         as it is: val/accuracy" in out
    assert [trial["state"] for trial in trials(tmp_path)] == ["finished"]
    monkeypatch.chdir(tmp_path)
    run_command("train", *SMALL, "trainer.max_epochs=1", "seed=1", "run.id=alone")
    ours, alone = figures(tmp_path, "lr-1"), figures(tmp_path, "alone")
    assert ours[0]["test/accuracy"] == alone[0]["test/accuracy"]
    assert ours[0]["best/val/accuracy"] == alone[0]["best/val/accuracy"]
    assert ours[1] == alone[1]
    from mmdl.commands.ls import run_rows

    assert {row["run"]: row["state"] for row in run_rows(tmp_path / "runs")}["lr-1"] == "finished"


@pytest.mark.slow
def test_a_sweep_whose_trials_and_itself_are_killed_comes_to_the_same_bits(tmp_path):
    words = (
        "trainer.max_epochs=30",
        "callbacks.checkpoints.every_steps=3",
        "optimizer.lr=1e-2,1e-3",
    )
    undisturbed, disturbed = tmp_path / "a", tmp_path / "b"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
    sweep(undisturbed, *words)
    process = begin(disturbed, *words)
    _kill_run(disturbed, "lr-1")  # the sweep starts it once more
    _kill_run(disturbed, "lr-2", and_then=process)
    process.communicate()
    before = (disturbed / "runs" / "lr-1" / "summary.json").stat().st_mtime_ns
    sweep(disturbed, *words)
    assert (disturbed / "runs" / "lr-1" / "summary.json").stat().st_mtime_ns == before
    found = trials(disturbed)
    assert [trial["attempts"] for trial in found] == [2, 2]
    expected = trials(undisturbed)
    assert [(t["overrides"], t["value"]) for t in found] == [(t["overrides"], t["value"]) for t in expected]
    for trial in found:
        assert figures(disturbed, trial["run"]) == figures(undisturbed, trial["run"])


@pytest.mark.slow
def test_term_stops_real_trials_with_a_checkpoint(tmp_path):
    words = ("trainer.max_epochs=400", "seed=0,1", "sweep.jobs=2")
    process = begin(tmp_path, *words)
    for run in ("lr-1", "lr-2"):
        _wait_for_step(tmp_path / "runs" / run)
    process.send_signal(signal.SIGTERM)
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 143
    assert "python -m mmdl sweep resume=lr" in out
    assert [trial["state"] for trial in trials(tmp_path)] == ["interrupted", "interrupted"]
    for run in ("lr-1", "lr-2"):
        assert json.loads((tmp_path / "runs" / run / "status.json").read_text())["status"] == "preempted"
        assert list((tmp_path / "runs" / run / "checkpoints").glob("last-step=*.ckpt"))


def _wait_for_step(run, step=10):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        path = run / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.is_file() else []
        steps = [json.loads(line).get("step", 0) for line in lines if line.endswith("}")]
        if max(steps, default=0) >= step:
            return
        time.sleep(0.02)
    raise AssertionError(f"{run} has not come to step {step}")


def _kill_run(folder, run, and_then=None):
    _wait_for_step(folder / "runs" / run)
    pid = json.loads((folder / "runs" / run / "status.json").read_text())["pid"]
    if and_then is not None:
        and_then.kill()
    os.kill(pid, signal.SIGKILL)
