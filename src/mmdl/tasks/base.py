"""The base of all tasks: wires a model, its losses, the optimizer and the evaluation into Lightning, once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, TypedDict

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mmdl.data.base import DataModule
from mmdl.data.sampler import IntArray
from mmdl.errors import UserError
from mmdl.evaluators.base import EvaluationContext, Evaluator, Result, qualified
from mmdl.models.layers.eval_mode import eval_mode
from mmdl.optim.groups import freeze as freeze_groups
from mmdl.optim.groups import parameter_groups
from mmdl.optim.norms import clip_norm, clip_values
from mmdl.runs.jsonl_logger import note_counts
from mmdl.strategies.buffers import agree_on_buffers


def _go_on() -> None:
    """Nobody asks for a pause."""


class TaskOptions(TypedDict, total=False):
    """Arguments that every task shares; `Task` documents them."""

    freeze: Sequence[str]
    train_last: Mapping[str, int] | None
    learning_rate_scale: Mapping[str, float] | None
    layer_decay: float
    decay_vectors: bool
    compile: bool
    channels_last: bool


class Task(pl.LightningModule):
    """A model with its losses, as a LightningModule; a subclass implements `losses`, `evaluate_batch` and `count`.

    Args:
        model: A plain module with `consumes` and `layer_groups()`.
        optimizer: Called with the parameter groups.
        schedule: Called with the optimizer and `total_steps`; stepped once an optimizer step.
        freeze: Patterns of layer groups that don't learn, such as `image_tower*`.
        train_last: Pattern of layer groups -> how many of them learn, counted from the output: `{"image_tower*": 2}`.
        learning_rate_scale: Pattern of layer groups -> factor on the learning rate.
        layer_decay: Factor on the learning rate from each layer group of a tower to the one below.
        decay_vectors: Apply weight decay to biases and norms too.
        compile: Compile the model with `torch.compile`.
        channels_last: Keep images and convolutions in channels-last memory order.
    """

    joins_ranks: ClassVar[bool] = False
    """Whether `losses` are taken over all ranks already, so that their mean over the ranks is what one process has."""
    predict_example: ClassVar[str] = "image=FILE"
    """What `mmdl predict run=RUN` needs besides, for the card at the end of a run."""

    splits_batches: ClassVar[bool] = False
    """Whether the loss of a batch is no mean over its samples, so that the task itself takes it in parts."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        schedule: Any,
        *,
        freeze: Sequence[str] = (),
        train_last: Mapping[str, int] | None = None,
        learning_rate_scale: Mapping[str, float] | None = None,
        layer_decay: float = 1.0,
        decay_vectors: bool = False,
        compile: bool = False,  # noqa: A002 - torch's own name for it
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        self.model = model
        self.make_optimizer = optimizer
        self.make_schedule = schedule
        self.learning_rate_scale = learning_rate_scale
        self.layer_decay = layer_decay
        self.decay_vectors = decay_vectors
        self.num_frozen = freeze_groups(model, list(freeze), train_last)
        if compile:
            model.compile()
        self.evaluators: dict[str, Evaluator] = {}
        self.quick = False
        self.eval_split = "test"
        """Which split `Trainer.test` runs on."""
        self.silent_split: str | None = None
        """A split whose figures are not logged: it is run for the evaluators only."""
        self.data: DataModule | None = None
        """For evaluation with loaders in place of a data module."""
        self.recorded: Mapping[str, Any] = {}
        """The figures that the run's summary holds already, for the evaluators."""
        self.results: dict[str, list[Result]] = {}
        self.context: EvaluationContext | None = None
        """What the last evaluation was run on."""
        self.outputs: dict[str, np.ndarray[Any, Any]] = {}
        self.grad_norm: Tensor | None = None
        """Of the last step, before clipping; None where gradients are not clipped by their norm."""
        self.training_flops: int | None = None
        """Floating-point operations of a sample in a training step, where they were counted (`mmdl.checking.Cost`)."""
        self.pause: Callable[[], None] = _go_on
        """Called by what takes long in an evaluation, equally often on all ranks: the run may be stopped there."""
        self._collected: list[dict[str, Tensor]] = []
        self._eval_loss: list[tuple[Tensor, int]] = []
        self.idle = False
        """This rank has no sample of the training batch; the one that it was given must not count."""

    # -- what a subclass gives --------------------------------------------------------------------------------------

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Named scalar losses of a batch, means over its samples; `loss` is the one that is minimised."""
        raise TypeError(f"{type(self).__name__} has no losses()")

    def evaluate_batch(self, batch: Any) -> tuple[dict[str, Tensor], Tensor | None]:
        """Outputs for the evaluators, and the mean loss where the batch has targets.

        The outputs have one row a sample; `rows` (N,) int64 names the samples. Outputs of another kind, with as many
        rows as they like, share a first part of their names: `captions/embeddings` goes by `captions/rows`.
        """
        raise TypeError(f"{type(self).__name__} has no evaluate_batch()")

    def count(self, batch: Any) -> int:
        """Number of samples in a batch."""
        raise TypeError(f"{type(self).__name__} has no count()")

    def loss_of_split(self, context: EvaluationContext) -> list[Result]:
        """`loss` of a whole split from the outputs of all ranks, where the loss of a batch is no mean over samples."""
        return []

    def trainer_errors(self, trainer: Mapping[str, Any], batch_size: int) -> list[UserError]:
        """What of the trainer's settings (the config's `trainer`) this task can't be trained with.

        Args:
            trainer: Its arguments by name.
            batch_size: Samples in a training batch of one rank.
        """
        return []

    def samples_at_once(self, batch_size: int) -> int:
        """Samples of a training batch whose activations exist at a time."""
        return batch_size

    def split_batches(self, size: int) -> None:
        """Encode so many samples of a batch at a time; only where `splits_batches`."""
        raise TypeError(f"{type(self).__name__} does not split batches")

    def probe_loss(self, batch: Any) -> Tensor:
        """The loss of a batch on this rank alone, with the memory that it takes: no other rank need call it."""
        return self.losses(batch)["loss"]

    # -- training ---------------------------------------------------------------------------------------------------

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """Losses of one batch; the callbacks log them, so that nothing here waits for the device.

        On several ranks their mean over the ranks, and that of their gradients, is what one process has on the joined
        batch, however unequal the shares are.
        """
        weight = self._share_of(batch_idx)
        losses = self.losses(batch)
        if weight != 1 and not self.joins_ranks:
            losses = {name: value * weight for name, value in losses.items()}
        return {name: value if name == "loss" else value.detach() for name, value in losses.items()}

    def _share_of(self, batch_idx: int) -> float:
        """Samples of this rank over the mean of all ranks."""
        ranks = self.trainer.world_size
        if ranks == 1:
            return 1.0
        data: DataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        own, joined = data.share(batch_idx)
        self.idle = own == 0
        return own * ranks / joined

    def configure_model(self) -> None:
        """Shard the model where the strategy does that; Lightning calls it before there are optimizers."""
        strategy: Any = self.trainer.strategy
        if hasattr(strategy, "shard"):
            strategy.shard(self)

    def whole_weights(self) -> AbstractContextManager[None]:
        """In it forwards need no other rank: a model that is sharded is gathered. All ranks enter it together."""
        strategy: Any = self.trainer.strategy
        gathered: AbstractContextManager[None] = getattr(strategy, "whole_weights", nullcontext)()
        return gathered

    def configure_optimizers(self) -> Any:
        """The optimizer over the layer groups, and the schedule in optimizer steps."""
        optimizer, schedule = self.build_optimizer(self.total_steps())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def build_optimizer(self, total_steps: int) -> tuple[Optimizer, LRScheduler]:
        """A new optimizer and its schedule.

        Args:
            total_steps: Optimizer steps of the whole run.

        Raises:
            UserError: if one of them does not take its arguments.
        """
        base = getattr(self.make_optimizer, "keywords", {})
        groups = parameter_groups(
            self.model,
            float(base.get("lr", 1e-3)),
            float(base.get("weight_decay", 0.0)),
            self.learning_rate_scale,
            self.layer_decay,
            self.decay_vectors,
        )
        optimizer: Optimizer = self.make_optimizer(groups)
        schedule: LRScheduler = self.make_schedule(optimizer, total_steps=total_steps)
        return optimizer, schedule

    def total_steps(self) -> int:
        """Optimizer steps of the whole run.

        Lightning's own estimate would build the loaders, before the position of the run is restored
        (pytorch-lightning #20550).
        """
        trainer = self.trainer
        data: DataModule = trainer.datamodule  # type: ignore[attr-defined]
        batches = data.steps_per_epoch(trainer.world_size)
        limit = trainer.limit_train_batches
        if isinstance(limit, int) and limit:
            batches = min(batches, limit)
        elif isinstance(limit, float):
            batches = max(1, int(batches * limit))
        steps = -(-batches // trainer.accumulate_grad_batches)
        first, done = 0, 0
        if data.moved is not None:  # the steps that were done held other numbers of samples
            first = data.moved.epoch
            done = data.moved.steps - data.moved.batch // trainer.accumulate_grad_batches
        epochs = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else None
        total = done + steps * (epochs - first) if epochs is not None else None
        if trainer.max_steps > 0:
            total = min(trainer.max_steps, total) if total is not None else trainer.max_steps
        return max(1, total if total is not None else steps)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as Lightning does, and keep the norm from before, which costs nothing more."""
        if gradient_clip_val and gradient_clip_algorithm in (None, "norm"):
            self.grad_norm = clip_norm(self.model.parameters(), gradient_clip_val)
        elif gradient_clip_val:
            clip_values(self.model.parameters(), gradient_clip_val)

    # -- evaluation -------------------------------------------------------------------------------------------------

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Collect the outputs and the loss of one batch."""
        outputs, loss = self.evaluate_batch(batch)
        self._collected.append({name: value.cpu() for name, value in outputs.items()})
        if loss is not None:
            self._eval_loss.append((loss, self.count(batch)))

    test_step = validation_step

    def on_validation_epoch_start(self) -> None:
        """Forget the outputs of the last evaluation; all ranks take the buffers of the first."""
        self._collected, self._eval_loss = [], []
        agree_on_buffers(self.trainer)

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_epoch_end(self) -> None:
        """Run the evaluators of the validation split and log their figures."""
        self._evaluate("val")

    def on_test_epoch_end(self) -> None:
        """Run the evaluators of the test split and log their figures."""
        self._evaluate(self.eval_split)

    @torch.no_grad()
    def evaluate_rows(
        self, data: DataModule, split: str, rows: IntArray
    ) -> tuple[dict[str, np.ndarray[Any, Any]], float, int]:
        """Outputs and mean loss over rows of a split, in eval mode and without augmentation, while a Trainer runs.

        The training goes on as if this had not happened: modes, collected outputs and random state stay.

        Args:
            data: The data module.
            split: Such as `train`.
            rows: `(n,)` rows of the split, the same on every rank; the ranks share them out.

        Returns:
            Arrays by name in the order of the rows, the mean loss, and over how many samples it was taken.
        """
        trainer = self.trainer
        size, count = data.eval_batch_size, len(rows)
        own = range(trainer.global_rank * size, count, trainer.world_size * size)
        agree_on_buffers(trainer)
        kept = self._collected, self._eval_loss
        self._collected, self._eval_loss = [], []
        try:
            with self.whole_weights(), eval_mode(self), trainer.precision_plugin.val_step_context():
                for start in own:
                    batch = data.dataset(split)[rows[start : start + size]]
                    self.validation_step({name: value.to(self.device) for name, value in batch.items()}, 0)
            outputs, loss, count = self._gathered()
        finally:
            self._collected, self._eval_loss = kept
        return outputs, loss / max(1, count), count

    def _evaluate(self, split: str) -> None:
        outputs, loss, count = self._gathered()
        self.outputs = outputs
        data = self.data if self.data is not None else self.trainer.datamodule  # type: ignore[attr-defined]
        final = self.trainer.state.fn != "fit"
        context = EvaluationContext(self, data, split, outputs, self.quick, final, self.recorded, {})
        self.context = context
        results = [Result("loss", loss / count, count)] if count else []
        results += self.loss_of_split(context)
        for evaluator in self.evaluators.values():
            if split in evaluator.splits:
                self.pause()
                results += evaluator.run(context)
        self.results[split] = results
        if split == self.silent_split:
            return
        note_counts(self.trainer.loggers, {qualified(result, split): result.n for result in results})
        if results and not final:
            # The row's own step and epoch: Lightning's is the step before, at the end of an epoch.
            self.log("step", float(self.trainer.global_step), rank_zero_only=False, batch_size=1)
            self.log("epoch", float(self.trainer.current_epoch), rank_zero_only=False, batch_size=1)
        # Every rank holds the gathered outputs, so the figures are equal already.
        for result in results:
            self.log(
                qualified(result, split), result.value, rank_zero_only=False, batch_size=max(1, result.n)
            )

    def _gathered(self) -> tuple[dict[str, np.ndarray[Any, Any]], float, int]:
        """Outputs of all ranks in sample order, with the summed loss and its count."""
        losses = [value.double().item() * n for value, n in self._eval_loss]
        count = sum(n for _, n in self._eval_loss)
        names = list(self._collected[0]) if self._collected else []
        own = {name: torch.cat([part[name] for part in self._collected]).numpy() for name in names}
        parts: list[Any] = [(own, losses, count)]
        if self.trainer.world_size > 1:
            parts = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(parts, (own, losses, count))
        filled = [part for part, _, _ in parts if part]
        merged = {
            name: np.concatenate([part[name] for part in filled]) for name in (filled[0] if filled else {})
        }
        orders = {
            name.removesuffix("rows"): np.argsort(rows, kind="stable")
            for name, rows in merged.items()
            if name.rpartition("/")[2] == "rows"
        }
        merged = {
            name: value[orders["/".join([*name.split("/")[:-1], ""])]] for name, value in merged.items()
        }
        # rounded once: the sum of the batches does not depend on which rank had them
        return merged, math.fsum(loss for part in parts for loss in part[1]), sum(part[2] for part in parts)
