import json
import socket

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from mmdl.errors import UserError
from mmdl.runs.checkpoint_io import newest_valid, read_checkpoint
from mmdl.runs.jsonl_logger import read_metrics

QUICK = ("+experiment=vqa", "quick=true", "logger=none")


def final(root, run_id):
    return load_file(root / run_id / "checkpoints" / "final.safetensors")


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_the_run_folder_holds_everything(trained):
    names = {p.name for p in trained.path.iterdir()}
    assert names >= {
        "config.yaml",
        "summary.json",
        "manifest.json",
        "metrics.jsonl",
        "status.json",
        "progress.json",
        "answers.json",
        "checkpoints",
        "predictions",
    }
    summary = json.loads((trained.path / "summary.json").read_text())
    for name in (
        "test/vqa_accuracy",
        "baseline/question_only/vqa_accuracy",
        "baseline/most_common/vqa_accuracy",
    ):
        assert 0 <= summary[name]["value"] <= 1
        assert summary[name]["n"] == 144
        low, high = summary[name]["ci95"]
        assert low <= summary[name]["value"] <= high
    assert summary["time/wall_s"]["value"] > 0
    types = [v for k, v in summary.items() if k.startswith("test/vqa_accuracy/answer_type/")]
    assert sum(figure["n"] for figure in types) == 144
    for figure in types:
        assert (figure["ci95"] is not None) == (figure["n"] >= 30)
        if figure["ci95"]:
            assert figure["ci95"][0] < figure["value"] < figure["ci95"][1]
    status = json.loads((trained.path / "status.json").read_text())
    assert status["host"] == socket.gethostname()
    assert status["started"] <= status["time"]


def test_config_manifest_and_metrics_of_the_run(trained):
    config = OmegaConf.load(trained.path / "config.yaml")
    assert config.data.num_answers > 2
    assert config.model.num_answers == config.data.num_answers
    assert config.trainer.precision in ("bf16-mixed", "32-true")
    manifest = json.loads((trained.path / "manifest.json").read_text())
    assert manifest["packages"]["torch"]
    assert manifest["marks"]["trained_on_val"] is False
    assert set(manifest["data"]) == {"train", "val", "test", "answers", "tokenizer"}
    assert {"commit", "dirty"} == set(manifest["git"])
    rows = [json.loads(line) for line in (trained.path / "metrics.jsonl").read_text().splitlines()]
    assert sum("val/vqa_accuracy" in row for row in rows) == 2
    assert any("test/vqa_accuracy" in row for row in rows)


def test_predictions_hold_question_answers_and_top_five(trained):
    rows = [
        json.loads(line) for line in (trained.path / "predictions" / "test.jsonl").read_text().splitlines()
    ]
    assert len(rows) == 144
    for row in rows[:10]:
        assert {"question_id", "question", "answers", "prediction", "score", "top"} <= row.keys()
        assert len(row["answers"]) == 10
        assert len(row["top"]) == 5
        chances = [item["probability"] for item in row["top"]]
        assert chances == sorted(chances, reverse=True)
    summary = json.loads((trained.path / "summary.json").read_text())
    mean = sum(row["score"] for row in rows) / len(rows)
    assert mean == pytest.approx(summary["test/vqa_accuracy"]["value"], abs=1e-12)


def test_checkpoints_load_without_pickle_and_hold_the_vocabulary(trained):
    folder = trained.path / "checkpoints"
    checkpoint = read_checkpoint(newest_valid(folder))
    own = checkpoint["mmdl"]
    assert own["vocabularies"]["answers_sha256"] == own["fingerprints"]["answers"]
    assert len(own["vocabularies"]["answers"]) == own["config"]["data"]["num_answers"]
    weights = load_file(folder / "final.safetensors")
    for name, value in checkpoint["state_dict"].items():
        assert torch.equal(weights[name.removeprefix("model.")], value)


