"""A small training whose weights are seen after every step."""

from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch

from mmdl.data.mnist import mnist, write_fixture
from mmdl.models.cnn import CNN
from mmdl.optim.optimizers import torch_optimizer
from mmdl.optim.schedules import constant
from mmdl.tasks.classification import ClassificationTask


class Recorder(pl.Callback):
    """Keeps the weights after each step, before any validation, and in it."""

    def __init__(self):
        self.steps, self.epochs, self.validated = [], [], []

    @staticmethod
    def weights(module):
        return {name: value.detach().clone() for name, value in module.state_dict().items()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append(self.weights(pl_module))
        if trainer.is_last_batch:
            self.epochs.append(self.weights(pl_module))

    def on_validation_epoch_start(self, trainer, pl_module):
        self.validated.append(self.weights(pl_module))


@pytest.fixture
def train(tmp_path):
    """`train(callback, epochs=2, norm="batch")` -> recorder, trainer, task and data of a run on a few digits."""
    from functools import partial

    def run(callback, epochs=2, norm="batch", augment=None, callbacks_after=(), **options):
        write_fixture(tmp_path / "mnist")
        data = mnist(str(tmp_path / "mnist"), batch_size=32, seed=1, augment=augment)
        data.prepare_data()
        data.setup()
        torch.manual_seed(0)
        model = CNN(1, 28, 10, channels=(4, 8), hidden=(16,), norm=norm)
        optimizer = partial(torch_optimizer, name="SGD", lr=0.05, momentum=0.9)
        task = ClassificationTask(model, optimizer, constant)
        # After the callback in the list, so that the weights are seen after its swap.
        recorder = Recorder()
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            callbacks=[callback, recorder, *callbacks_after],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            **options,
        )
        trainer.fit(task, datamodule=data)
        return SimpleNamespace(recorder=recorder, trainer=trainer, task=task, data=data)

    return run
