"""The logged norms are those of the gradients that stand in the parameters, computed by hand in float64."""

import json

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn

from mmdl.callbacks.gradient_norms import GradientNorms, gradient_norms
from mmdl.tasks.base import Task

DIGITS = (
    "+experiment=overfit",
    "quick=true",
    "logger=none",
    "callbacks=[default,early_stopping,gradient_norms]",
    "callbacks.gradient_norms.every_n_steps=1",
    "data.batch_size=8",
    "trainer.max_epochs=2",
)


def by_hand(groups):
    """Norm of each group and of all, from the gradients as they are."""
    squares = {
        group.name: sum(float((p.grad.double() ** 2).sum()) for p in group.parameters() if p.grad is not None)
        for group in groups
    }
    return {name: value**0.5 for name, value in squares.items()} | {"total": sum(squares.values()) ** 0.5}


def logged(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        row["step"]: {
            k.removeprefix("gradient_norm/"): v for k, v in row.items() if k.startswith("gradient_norm/")
        }
        for row in rows
        if "gradient_norm/total" in row
    }


@pytest.fixture
def spied(tmp_path, run_command, monkeypatch):
    """Trains, and computes the norms by hand where Lightning is about to clip; returns both by step."""

    def train(*overrides):
        seen = {}
        plain = Task.configure_gradient_clipping

        def spy(self, optimizer, *args, **kwargs):
            seen[self.trainer.global_step + 1] = by_hand(self.model.layer_groups())
            plain(self, optimizer, *args, **kwargs)

        monkeypatch.setattr(Task, "configure_gradient_clipping", spy)
        run_command("train", *overrides, f"run.root={tmp_path}", "run.id=x")
        return logged(tmp_path / "x"), seen

    return train


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("trainer.gradient_clip_val=0.01",),
        ("trainer.accumulate_grad_batches=2",),
        ("trainer.precision=bf16-mixed",),
        ("task.freeze=[convolution1]",),
    ],
    ids=lambda o: o[0] if o else "plain",
)
def test_equals_the_norms_by_hand_before_clipping(spied, overrides):
    found, expected = spied(*DIGITS, *overrides)
    assert found.keys() == expected.keys()
    assert len(found) == (4 if "trainer.accumulate_grad_batches=2" in overrides else 8)
    names = {f"convolution{n}" for n in (1, 2, 3, 4)} | {"fully_connected1", "fully_connected2", "total"}
    for step, norms in found.items():
        assert norms.keys() == names - (
            {"convolution1"} if "task.freeze=[convolution1]" in overrides else set()
        )
        for name, value in norms.items():
            assert value == pytest.approx(expected[step][name], rel=1e-5), (step, name)
        assert norms["total"] > 0.01


def test_accumulated_batches_have_the_gradient_of_their_union(spied, tmp_path, run_command):
    found, _ = spied(*DIGITS, "trainer.accumulate_grad_batches=2")
    run_command("train", *DIGITS, "data.batch_size=16", f"run.root={tmp_path}", "run.id=whole")
    whole = logged(tmp_path / "whole")
    assert found[1] == pytest.approx(whole[1], rel=1e-4)


def test_every_n_steps_and_nothing_in_between(spied):
    found, _ = spied(*DIGITS, "callbacks.gradient_norms.every_n_steps=3")
    assert list(found) == [3, 6]


def test_the_vqa_model_has_a_norm_for_each_part(spied):
    found, expected = spied(
        "+experiment=vqa",
        "quick=true",
        "logger=none",
        "callbacks=[default,gradient_norms]",
        "callbacks.gradient_norms.every_n_steps=2",
        "evaluator=[vqa_accuracy]",
    )
    assert found
    for step, norms in found.items():
        assert {name.split(".")[0] for name in norms} >= {"image_tower", "question_tower", "fusion", "total"}
        for name, value in norms.items():
            assert value == pytest.approx(expected[step][name], rel=1e-4)


def test_a_group_without_gradient_is_left_out():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    layers[0](torch.ones(1, 2)).sum().backward()
    found = gradient_norms({"first": list(layers[0].parameters()), "second": list(layers[1].parameters())})
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {"first": 6**0.5, "total": 6**0.5}
    )
    assert gradient_norms({}) == {}


class Trainer:
    """As much of a Trainer as the callback looks at."""

    def __init__(self, plugin):
        self.precision_plugin = plugin
        self.global_step = 0
        self.loggers = []


@pytest.mark.parametrize("fused", [False, True])
def test_the_loss_scale_of_float16_is_taken_off(fused):
    """Lightning has unscaled the gradients of a plain optimizer before the hook; those of a fused one are scaled."""
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = torch.optim.SGD([weight], lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
    plugin = MixedPrecision("16-mixed", "cpu", scaler=scaler)
    scaler.scale((weight**2).sum() / 2).backward()
    assert weight.grad.tolist() == [1536.0, 2048.0]
    if not fused:
        scaler.unscale_(optimizer)
    callback = GradientNorms(every_n_steps=1)
    callback._groups = {"layer": [weight]}
    callback.on_before_optimizer_step(Trainer(plugin), None, optimizer)
    assert {name: float(norm) for name, norm in callback._norms.items()} == pytest.approx(
        {"layer": 5.0, "total": 5.0}
    )
