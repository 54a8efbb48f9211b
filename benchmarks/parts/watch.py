"""Seconds of the epochs of a training, and of the steps in them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

STEPS = ("data", "forward", "backward", "optimizer", "other")


class Watch:
    """Seconds of each epoch, and of the steps in it where that is asked for."""

    def __init__(self, split: bool) -> None:
        self.split = split
        self.epochs: list[float] = []
        self.processor: list[float] = []
        self.steps = dict.fromkeys(STEPS, 0.0)
        self._began = 0.0
        self._ready = 0.0
        self._backward = 0.0

    def start(self) -> None:
        """An epoch begins; the steps are those of the last one."""
        self.steps = dict.fromkeys(STEPS, 0.0)
        self._began = time.perf_counter()
        self._worked = time.process_time()

    def stop(self) -> None:
        """The last step of an epoch is done, as far as is known."""
        self._ended = time.perf_counter()
        self._done = time.process_time()

    def finish(self) -> None:
        """The epoch is over."""
        seconds = self._ended - self._began
        self.epochs.append(seconds)
        self.processor.append(self._done - self._worked)
        self.steps["other"] = seconds - sum(self.steps[name] for name in STEPS[:-1])

    def batches(self, loader: Any) -> Iterator[Any]:
        """The batches of a loader, waiting for which counts as data."""
        iterator = None
        while True:
            began = time.perf_counter()
            iterator = iter(loader) if iterator is None else iterator
            batch = next(iterator, None)
            self._data(began)
            if batch is None:
                return
            yield batch

    def _data(self, began: float) -> None:
        self._ready = time.perf_counter()
        self.steps["data"] += self._ready - began

    def prepared(self, function: Any) -> Any:
        """A function whose time counts as data too: what is done to a batch before it is computed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            result = function(*args, **kwargs)
            self._data(began)
            return result

        return timed

    def measure(self) -> None:
        """From a batch that is ready to `backward` is forward; from there to the end of the step the optimizer's."""
        import torch
        from torch.optim.optimizer import register_optimizer_step_post_hook

        plain = torch.Tensor.backward

        def backward(tensor: Any, *args: Any, **kwargs: Any) -> None:
            began = time.perf_counter()
            self.steps["forward"] += began - self._ready
            plain(tensor, *args, **kwargs)
            self._backward = time.perf_counter()
            self.steps["backward"] += self._backward - began

        def stepped(*_: Any) -> None:
            self.steps["optimizer"] += time.perf_counter() - self._backward

        torch.Tensor.backward = backward  # type: ignore[assignment,method-assign]
        register_optimizer_step_post_hook(stepped)
