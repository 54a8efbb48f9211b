"""Train is evaluated as validation is: in eval mode, over fixed samples, with the weights that are validated."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from mmdl.assembly import build_data
from mmdl.callbacks.learning_curves import LearningCurves
from mmdl.figures.learning_curves import CurvePoint
from mmdl.instantiate import instantiate

QUICK = ("+experiment=overfit", "quick=true", "logger=none", "model.dropout=0.5", "model.norm=batch")


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def by_hand(folder, most=None):
    """Loss and accuracy of the final weights over training images."""
    config = OmegaConf.load(folder / "config.yaml")
    data, model = build_data(config), instantiate(config.model)
    model.load_state_dict(load_file(folder / "checkpoints" / "final.safetensors"))
    count = len(data.dataset("train"))
    rows = np.arange(count) if most is None else np.linspace(0, count - 1, most).astype(np.int64)
    batch = data.dataset("train")[rows]
    with torch.no_grad():
        logits = model.eval()(batch["images"])
    accuracy = (logits.argmax(1) == batch["labels"]).float().mean()
    return cross_entropy(logits, batch["labels"]).item(), accuracy.item()


@pytest.mark.parametrize(
    ("overrides", "most"),
    [
        ((), None),
        (("callbacks.learning_curves.max_samples=10",), 10),
        (
            (
                "callbacks=[default,learning_curves,early_stopping,ema]",
                "callbacks.ema.decay=0.5",
                "trainer.max_epochs=3",
            ),
            None,
        ),
    ],
    ids=["all", "some", "ema"],
)
def test_the_last_point_is_the_loss_of_the_final_weights_in_eval_mode(tmp_path, run_command, overrides, most):
    run_command("train", *QUICK, *overrides, f"run.root={tmp_path}", "run.id=x")
    loss, accuracy = by_hand(tmp_path / "x", most)
    found = [row for row in rows_of(tmp_path / "x") if "train_eval/loss" in row]
    assert found[-1]["train_eval/loss"] == pytest.approx(loss, rel=1e-5)
    assert found[-1]["train_eval/accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert all("val/loss" in row for row in found), "they stand beside those of the validation"
    with Image.open(tmp_path / "x" / "curves.png") as image:
        assert np.asarray(image.convert("L")).std() > 10


def test_measuring_changes_no_weight(tmp_path, run_command):
    for run_id, callbacks in (("a", "learning_curves,"), ("b", "")):
        words = (f"callbacks=[default,{callbacks}early_stopping]", f"run.root={tmp_path}", f"run.id={run_id}")
        run_command("train", *QUICK, *words)
    one, other = (load_file(tmp_path / i / "checkpoints" / "final.safetensors") for i in "ab")
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not (tmp_path / "b" / "curves.png").exists()


def test_a_resumed_run_draws_the_whole_curve(tmp_path, run_command, monkeypatch):
    class Stop(BaseException):
        pass

    def interrupt(self, trainer, pl_module):
        if trainer.current_epoch == 2:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(LearningCurves, "on_train_epoch_start", interrupt)
        with pytest.raises(Stop):
            run_command("train", *QUICK, f"run.root={tmp_path}", "run.id=x")
    assert not (tmp_path / "x" / "curves.png").exists()
    run_command("train", "resume=x", f"run.root={tmp_path}")
    run_command("train", *QUICK, f"run.root={tmp_path}", "run.id=whole")
    one, other = (json.loads((tmp_path / i / "summary.json").read_text()) for i in ("x", "whole"))
    names = [name for name in other if name.startswith("curves/")]
    assert "curves/last_gap" in names
    assert {n: one[n]["value"] for n in names} == {n: other[n]["value"] for n in names}
    assert (tmp_path / "x" / "curves.png").read_bytes() == (tmp_path / "whole" / "curves.png").read_bytes()
    (tmp_path / "x" / "curves.png").unlink()
    run_command("train", "resume=x", f"run.root={tmp_path}")  # it had ended: nothing is trained, all is told
    assert (tmp_path / "x" / "curves.png").read_bytes() == (tmp_path / "whole" / "curves.png").read_bytes()


def test_vqa_has_its_own_score(tmp_path, run_command):
    run_command(
        "train",
        "+experiment=vqa",
        "quick=true",
        "logger=none",
        "evaluator=[vqa_accuracy]",
        "callbacks=[default,learning_curves]",
        "callbacks.learning_curves.score=vqa_accuracy",
        "trainer.max_epochs=2",
        f"run.root={tmp_path}",
        "run.id=x",
    )
    found = [row for row in rows_of(tmp_path / "x") if "train_eval/vqa_accuracy" in row]
    assert len(found) == 2
    assert found[1]["train_eval/loss"] < found[0]["train_eval/loss"]
    assert found[1]["train_eval/vqa_accuracy"] > 0.1


def told(losses, chosen, stopped=False):
    callback = LearningCurves("runs/x")
    callback.points = [
        CurvePoint(10 * epoch, float(epoch), train, val, 1.0, 0.9)
        for epoch, (train, val) in enumerate(losses, start=1)
    ]
    callback.chosen = callback.points[chosen - 1]
    callback.stopped = callback.points[-1] if stopped else None
    callback._max_epochs = 40
    assert all(b.step > a.step for a, b in pairwise(callback.points))
    return callback


def test_the_card_says_that_the_curves_part():
    callback = told([(1.0, 1.1), (0.21, 0.31), (0.01, 0.52)], chosen=2, stopped=True)
    assert callback.notes() == [
        "validation chose epoch 2 of 3 (early stopping; at most 40); train loss went on falling from 0.21 to 0.01 "
        "while val loss rose from 0.310 to 0.520",
        "gap between val and train loss: 0.100 at the chosen epoch, 0.510 at the end",
        "curves   runs/x/curves.png",
    ]
    assert callback.figures() == pytest.approx(
        {
            "curves/chosen_epoch": 2,
            "curves/chosen_train_loss": 0.21,
            "curves/chosen_val_loss": 0.31,
            "curves/chosen_gap": 0.1,
            "curves/last_epoch": 3,
            "curves/last_train_loss": 0.01,
            "curves/last_val_loss": 0.52,
            "curves/last_gap": 0.51,
        }
    )


def test_the_card_does_not_claim_what_did_not_happen():
    [first, *_] = told([(1.0, 1.1), (0.5, 0.6), (0.4, 0.6)], chosen=2).notes()
    assert first.endswith("then train loss went from 0.5 to 0.4 and val loss from 0.600 to 0.600")
    [first, gap, _] = told([(1.0, 1.1), (0.5, 0.6)], chosen=2).notes()
    assert first == "validation chose the last epoch, 2: longer training may be better"
    assert gap == "gap between val and train loss: 0.100 at the end"
    assert LearningCurves("x").notes() == []
    assert LearningCurves("x").figures() == {}
