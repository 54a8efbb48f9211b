"""What one process does; several ranks are in tests/faults."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmdl.callbacks.loss_guard import MOST_SKIPPED, LossGuard
from mmdl.errors import UserError
from mmdl.optim.muon import Muon

NAN = float("nan")


class Steps:
    """A model with batch norm, trained through the hooks as Lightning calls them."""

    def __init__(self, folder, make, **options):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        self.optimizer = make(self.model)
        self.guard = LossGuard(str(folder), **options)
        self.trainer = SimpleNamespace(
            global_rank=0, world_size=1, global_step=0, current_epoch=0, is_global_zero=True
        )
        self.trainer.precision_plugin = self.trainer.datamodule = None
        self.guard.on_train_start(self.trainer, self.model)

    def batch(self, factor=1.0, value=1.0):
        rows = torch.arange(8)
        generator = torch.Generator().manual_seed(self.trainer.global_step)
        images = torch.randn(8, 4, generator=generator) * value
        self.guard.on_train_batch_start(self.trainer, self.model, {"rows": rows}, self.trainer.global_step)
        loss = self.model(images).square().mean() * factor
        self.guard.on_before_backward(self.trainer, self.model, loss)
        loss.backward()
        self.guard.on_after_backward(self.trainer, self.model)

    def step(self, *bad):
        for arguments in bad or ({},):
            self.batch(**arguments)
        self.guard.on_before_optimizer_step(self.trainer, self.model, self.optimizer)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.trainer.global_step += 1

    def state(self):
        moments = [
            v.clone()
            for s in self.optimizer.state.values()
            for v in s.values()
            if isinstance(v, torch.Tensor)
        ]
        return [v.clone() for v in self.model.state_dict().values() if v.is_floating_point()] + moments


def equal(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


OPTIMIZERS = {
    "adamw": lambda m: torch.optim.AdamW(m.parameters(), lr=0.1, weight_decay=0.1),
    "fused": lambda m: torch.optim.AdamW(m.parameters(), lr=0.1, weight_decay=0.1, fused=True),
    "sgd": lambda m: torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1),
    "muon": lambda m: Muon([{"params": list(m.parameters()), "lr": 0.1}]),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(({"factor": NAN},), id="loss"),
        pytest.param(({"value": NAN},), id="input"),  # the statistics of batch norm are NaN then
        pytest.param(({}, {"factor": NAN}, {}), id="accumulated"),
    ],
)
def test_a_skipped_step_changes_nothing(tmp_path, name, bad):
    steps = Steps(tmp_path, OPTIMIZERS[name], on_not_finite="skip")
    for _ in range(3):
        steps.step()
    before = steps.state()
    steps.step(*bad)
    assert equal(steps.state(), before)
    assert steps.guard.figures() == {"skipped_steps": 1}
    steps.step()
    assert not equal(steps.state(), before)
    assert all(torch.isfinite(value).all() for value in steps.state())


def test_a_gradient_that_is_not_finite_is_skipped_too(tmp_path):
    steps = Steps(tmp_path, OPTIMIZERS["sgd"], on_not_finite="skip")
    before = steps.state()
    steps.model[0].weight.register_hook(lambda gradient: gradient * NAN)
    steps.step()
    assert equal(steps.state()[:2], before[:2])
    assert steps.guard.skipped == 1


def test_only_so_many_in_a_row(tmp_path):
    steps = Steps(tmp_path, OPTIMIZERS["sgd"], on_not_finite="skip")
    for _ in range(MOST_SKIPPED):
        steps.step({"factor": NAN})
    with pytest.raises(UserError, match=f"{MOST_SKIPPED} steps in a row were skipped"):
        steps.step({"factor": NAN})
    assert len(list(tmp_path.iterdir())) == 1  # one snapshot is enough


def test_stop_comes_before_the_backward_pass(tmp_path):
    steps = Steps(tmp_path, OPTIMIZERS["sgd"])
    steps.step()
    with pytest.raises(UserError, match="the loss is nan at epoch 0, batch 1, step 1"):
        steps.step({"factor": NAN})
    assert all(parameter.grad is None for parameter in steps.model.parameters())


def test_no_checkpoint_is_written_while_a_look_is_open(tmp_path):
    """On an accelerator the flag of a step is read in the next; here it is left open by hand."""
    steps = Steps(tmp_path, OPTIMIZERS["sgd"])
    settle, steps.guard._settle = steps.guard._settle, lambda *arguments: None
    steps.batch(factor=NAN)
    steps.guard._settle = settle
    with pytest.raises(UserError, match="the loss is nan"):
        steps.guard.on_save_checkpoint(steps.trainer, steps.model, {})


def test_the_count_outlives_a_restart(tmp_path):
    steps = Steps(tmp_path, OPTIMIZERS["sgd"], on_not_finite="skip")
    steps.step({"factor": NAN})
    other = LossGuard(str(tmp_path), on_not_finite="skip")
    other.load_state_dict(steps.guard.state_dict())
    assert other.figures() == {"skipped_steps": 1}


def test_another_word_is_refused(tmp_path):
    with pytest.raises(UserError, match="on_not_finite=ignore"):
        LossGuard(str(tmp_path), on_not_finite="ignore")
