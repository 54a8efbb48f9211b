"""A run that was stopped and continued offline is one run of W&B: same id, no step twice, the best of both parts."""

import json

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "evaluator=[vqa_accuracy]", "run.id=r", "logger=[wandb]"),
    *("trainer.max_epochs=3", "trainer.log_every_n_steps=1"),
)


def test_both_parts_are_one_run(stopping, tmp_path, offline_run):
    done = stopping.start(tmp_path, WORDS, number="SIGTERM", moment="step", group=False, skip=0, times=1)
    assert done.code == stopping.codes["SIGTERM"], done.stderr
    run = tmp_path / "runs" / "r"
    artifacts = run / "wandb" / "artifacts"
    assert not artifacts.exists(), "nothing half of a run that was stopped"
    done = stopping.start(tmp_path, ("train", "resume=r"))
    assert done.code == 0, done.stderr
    first, second = (offline_run(path) for path in sorted(run.glob("wandb/offline-run-*/*.wandb")))
    assert first.run["run_id"] == second.run["run_id"] == "r"
    assert first.run["run_group"] == second.run["run_group"] == "vqa"
    assert not first.artifacts
    assert set(second.artifacts) >= {"config-r", "predictions-r", "answers-r"}
    assert first.of("exit")[0]["exit_code"] == 1

    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in first.rows + second.rows if row.keys() != {"epoch", "trainer/global_step"}]
    assert [row["trainer/global_step"] for row in rows] == [line["step"] for line in lines]
    for name in ("train/loss", "val/vqa_accuracy", "val/loss"):
        steps = [row["trainer/global_step"] for row in rows if name in row]
        assert steps == sorted(set(steps)), name
        assert any(name in row for row in first.rows), "the stop was after a validation"
        assert any(name in row for row in second.rows)
    for name, best, word in (("val/vqa_accuracy", max, "max"), ("val/loss", min, "min")):
        assert first.defined[name] == second.defined[name]
        assert second.defined[name]["summary"] == {word: True}
        assert second.summary[name] == best(row[name] for row in rows if name in row)
