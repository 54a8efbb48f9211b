"""The list of what runs log knows every name that runs of each task write, and says the right thing of it."""

import json

import pytest

from mmdl.runs.logged import LOGGED, SCORES, SUMMARY, TRAINING, quantity

COMMON = ("quick=true", "logger=none", "run.id=r", "trainer.log_every_n_steps=2")
RUNS = {
    "classification": (
        *("+experiment=mnist", "data=digits", "data.limit_train=64", "data.batch_size=16"),
        "callbacks=[default,gradient_norms,learning_curves]",
        *("callbacks.gradient_norms.every_n_steps=1", "evaluator=[classification]"),
    ),
    "contrastive": (
        *("+experiment=clip", "evaluator=[retrieval,embedding_geometry]"),
        *("callbacks=[default,contrastive_diagnosis]", "callbacks.contrastive_diagnosis.every_n_steps=1"),
    ),
}


def names_of(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(set(row.get("n", {})) <= set(row) for row in rows)
    logged = {name for row in rows for name in row} - {"step", "time", "n"}
    return logged, set(json.loads((run / "summary.json").read_text()))


def unknown(run):
    logged, summary = names_of(run)
    assert {"train/loss", "train/grad_norm", "train/samples", "train/flops", "memory/peak_gb"} <= logged
    assert {"cost/samples", "cost/flops", "cost/peak_memory_gb", "time/train_s"} <= summary
    return sorted(name for name in logged | summary if not quantity(name).is_known)


def test_every_name_of_a_vqa_run_is_on_the_list(trained):
    assert unknown(trained.path) == []


@pytest.mark.parametrize("task", RUNS)
def test_every_name_of_a_run_is_on_the_list(task, tmp_path, run_command):
    run_command("train", *RUNS[task], *COMMON, f"run.root={tmp_path}")
    assert unknown(tmp_path / "r") == []
    assert unknown_in_validation(tmp_path / "r") == []


def unknown_in_validation(run):
    """Figures of a split without the number of samples that they were taken over."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in rows if any(name.startswith(("val/", "test/")) for name in row)]
    assert rows
    return [name for row in rows for name in row if "/" in name and not row["n"][name] > 0]


def test_no_name_stands_twice():
    assert len(LOGGED) == len(TRAINING) + len(SCORES) + len(SUMMARY)
    assert all(known.meaning for known in LOGGED.values())
    assert all(known.better for known in LOGGED.values() if known.summary == "best")


@pytest.mark.parametrize(
    ("name", "better", "summary", "measured"),
    [
        ("train/loss", "min", "last", False),
        ("train/image_loss", "min", "last", False),
        ("val/loss", "min", "best", False),
        ("val/loss_batch", "", "last", False),
        ("train_eval/accuracy", "max", "best", False),
        ("val/vqa_accuracy/question_type/what_is_the_loss", "max", "best", False),
        ("val/zero_shot/loss/accuracy", "max", "best", False),
        ("test/precision/class/loss", "", "last", False),
        ("val/text_to_image/recall@10", "max", "best", False),
        ("val/5k/text_to_image/recall@10", "max", "best", False),
        ("val/image_to_text/median_rank", "min", "best", False),
        ("val/calibration_error", "min", "best", False),
        ("test/f1/best_threshold", "max", "best", False),
        ("baseline/raw_pixels/knn/mnist/accuracy", "max", "last", False),
        ("best/val/vqa_accuracy", "max", "last", False),
        ("best/step", "", "last", False),
        ("arm/big/best/val/accuracy", "max", "last", False),
        ("arm/big/seconds", "min", "last", True),
        ("train/learning_rate/image_tower", "", "last", False),
        ("train/samples_per_s", "max", "mean", True),
        ("cost/peak_memory_gb", "min", "max", True),
        ("memory/peak_gb", "min", "max", True),
    ],
)
def test_what_is_known_of_a_name(name, better, summary, measured):
    found = quantity(name)
    assert found.is_known
    assert (found.name, found.better, found.summary, found.measured) == (name, better, summary, measured)


@pytest.mark.parametrize("name", ["val/surprise", "own/thing", "val", "", "best/val/surprise", "baseline/x"])
def test_an_unknown_name_has_no_direction(name):
    found = quantity(name)
    assert (found.name, found.is_known, found.better, found.summary) == (name, False, "", "last")
