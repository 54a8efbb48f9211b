"""Two ranks log the diagnosis of the joined batch: that of one process."""

import json
import os
import subprocess
import sys

import pytest

WORDS = (
    *("train", "+experiment=clip", "quick=true", "logger=none", "evaluator=[retrieval]"),
    *("callbacks=[default,contrastive_diagnosis]", "callbacks.contrastive_diagnosis.patience=4"),
    *("trainer.precision=32-true", "trainer.max_epochs=2", "optimizer.lr=0", "optimizer.weight_decay=0"),
)
SHARED = (
    *("chance_level", "loss_floor", "duplicate_positives", "repeated_captions", "positives_per_image"),
    *("gradient_norm/image_tower", "gradient_norm/text_tower", "gradient_norm/logit_scale"),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data_home, run_command):
    """Rows of metrics.jsonl of one process and of two, and what the two said on the console."""
    root = tmp_path_factory.mktemp("diagnosis")
    ranks = ("trainer.devices=2", "trainer.accelerator=cpu", "data.batch_size=8")
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", *WORDS, *ranks, f"run.root={root}", "run.id=two"],
        cwd=root,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    run_command("train", *WORDS[1:], "data.batch_size=16", f"run.root={root}", "run.id=one")
    one, two = (
        [json.loads(line) for line in (root / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("one", "two")
    )
    return one, two, done.stderr


def test_the_figures_are_those_of_the_joined_batch(runs):
    one, two = ([row for row in rows if "train/chance_level" in row] for rows in runs[:2])
    assert [row["step"] for row in one] == [row["step"] for row in two] == list(range(1, 7))
    for alone, joined in zip(one, two, strict=True):
        for name in SHARED:
            assert joined[f"train/{name}"] == pytest.approx(alone[f"train/{name}"], rel=1e-3, abs=1e-6), name
        assert alone["train/chance_level"] == pytest.approx(3.1191623, abs=1e-6)  # 16 images, 32 captions


def test_one_rank_says_it_once(runs):
    assert runs[2].count("does not fall") == 1
    assert "(1) learning rate: it is 0" in runs[2]
