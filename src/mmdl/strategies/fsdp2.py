"""Every rank holds a share of the weights, gradients and moments, for models that are too large for one device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.distributed.fsdp import MixedPrecisionPolicy
from torch.optim import Adam, Optimizer

from mmdl.strategies.sharding import (
    gather_weights,
    is_sharded,
    release_weights,
    replicated,
    shard_model,
    sync_buffers,
)


class FSDP2(ModelParallelStrategy):
    """Lightning's strategy with mmdl's sharding by layer groups and its checkpoint folders.

    Weights are gathered whole on every rank for the time of an evaluation, in which ranks may have different numbers
    of batches: without gradients and moments that is a quarter of what an unsharded training with AdamW holds.

    Args:
        reshard_after_forward: Free a layer group's weights between its forward and its backward pass.
        timeout: How long a rank waits for the others.
    """

    def __init__(self, reshard_after_forward: bool, timeout: timedelta) -> None:
        super().__init__(timeout=timeout)
        self.reshard_after_forward = reshard_after_forward
        self._whole = 0

    # -- setting up -------------------------------------------------------------------------------------------------

    def setup_environment(self) -> None:
        """All ranks share the weights; Lightning's default would split each node's matrices instead."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        self._tensor_parallel_size = 1
        super().setup_environment()

    def shard(self, task: pl.LightningModule) -> None:
        """Shard a task's model, once; the task's `configure_model` calls it."""
        model: Any = task.model
        if not is_sharded(model):
            mesh = self.device_mesh["data_parallel"]
            shard_model(model, mesh, self._policy(), self.reshard_after_forward)

    def _policy(self) -> MixedPrecisionPolicy:
        """Under autocast weights are gathered in its dtype, which it would cast them to; gradients stay float32.

        Not on a CPU: its autocast leaves norms alone, which then meet float32 activations with weights of bfloat16.
        """
        if self.precision_plugin.precision != "bf16-mixed" or self.root_device.type == "cpu":
            return MixedPrecisionPolicy()
        return MixedPrecisionPolicy(
            param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False
        )

    @property
    def _sharded(self) -> Any:
        assert self.lightning_module is not None
        return self.lightning_module.model

    def setup_optimizers(self, trainer: pl.Trainer) -> None:
        """Make them, without the fused steps that torch has not for shards."""
        super().setup_optimizers(trainer)
        for optimizer in self.optimizers:
            _unfuse(optimizer)

    # -- training ---------------------------------------------------------------------------------------------------

    def post_backward(self, closure_loss: Tensor) -> None:
        """Average the gradients of what every rank holds whole; FSDP2 has reduced the others."""
        super().post_backward(closure_loss)
        # Of accumulated gradients the older part is equal on all ranks already, and its mean is itself.
        gradients = [p.grad for p in replicated(self._sharded) if p.grad is not None]
        for gradient in gradients:
            torch.distributed.all_reduce(gradient)
            gradient /= self.world_size

    @contextmanager
    def whole_weights(self) -> Iterator[None]:
        """All weights on every rank; may be nested. All ranks enter it together."""
        self._gather()
        try:
            yield
        finally:
            self._release()

    def _gather(self) -> None:
        self._whole += 1
        if self._whole == 1:
            sync_buffers(self._sharded, self.device_mesh["data_parallel"])
            gather_weights(self._sharded)

    def _release(self) -> None:
        self._whole -= 1
        if self._whole == 0:
            release_weights(self._sharded, self.reshard_after_forward)

    def on_train_start(self) -> None:
        """Nothing is gathered when training begins, whatever ended before."""
        super().on_train_start()
        self._whole = 0

    def on_validation_start(self) -> None:
        """Gather the weights."""
        super().on_validation_start()
        self._gather()

    def on_validation_end(self) -> None:
        """Back to shards."""
        super().on_validation_end()
        self._release()

    def on_test_start(self) -> None:
        """Gather the weights."""
        super().on_test_start()
        self._gather()

    def on_test_end(self) -> None:
        """Back to shards."""
        super().on_test_end()
        self._release()

    # -- checkpoints ------------------------------------------------------------------------------------------------

    @property
    def lightning_restore_optimizer(self) -> bool:
        """What `load_checkpoint` returns holds the optimizer's state, in shards."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """The task's state, weights as shards, buffers as rank 0 has them."""
        assert self.lightning_module is not None
        sync_buffers(self._sharded, self.device_mesh["data_parallel"])
        state: dict[str, Any] = self.lightning_module.state_dict()  # it reshards
        state = {name: value.detach() for name, value in state.items()}
        if self._whole:
            gather_weights(self._sharded)
        return state

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimizer's own state, by numbers of parameters as in an unsharded run, tensors as shards."""
        inner: Optimizer = getattr(optimizer, "_optimizer", optimizer)
        return inner.state_dict()

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Put weights that `load_checkpoint` gave into the model."""
        assert self.lightning_module is not None
        self.lightning_module.load_state_dict(checkpoint["state_dict"], strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Put the state that `load_checkpoint` gave into the optimizers."""
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            optimizer.load_state_dict(state)
            _unfuse(optimizer)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint folder; all ranks call it together."""
        from mmdl.runs.sharded_checkpoint import save_sharded

        save_sharded(checkpoint, Path(self.broadcast(filepath)))

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint folder, or the file of an unsharded run: weights and moments come as this rank's shards.

        Args:
            checkpoint_path: The folder or file, which was verified when it was chosen.
            weights_only: Always on.
        """
        from mmdl.runs.sharded_checkpoint import load_sharded

        assert self.lightning_module is not None
        return load_sharded(Path(checkpoint_path), self.lightning_module, self.optimizers)


def _unfuse(optimizer: Optimizer) -> None:
    """torch 2.15 has fused steps of shards for Adam and AdamW only."""
    if not isinstance(optimizer, Adam):  # AdamW is one
        for group in optimizer.param_groups:
            if group.get("fused"):
                group["fused"] = False


def fsdp2(*, reshard_after_forward: bool = True, timeout_minutes: float = 10.0) -> FSDP2:
    """Fully sharded data parallel training (FSDP2; Zhao et al. 2023, arXiv:2304.11277).

    Args:
        reshard_after_forward: Free a layer group's weights after its forward and gather them again for its backward
            pass; False keeps them in between, which is faster and needs more memory.
        timeout_minutes: How long a rank waits for the others before the run ends with an error.

    Returns:
        Lightning's `ModelParallelStrategy` for the whole world as one data-parallel group.
    """
    return FSDP2(reshard_after_forward, timedelta(minutes=timeout_minutes))
