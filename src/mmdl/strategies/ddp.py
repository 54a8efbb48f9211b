"""Every rank holds the whole model, and gradients are averaged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmdl.errors import UserError

UNUSED = "strategy.find_unused_parameters=true strategy.static_graph=false"
GRAPH_CHANGED = re.compile(r"Expected to have finished reduction|training graph has changed")
"""How torch says that a parameter got no gradient, or one that it did not have in the first step."""
WITHOUT_GRADIENT = re.compile(r"did not receive grad for rank \d+:((?: \d+)+)")


def ddp(
    *,
    static_graph: bool = True,
    gradient_as_bucket_view: bool = True,
    find_unused_parameters: bool = False,
    timeout_minutes: float = 10.0,
) -> DDPStrategy:
    """Distributed data parallel training.

    Args:
        static_graph: The same parameters get gradients in every step, in the same order: communication is planned once.
            Not where gradients are accumulated.
        gradient_as_bucket_view: Gradients live in the buckets that are sent, which saves their memory once.
        find_unused_parameters: Walk the graph of every step for parameters without a gradient.
        timeout_minutes: How long a rank waits for the others before the run ends with an error.

    Returns:
        Lightning's strategy.

    Raises:
        UserError: if the graph is called static and is to be searched in every step.
    """
    if static_graph and find_unused_parameters:
        raise UserError(
            "strategy.static_graph=true and strategy.find_unused_parameters=true: a graph that is always the same "
            "needs no search in every step",
            valid="one of them",
            fix=UNUSED,
        )
    return _DDP(
        static_graph=static_graph,
        gradient_as_bucket_view=gradient_as_bucket_view,
        find_unused_parameters=find_unused_parameters,
        timeout=timedelta(minutes=timeout_minutes),
    )


class _DDP(DDPStrategy):
    """Lightning's strategy, without a static graph where gradients accumulate, and with errors that name parameters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._first = True
        self._idle: set[str] = set()
        """Parameters without a gradient in the first step: a static graph leaves them out for good."""

    def _setup_model(self, model: nn.Module) -> DistributedDataParallel:
        self._first, self._idle = True, set()
        # torch 2.15 plans at the first backward pass even where that is not to talk, and then fails with an internal
        # assertion. To talk once more there would round otherwise than later: a run that is continued would differ.
        assert self.lightning_module is not None
        if self._ddp_kwargs["static_graph"] and self.lightning_module.trainer.accumulate_grad_batches > 1:
            self._ddp_kwargs["static_graph"] = False
        wrapper = super()._setup_model(model)
        # Training does not read them, and evaluation takes the first rank's: `agree_on_buffers`.
        wrapper.broadcast_buffers = False
        return wrapper

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """The step; what torch says about gradients of the step before it becomes a `UserError`."""
        with self._explained():
            return super().training_step(*args, **kwargs)

    def backward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The backward pass; likewise."""
        with self._explained():
            return super().backward(*args, **kwargs)

    def post_backward(self, closure_loss: Tensor) -> None:
        """Look for parameters that this step left out, before the optimizer uses gradients that were not averaged."""
        super().post_backward(closure_loss)
        model = self.model
        if not isinstance(model, DistributedDataParallel) or model.find_unused_parameters:
            return
        missing = {name for name, p in self._parameters() if p.grad is None}
        if self._first and model.static_graph:
            self._idle = missing
        self._first = False
        if changed := sorted(missing ^ self._idle):
            raise _without_gradient(changed)

    def _parameters(self) -> list[tuple[str, nn.Parameter]]:
        """What DDP takes care of, in its order."""
        assert self.lightning_module is not None
        return [(name, p) for name, p in self.lightning_module.named_parameters() if p.requires_grad]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if not GRAPH_CHANGED.search(str(error)):
                raise
            named = WITHOUT_GRADIENT.search(str(error))
            places = [int(place) for place in named[1].split()] if named else []
            names = [name for name, _ in self._parameters()]
            raise _without_gradient([names[place] for place in places] or sorted(self._idle)) from error


def _without_gradient(names: list[str]) -> UserError:
    shown = ", ".join(name.removeprefix("model.") for name in names[:3]) or "a parameter"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return UserError(
        f"not every step gives a gradient to {shown}{more}: DDP's plan of what the ranks send each other does not hold",
        valid="a loss that all trained parameters take part in, in every step",
        fix=UNUSED,
    )
