"""Learning-rate schedules in optimizer steps, as factors on each group's own rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from mmdl.errors import UserError


def warmup_steps(warmup: float, total: int) -> int:
    """Steps of warm-up: a share of all steps below 1, a number of steps from 1 on.

    >>> warmup_steps(0.05, 1000), warmup_steps(20, 1000)
    (50, 20)
    """
    return round(warmup * total) if warmup < 1 else int(warmup)


def _scheduled(
    optimizer: Optimizer, total: int, warmup: float, after: Callable[[float], float]
) -> LRScheduler:
    """Linear warm-up from zero, then `after(share of the remaining steps)`."""
    first = warmup_steps(warmup, total)

    def factor(step: int) -> float:
        if step < first:
            return (step + 1) / (first + 1)
        return after(min(1.0, (step - first) / max(1, total - first)))

    return LambdaLR(optimizer, factor)


def _cosine(share: float, floor: float) -> float:
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))


def _linear(share: float, floor: float) -> float:
    return floor + (1 - floor) * (1 - share)


def _constant(share: float) -> float:
    return 1.0


def cosine(optimizer: Optimizer, total_steps: int, warmup: float = 0.0, floor: float = 0.0) -> LRScheduler:
    """Half a cosine from the full rate to `floor` of it (SGDR, Loshchilov and Hutter 2017), after the warm-up.

    Args:
        optimizer: Its groups' rates are the peaks.
        total_steps: Optimizer steps of the run.
        warmup: Share of all steps (< 1) or number of steps.
        floor: Share of the peak at the end.
    """
    return _scheduled(optimizer, total_steps, warmup, partial(_cosine, floor=floor))


def linear(optimizer: Optimizer, total_steps: int, warmup: float = 0.0, floor: float = 0.0) -> LRScheduler:
    """A straight line from the full rate to `floor` of it, after the warm-up; arguments as for `cosine`."""
    return _scheduled(optimizer, total_steps, warmup, partial(_linear, floor=floor))


def constant(optimizer: Optimizer, total_steps: int, warmup: float = 0.0) -> LRScheduler:
    """The full rate, after the warm-up; arguments as for `cosine`."""
    return _scheduled(optimizer, total_steps, warmup, _constant)


def one_cycle(
    optimizer: Optimizer,
    total_steps: int,
    warmup: float = 0.3,
    start_factor: float = 25.0,
    end_factor: float = 1e4,
) -> LRScheduler:
    """torch's `OneCycleLR` (Smith and Topin 2018) with each group's rate as its peak; momentum moves inversely.

    Args:
        optimizer: Its groups' rates are the peaks.
        total_steps: Optimizer steps of the run.
        warmup: Share of all steps (< 1) or number of steps in which the rate rises.
        start_factor: The first rate is the peak divided by this.
        end_factor: The last rate is the first divided by this.

    Raises:
        UserError: if the warm-up takes all steps.
    """
    share = warmup_steps(warmup, total_steps) / max(1, total_steps)
    if share >= 1:
        raise UserError(
            f"schedule.warmup={warmup} takes all {total_steps} steps", valid="fewer steps than the run has"
        )
    peaks = [group["lr"] for group in optimizer.param_groups]
    total = max(3, total_steps + 1)  # the scheduler is stepped once after the last optimizer step
    return OneCycleLR(
        optimizer,
        max_lr=peaks,
        total_steps=total,
        pct_start=max(share, 2 / total),  # torch divides by the steps of the rise less one
        div_factor=start_factor,
        final_div_factor=end_factor,
    )
