"""The offline run of W&B holds what the run folder holds, number for number, and nothing asks or waits."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdl.errors import UserError
from mmdl.review.panels import media, quantities, review_sections

WORDS = (
    *("train", "+experiment=vqa", "quick=true", "logger=[wandb,csv,tensorboard]", "run.id=w.1"),
    *("trainer.max_epochs=4", "trainer.log_every_n_steps=2", "logger.wandb.tags=[paper]"),
    "logger.wandb.artifacts=[config,predictions,answers,checkpoint]",
)


@pytest.fixture(scope="module")
def logged(tmp_path_factory, data_home):
    """A quick run in a process of its own, with several loggers and no W&B account."""
    root = tmp_path_factory.mktemp("wandb")
    env = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | {"HOME": str(root)}
    done = subprocess.run(
        [sys.executable, "-m", "mmdl", *WORDS],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return root / "runs" / "w.1", done


@pytest.fixture(scope="module")
def offline(logged, offline_run):
    [path] = logged[0].glob("wandb/offline-run-*/run-*.wandb")
    return offline_run(path)


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


def test_every_row_and_every_scalar_is_that_of_metrics_jsonl(logged, offline):
    run, _ = logged
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    expected = []
    for line in lines:
        step = line.pop("step")
        figures = {name: float(value) for name, value in line.items() if name not in ("time", "n")}
        expected.append(figures | {"trainer/global_step": step})
    assert len(expected) > 15
    found = [row for row in offline.rows if row.keys() != {"epoch", "trainer/global_step"}]
    assert [row.keys() for row in found] == [row.keys() for row in expected]
    for row, wanted in zip(found, expected, strict=True):
        for name, value in wanted.items():
            assert row[name] == value or (math.isnan(row[name]) and math.isnan(value)), name


def test_the_summary_is_summary_json_with_counts_and_intervals(logged, offline):
    run, _ = logged
    figures = json.loads((run / "summary.json").read_text())
    assert {"test/vqa_accuracy", "baseline/question_only/vqa_accuracy", "best/step"} <= figures.keys()
    for name, figure in figures.items():
        assert offline.summary[name] == figure["value"], name
        assert offline.summary.get(f"{name}/n") == figure["n"], name
        ends = [offline.summary.get(f"{name}/ci95_{end}") for end in ("low", "high")]
        assert ends == (figure["ci95"] or [None, None]), name


def test_the_summary_shows_the_best_of_each_validation_figure(logged, offline):
    run, _ = logged
    rows = [row for row in offline.rows if "val/loss" in row]
    assert len(rows) == 4
    for name, best in (("val/vqa_accuracy", max), ("val/loss", min)):
        assert offline.summary[name] == best(row[name] for row in rows)
    # a run whose last validation is its best one would show nothing
    of_types = [name for name in rows[0] if name.startswith("val/vqa_accuracy/")]
    assert any(offline.summary[name] > rows[-1][name] for name in of_types)
    for name in of_types:
        assert offline.summary[name] == max(row[name] for row in rows if name in row)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    counts = next(line["n"] for line in lines if "val/loss" in line)
    assert counts["val/vqa_accuracy"] > 100
    for name, count in counts.items():
        assert offline.summary[f"{name}/n"] == count


def test_quantities_are_defined_one_by_one(offline):
    defined = offline.defined
    for name, best in (("val/vqa_accuracy", "max"), ("val/loss", "min")):
        assert defined[name]["step_metric"] == "trainer/global_step"
        assert defined[name]["summary"] == {best: True}
    patterns = [metric for metric in offline.of("metric") if metric.get("glob_name")]
    assert [metric.get("summary") for metric in patterns] == [None], "a pattern would spoil images and tables"
    assert "predictions" not in defined


def test_the_run_is_filed_by_experiment_task_and_data(offline):
    run = offline.run
    assert run["project"] == "mmdl"
    assert (run["run_id"], run["display_name"]) == ("w.1", "w.1")
    assert (run["run_group"], run["job_type"]) == ("vqa", "train")
    assert run["tags"] == ["paper"]


def test_artifacts_are_the_files_of_the_run_folder_and_take_no_space(logged, offline):
    run, _ = logged
    summary = json.loads((run / "summary.json").read_text())
    files = {
        "config-w.1": ("config", ["config.yaml", "manifest.json"], ["latest"]),
        "answers-w.1": ("vocabulary", ["answers.json"], ["latest"]),
        "checkpoint-w.1": ("model", ["checkpoints/best.safetensors"], ["best", "latest"]),
    }
    for name, (kind, paths, aliases) in files.items():
        artifact = offline.artifacts[name]
        assert artifact["type"] == kind
        assert sorted(artifact["aliases"]) == aliases
        listed = artifact["manifest"]["contents"]
        assert sorted(entry["path"] for entry in listed) == sorted(path.rsplit("/", 1)[-1] for path in paths)
        for path in paths:
            [entry] = [entry for entry in listed if entry["path"] == path.rsplit("/", 1)[-1]]
            assert (run / path).samefile(entry["local_path"]), "a second name, not a copy"
        facts = json.loads(artifact["metadata"])
        assert facts["metric"] == "test/vqa_accuracy"
        assert facts["value"] == summary["test/vqa_accuracy"]["value"]
        assert facts["step"] == summary["best/step"]["value"]
        assert all(len(digest) == 64 for digest in facts["sha256"].values())
    predictions = offline.artifacts["predictions-w.1"]
    names = [entry["path"] for entry in predictions["manifest"]["contents"]]
    assert {"test.jsonl", "test_results.json"} <= set(names)
    assert sorted(predictions["aliases"]) == ["best", "latest"]


def test_the_table_is_what_the_predictions_file_has(logged, offline):
    run, _ = logged
    contents = {
        entry["path"]: entry for entry in offline.artifacts["run-w.1-predictions"]["manifest"]["contents"]
    }
    table = json.loads(Path(contents["predictions.table.json"]["local_path"]).read_text())
    kept = {path.read_bytes() for path in (run / "media" / "items").rglob("*.png")}
    records = [json.loads(line) for line in (run / "predictions" / "test.jsonl").read_text().splitlines()]
    of_question = {str(record["question_id"]): record for record in records}
    columns = table["columns"]
    rows = [dict(zip(columns, row, strict=True)) for row in table["data"]]
    assert len(rows) == 100
    assert {row["answer_type"] for row in rows} == {record["answer_type"] for record in records}
    for row in rows:
        record = of_question[row["question_id"]]
        for name in ("question", "prediction", "score", "answer_type"):
            assert row[name] == record[name]
        assert row["image"]["_type"] == "image-file"
        assert Path(contents[row["image"]["path"]]["local_path"]).read_bytes() in kept


def test_the_probe_set_is_a_table_with_a_column_a_validation(logged, offline):
    run, _ = logged
    contents = {entry["path"]: entry for entry in offline.artifacts["run-w.1-probe"]["manifest"]["contents"]}
    table = json.loads(Path(contents["probe.table.json"]["local_path"]).read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    steps = [name for name in table["columns"] if name.startswith("step ")]
    assert len(steps) == 4
    for step in steps:
        path = run / "media" / "probe" / f"{step.replace(' ', '-')}.jsonl"
        said = [json.loads(line) for line in path.read_text().splitlines()]
        assert [row[step] for row in rows] == [f"{r['prediction']} ({r['score']:.2f})" for r in said]


def test_the_review_workspace_shows_only_what_runs_have(offline):
    sections = review_sections("vqa")
    assert quantities(sections) | media(sections) <= offline.names


def test_an_evaluation_does_not_write_into_the_files_of_the_training(logged, run_command):
    run, _ = logged
    with pytest.raises(UserError, match="logger=csv would write into the files of the training"):
        run_command("eval", f"run={run}", "logger=[wandb,csv]")


def test_the_offline_run_is_ready_to_be_sent(logged):
    run, _ = logged
    [folder] = run.glob("wandb/offline-run-*-w.1")
    tool = Path(sys.executable).parent / "wandb"
    done = subprocess.run(
        [tool, "sync", "--dry-run", folder], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Would sync 1 run(s)" in done.stdout + done.stderr


def test_the_evaluation_is_a_run_of_its_own_in_the_group_of_the_training(
    logged, run_command, offline_run, monkeypatch
):
    run, _ = logged
    for name in (
        "DATA_DIR",
        "CACHE_DIR",
        "SILENT",
        "MODE",
        "SERVICE",
    ):  # set by the logger, for this run only
        monkeypatch.setenv(f"WANDB_{name}", "offline")
        monkeypatch.delenv(f"WANDB_{name}")
    monkeypatch.chdir(run.parent.parent)
    run_command("eval", "run=w.1", "logger=wandb", "split=test")
    [path] = run.glob("wandb/offline-run-*-w.1.eval-test/*.wandb")
    found = offline_run(path)
    assert (found.run["run_id"], found.run["job_type"], found.run["run_group"]) == (
        "w.1.eval-test",
        "eval",
        "vqa",
    )
    figures = json.loads((run / "evaluation" / "test" / "figures.json").read_text())
    for name, figure in figures.items():
        assert found.summary[name] == figure["value"]
    assert found.rows == []
