"""Without W&B's service a training goes on: the run folder has all figures."""

import json

WORDS = (
    *(
        "train",
        "+experiment=vqa",
        "quick=true",
        "evaluator=[vqa_accuracy]",
        "run.id=r",
        "data.scenes_train=96",
    ),
    *("trainer.log_every_n_steps=1", "trainer.max_epochs=2"),
)


def test_the_service_may_end(launch, tmp_path):
    done = launch(tmp_path, WORDS, "tracker_ends")
    assert done.code == 0, done.stderr
    assert done.stderr.count("W&B's service has ended") == 1
    assert not done.left
    run = tmp_path / "runs" / "r"
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert max(row["step"] for row in rows if "train/loss" in row) > 20