def test_one_seed_gives_the_same_run_and_another_does_not(tmp_path, run_command):
    for run_id, seed in (("a", 0), ("b", 0), ("c", 1)):
        run_command("train", *QUICK, f"run.root={tmp_path}", f"run.id={run_id}", f"seed={seed}")
    assert_same_weights(final(tmp_path, "a"), final(tmp_path, "b"))
    first, second = ((tmp_path / i / "predictions" / "test.jsonl").read_text() for i in "ab")
    assert first == second
    one, other = final(tmp_path, "a"), final(tmp_path, "c")
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_accumulated_batches_are_logged_with_their_own_mean_loss(tmp_path, run_command):
    """Lightning hands callbacks the loss over the number of batches."""
    losses = []
    for batches in (1, 2):
        words = ("+experiment=mnist", "data=digits", "quick=true", "logger=none", "optimizer.lr=1e-12")
        run_command(
            *("train", *words, f"trainer.accumulate_grad_batches={batches}", "trainer.precision=32-true"),
            *(f"run.root={tmp_path}", f"run.id=by-{batches}", "trainer.max_epochs=1"),
        )
        rows = read_metrics(tmp_path / f"by-{batches}" / "metrics.jsonl")
        losses.append([row["train/loss"] for row in rows if "train/loss" in row])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_an_id_that_is_taken_is_refused_before_anything_is_made(trained, run_command):
    before = (trained.path / "summary.json").read_bytes()
    with pytest.raises(UserError, match="exists"):
        run_command("train", *QUICK, f"run.root={trained.root}", "run.id=one")
    assert (trained.path / "summary.json").read_bytes() == before


@pytest.mark.parametrize(
    "overrides",
    [
        ("callbacks=[default,ema]", "callbacks.ema.decay=0.5"),
        ("trainer.accumulate_grad_batches=2", "optimizer=sgd", "schedule=linear"),
        ("optimizer=timm", "schedule=one_cycle", "task.loss=cross_entropy"),
        (
            "task.freeze=[question_tower*]",
            "task.learning_rate_scale={image_tower*: 0.1}",
            "task.layer_decay=0.9",
        ),
        ("callbacks=[default,early_stopping]", "trainer.precision=32-true", "data.group_by_image=false"),
        ("+debug=one_step",),
        ("+debug=overfit", "trainer.max_epochs=3", "trainer.check_val_every_n_epoch=1"),
        ("+debug=anomaly", "task.channels_last=false"),
        ("optimizer=torch", "schedule=constant", "data.num_workers=2"),
        ("data.train_on_val=true",),
        ("+debug=profiler",),
    ],
    ids=lambda o: o[0],
)
def test_training_features(tmp_path, run_command, overrides):
    run_command("train", *QUICK, f"run.root={tmp_path}", "run.id=x", "evaluator=[vqa_accuracy]", *overrides)
    summary = json.loads((tmp_path / "x" / "summary.json").read_text())
    assert 0 <= summary["test/vqa_accuracy"]["value"] <= 1
    manifest = json.loads((tmp_path / "x" / "manifest.json").read_text())
    assert manifest["marks"]["trained_on_val"] is ("data.train_on_val=true" in overrides)


def test_overfitting_one_batch_drives_its_loss_down(tmp_path, run_command):
    run_command(
        "train",
        *QUICK,
        "+debug=overfit",
        f"run.root={tmp_path}",
        "run.id=x",
        "evaluator=[vqa_accuracy]",
        "trainer.max_epochs=150",
        "optimizer.lr=5e-3",
        "trainer.check_val_every_n_epoch=150",
    )
    rows = [json.loads(line) for line in (tmp_path / "x" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["train/loss"] for row in rows if "train/loss" in row]
    assert losses[-1] < 0.2 * losses[0]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_a_snapshot(tmp_path, run_command, monkeypatch):
    from mmdl.tasks.vqa import VQATask

    plain = VQATask.losses
    seen = []

    def poisoned(self, batch):
        losses = plain(self, batch)
        if self.training and torch.is_grad_enabled():
            seen.append(batch["rows"])
            if len(seen) == 4:  # the first is the check's
                return {"loss": losses["loss"] * float("nan")}
        return losses

    monkeypatch.setattr(VQATask, "losses", poisoned)
    with pytest.raises(UserError, match=r"the loss is nan at epoch 0, batch 2.*question ids") as caught:
        run_command("train", *QUICK, f"run.root={tmp_path}", "run.id=x")
    assert "optimizer.lr" in caught.value.fix
    [path] = (tmp_path / "x" / "not_finite").iterdir()
    snapshot = torch.load(path, weights_only=True)
    assert torch.equal(snapshot["batch"]["rows"], seen[3])
    assert all(torch.isfinite(value).all() for value in snapshot["state_dict"].values())
    assert json.loads((tmp_path / "x" / "status.json").read_text())["status"] == "failed"
