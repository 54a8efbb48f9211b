"""The offline run of W&B holds the same figures as the run folder, and nothing asks or waits."""

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def logged(tmp_path_factory, data_home):
    """A quick run in a process of its own, with several loggers and no W&B account."""
    import os

    root = tmp_path_factory.mktemp("wandb")
    env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | {"HOME": str(root)}
    words = ["train", "+experiment=vqa", "quick=true", "logger=[wandb,csv,tensorboard]", "run.id=w.1"]
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", *words],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return root / "runs" / "w.1", done


def test_being_offline_is_said_in_one_line(logged):
    _, done = logged
    lines = [line for line in done.stderr.splitlines() if "W&B" in line or "wandb" in line.lower()]
    assert len([line for line in lines if "offline" in line]) == 1
    assert "not logged in" in "".join(lines)


def test_no_noise_of_lightning_reaches_the_console(logged):
    _, done = logged
    for noise in ("Tip:", "GPU available", "warn", "WARNING", "num_workers", "Traceback"):
        assert noise not in done.stderr, done.stderr


def test_every_logger_wrote_into_the_run_folder(logged):
    run, _ = logged
    assert list(run.glob("csv/**/metrics.csv"))
    assert list(run.glob("tensorboard/**/events.*"))
    assert list(run.glob("wandb/offline-run-*/run-*.wandb"))
    staged = [path for path in run.glob("wandb/data/**/tmp*") if path.is_file()]
    assert any(path.read_bytes()[:4] == b"\x89PNG" for path in staged), "images of the table of predictions"
    assert sorted(p.name for p in run.parent.parent.iterdir() if not p.name.startswith(".")) == ["runs"]


def test_the_offline_run_holds_the_figures_of_the_run_folder(logged):
    run, _ = logged
    [path] = run.glob("wandb/offline-run-*/run-*.wandb")
    done = subprocess.run(
        ["wandb", "leet", "inspect", "--json", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=__import__("os").environ
        | {"PATH": f"{__import__('pathlib').Path(sys.executable).parent}:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((run / "summary.json").read_text())
    for name in ("test/vqa_accuracy", "baseline/question_only/vqa_accuracy"):
        assert repr(summary[name]["value"])[:12] in done.stdout, name
    assert "api_key" not in done.stdout
