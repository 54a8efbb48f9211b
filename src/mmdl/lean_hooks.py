"""Lightning's calls of hooks without what they cost where nobody listens.

In every training step Lightning 2.6 enters some fifty profiler contexts, formats as many strings, and writes the name
of the current hook through `nn.Module.__setattr__`, mostly around hooks that are empty. On small models that is
more than the step itself (`benchmarks/mnist_epoch.py` shows the ratio to a loop without any of it).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.trainer import call

EMPTY = frozenset(
    {
        "on_train_batch_start",
        "on_train_batch_end",
        "on_before_zero_grad",
        "on_before_backward",
        "on_after_backward",
        "on_before_optimizer_step",
    }
)
"""Hooks of every step whose bodies are empty in Lightning's own classes."""


def _is_own(owner: Any, base: type, name: str) -> bool:
    """Whether an object brings a hook of its own."""
    return name in vars(owner) or getattr(type(owner), name, None) is not getattr(base, name, None)


class LeanHooks:
    """The three functions through which Lightning calls hooks; they call the same ones in the same order.

    Args:
        trainer: Calls of other trainers go to Lightning's own functions.
    """

    def __init__(self, trainer: pl.Trainer) -> None:
        self.trainer = trainer
        self.plain = (call._call_callback_hooks, call._call_lightning_module_hook, call._call_strategy_hook)
        self._listening: dict[tuple[int, str], bool] = {}

    def _listens(self, owner: Any, base: type, name: str) -> bool:
        key = (id(owner), name)
        if key not in self._listening:
            self._listening[key] = _is_own(owner, base, name)
        return self._listening[key]

    def callbacks(
        self,
        trainer: pl.Trainer,
        hook_name: str,
        *args: Any,
        monitoring_callbacks: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """In place of `_call_callback_hooks`."""
        if trainer is not self.trainer:
            return self.plain[0](
                trainer, hook_name, *args, monitoring_callbacks=monitoring_callbacks, **kwargs
            )
        module = trainer.lightning_module
        named = vars(module) if module is not None else {}
        before = named.get("_current_fx_name")
        named["_current_fx_name"] = hook_name
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if not self._listens(callback, Callback, hook_name):
                continue
            if monitoring_callbacks is None or monitoring_callbacks == isinstance(
                callback, EarlyStopping | Checkpoint
            ):
                getattr(callback, hook_name)(trainer, module, *args, **kwargs)
        named["_current_fx_name"] = before
        return None

    def module(
        self,
        trainer: pl.Trainer,
        hook_name: str,
        *args: Any,
        pl_module: pl.LightningModule | None = None,
        **kwargs: Any,
    ) -> Any:
        """In place of `_call_lightning_module_hook`."""
        if trainer is not self.trainer:
            return self.plain[1](trainer, hook_name, *args, pl_module=pl_module, **kwargs)
        module = pl_module or trainer.lightning_module
        if hook_name in EMPTY and not self._listens(module, pl.LightningModule, hook_name):
            return None
        named = vars(module)
        before = named.get("_current_fx_name")
        named["_current_fx_name"] = hook_name
        output = getattr(module, hook_name)(*args, **kwargs)
        named["_current_fx_name"] = before
        return output

    def strategy(self, trainer: pl.Trainer, hook_name: str, *args: Any, **kwargs: Any) -> Any:
        """In place of `_call_strategy_hook`."""
        if trainer is not self.trainer:
            return self.plain[2](trainer, hook_name, *args, **kwargs)
        named = vars(trainer.lightning_module)
        before = named.get("_current_fx_name")
        named["_current_fx_name"] = hook_name
        output = getattr(trainer.strategy, hook_name)(*args, **kwargs)
        named["_current_fx_name"] = before
        return output


@contextmanager
def lean_hooks(trainer: pl.Trainer) -> Iterator[None]:
    """Call the hooks of a trainer directly while it fits; nothing changes where a profiler wants to see them.

    Args:
        trainer: Before `fit`.
    """
    if not isinstance(trainer.profiler, PassThroughProfiler):  # type: ignore[attr-defined]
        yield
        return
    lean = LeanHooks(trainer)
    call._call_callback_hooks = lean.callbacks
    call._call_lightning_module_hook = lean.module
    call._call_strategy_hook = lean.strategy
    try:
        yield
    finally:
        call._call_callback_hooks, call._call_lightning_module_hook, call._call_strategy_hook = lean.plain
