"""Two ranks log the gradient after its all-reduce, and the train loss over all samples: those of one process."""

import json
import os
import subprocess
import sys

import pytest

WORDS = (
    *("train", "+experiment=overfit", "logger=none", "evaluator=[classification]"),
    "callbacks=[default,early_stopping,learning_curves,gradient_norms]",
    *("callbacks.gradient_norms.every_n_steps=1", "trainer.max_epochs=2", "data.limit_train=64"),
    *(
        "trainer.gradient_clip_val=0.05",
        "optimizer=sgd",
        "optimizer.momentum=0.0",
        "optimizer.nesterov=false",
    ),
)


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data_home, run_command):
    root = tmp_path_factory.mktemp("norms")
    ranks = ("trainer.devices=2", "trainer.accelerator=cpu", "data.batch_size=16")
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
    run_command("train", *WORDS[1:], "data.batch_size=32", f"run.root={root}", "run.id=one")
    return rows_of(root / "one"), rows_of(root / "two"), root


def test_the_norms_are_those_of_the_global_batch(runs):
    one, two = (
        {
            row["step"]: {k: v for k, v in row.items() if k.startswith("gradient_norm/")}
            for row in rows
            if "gradient_norm/total" in row
        }
        for rows in runs[:2]
    )
    assert list(one) == list(two) == [1, 2, 3, 4]
    for step, norms in one.items():
        assert norms.keys() == two[step].keys()
        assert norms["gradient_norm/total"] > 0.05, "before clipping"
        for name, value in norms.items():
            assert two[step][name] == pytest.approx(value, rel=1e-3), (step, name)


def test_train_is_evaluated_over_every_sample_once(runs):
    one, two = ([row for row in rows if "train_eval/loss" in row] for rows in runs[:2])
    assert len(one) == len(two) == 2
    for ours, theirs in zip(one, two, strict=True):
        assert theirs["train_eval/loss"] == pytest.approx(ours["train_eval/loss"], rel=1e-4)
        assert theirs["train_eval/accuracy"] == pytest.approx(ours["train_eval/accuracy"], abs=1e-6)
    assert (runs[2] / "two" / "curves.png").is_file()
