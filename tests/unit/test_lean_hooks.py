"""Lean hooks call what Lightning calls, in its order, and the run is the same to the last bit."""

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint
from lightning.pytorch.trainer import call
from torch.utils.data import DataLoader, TensorDataset

from mmdl.lean_hooks import EMPTY, LeanHooks, lean_hooks

NAMES = [name for name in dir(Callback) if name.startswith("on_") and "exception" not in name]


def recorder(base, seen, label, names):
    """A callback that writes down each of its hooks and the name that Lightning has for the current one."""

    def hook(name):
        def called(self, trainer, module, *arguments, **options):
            seen.append((label, name, module._current_fx_name))

        return called

    return type(label, (base,), {name: hook(name) for name in names})()


class Module(pl.LightningModule):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen
        torch.manual_seed(0)
        self.net = torch.nn.Linear(3, 2)

    def training_step(self, batch, batch_idx):
        loss = torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

    def on_after_backward(self):
        self.seen.append(("module", "on_after_backward", self._current_fx_name))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(lean, folder, accumulate):
    seen = []
    callbacks = [
        recorder(Callback, seen, "all", NAMES),
        recorder(Callback, seen, "few", ["on_train_batch_end"]),
        recorder(Checkpoint, seen, "saver", ["on_validation_end", "on_train_epoch_end"]),
        Callback(),
    ]
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(torch.randn(20, 3, generator=generator), torch.arange(20) % 2)
    module = Module(seen)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=callbacks,
        logger=pl.loggers.CSVLogger(folder),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        accumulate_grad_batches=accumulate,
    )
    loaders = DataLoader(data, batch_size=4), DataLoader(data, batch_size=4)
    if lean:
        with lean_hooks(trainer):
            assert isinstance(call._call_callback_hooks.__self__, LeanHooks)
            trainer.fit(module, *loaders)
    else:
        trainer.fit(module, *loaders)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return seen, module.state_dict(), metrics


@pytest.mark.parametrize("accumulate", [1, 3])
def test_the_same_hooks_in_the_same_order_and_the_same_bits(tmp_path, accumulate):
    plain, plain_weights, plain_metrics = fit(False, tmp_path / "plain", accumulate)
    lean, lean_weights, lean_metrics = fit(True, tmp_path / "lean", accumulate)
    assert len(plain) > 100
    assert lean == plain
    assert lean_metrics == plain_metrics
    assert all(torch.equal(value, lean_weights[name]) for name, value in plain_weights.items())


def test_lightnings_own_functions_are_back_after_an_error():
    before = call._call_callback_hooks, call._call_lightning_module_hook, call._call_strategy_hook
    with pytest.raises(RuntimeError), lean_hooks(pl.Trainer(logger=False, accelerator="cpu")):
        raise RuntimeError
    assert (call._call_callback_hooks, call._call_lightning_module_hook, call._call_strategy_hook) == before


def test_a_profiler_sees_all_of_lightnings_calls():
    before = call._call_callback_hooks
    with lean_hooks(pl.Trainer(logger=False, accelerator="cpu", profiler="simple")):
        assert call._call_callback_hooks is before


@pytest.mark.parametrize("name", sorted(EMPTY))
def test_the_hooks_that_are_left_out_are_empty(name):
    code = getattr(pl.LightningModule, name).__code__
    assert code.co_names == (), "Lightning's own hook does something now"
