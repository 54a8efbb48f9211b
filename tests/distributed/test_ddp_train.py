"""Two ranks on the CPU: one run folder, every test sample once, the verb's argv whole."""

import json
import os
import subprocess
import sys


def test_two_ranks_train_and_count_every_sample_once(tmp_path, data_home):
    words = [
        "train",
        "+experiment=vqa",
        "quick=true",
        "logger=none",
        "evaluator=[vqa_accuracy]",
        "run.id=ddp",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        "data.batch_size=32",
        "data.eval_batch_size=50",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", *words],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["ddp"]
    run = tmp_path / "runs" / "ddp"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["test/vqa_accuracy"]["n"] == 144
    rows = [json.loads(line) for line in (run / "predictions" / "test.jsonl").read_text().splitlines()]
    assert len({row["question_id"] for row in rows}) == len(rows) == 144
    # 48 scenes of 9 questions in global batches of 64: the steps of one process with batches of 64
    assert summary["steps"]["value"] == 7
