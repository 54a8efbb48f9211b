"""1, 2 and 3 ranks on the same global batch: the same losses, weights and retrieval figures."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

GLOBAL_BATCH = 18
"""Of 48 images: two batches of 18, and a last one of 12, which is split too."""


def _mmdl(folder, *words):
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_home, run_command):
    """A run of each number of ranks."""
    folder = tmp_path_factory.mktemp("clip")
    for ranks in (1, 2, 3):
        words = (
            *("train", "+experiment=clip", "quick=true", "logger=none", "evaluator=[retrieval]"),
            *("evaluator.retrieval.resamples=50", "trainer.accelerator=cpu", "trainer.precision=32-true"),
            *("trainer.log_every_n_steps=1", "optimizer.lr=1e-4", f"run.id=ranks{ranks}"),
            *(f"data.batch_size={GLOBAL_BATCH // ranks}", "data.eval_batch_size=5"),
        )
        if ranks == 1:
            run_command(*words, f"run.root={folder / 'runs'}")
        else:
            many = (f"trainer.devices={ranks}", "task.tile=7", "task.micro_batch=4")
            _mmdl(folder, *words, *many)
    return folder / "runs"


def _figures(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("ranks", [2, 3])
def test_losses_and_weights_are_those_of_one_process(folder, ranks):
    rows = [
        [json.loads(line) for line in (folder / f"ranks{n}" / "metrics.jsonl").read_text().splitlines()]
        for n in (1, ranks)
    ]
    for name, count in (("train/loss", 3), ("val/loss", 1), ("val/loss_batch", 1)):
        one, other = ([row[name] for row in of if name in row] for of in rows)
        assert len(one) == count
        assert other == pytest.approx(one, rel=2e-5), name
    one, other = (load_file(folder / f"ranks{n}" / "checkpoints" / "final.safetensors") for n in (1, ranks))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=0, atol=2e-5, msg=name)


@pytest.mark.parametrize("ranks", [2, 3])
def test_the_same_weights_have_the_same_figures_with_the_same_n(folder, ranks, run_command, tmp_path):
    run = folder / f"ranks{ranks}"
    summary = _figures(run / "summary.json")
    words = (f"run={run.name}", f"root={folder}", f"output={tmp_path}")
    run_command("eval", *words, "+trainer.devices=1")
    found = _figures(tmp_path / "evaluation" / "test" / "figures.json")
    assert summary["test/text_to_image/recall@1"]["n"] == 16
    assert summary["test/loss_batch"]["value"] == GLOBAL_BATCH
    loss = summary["test/loss"]["value"]
    assert found.pop("test/loss")["value"] == pytest.approx(loss, rel=1e-6)
    assert len(found) >= 9
    assert found == {name: summary[name] for name in found}
