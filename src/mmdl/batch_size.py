"""How the samples of an optimizer step are shared out over ranks and over parts that fit into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from omegaconf import DictConfig

from mmdl.errors import UserError


class Fit(NamedTuple):
    """What fits into memory.

    Attributes:
        size: Samples at a time; 0 where not even one fits.
        bytes: What they take.
        probes: (samples, bytes) of every measurement, in the order in which they were made.
    """

    size: int
    bytes: float
    probes: list[tuple[int, float]]


def share_out(cfg: DictConfig, ranks: int) -> None:
    """Set `data.batch_size` so that an optimizer step over all ranks takes `global_batch_size` samples.

    Args:
        cfg: The configuration of `train`; nothing changes where `global_batch_size` is null.
        ranks: How many ranks train.

    Raises:
        UserError: if the samples can't be shared out evenly.
    """
    wanted = cfg.get("global_batch_size")
    if wanted is None:
        return
    accumulated = int(cfg.trainer.accumulate_grad_batches or 1)
    parts = ranks * accumulated
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
        raise UserError(f"global_batch_size={wanted}", valid="a positive number of samples, or null")
    if wanted % parts:
        below = wanted // parts * parts
        near = [str(size) for size in (below, below + parts) if size]
        raise UserError(
            f"global_batch_size={wanted} can't be shared out evenly over {ranks} ranks"
            + (f" and trainer.accumulate_grad_batches={accumulated}" if accumulated > 1 else ""),
            valid=f"a multiple of {parts}, such as {' or '.join(near)}",
            fix=f"global_batch_size={near[-1]}",
        )
    cfg.data.batch_size = wanted // parts


def divisors(number: int) -> list[int]:
    """All divisors, in ascending order.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [part for part in range(1, math.isqrt(number) + 1) if number % part == 0]
    return small + [number // part for part in reversed(small) if part * part != number]


def part_sizes(number: int) -> list[int]:
    """Every size of the largest part when a number is cut as evenly as possible, in ascending order.

    >>> part_sizes(10)
    [1, 2, 3, 4, 5, 10]
    """
    return sorted({-(-number // parts) for parts in range(1, number + 1)})


def largest_that_fits(
    candidates: Sequence[int],
    measure: Callable[[int], float],
    budget: float,
    fixed: float = 0.0,
    smallest: int = 1,
) -> Fit:
    """The largest candidate that takes no more memory than there is, found without taking much more than that.

    Memory grows linearly with the samples. Sizes are doubled as long as twice what the last samples took, or the line
    through the last two measurements, stays within the budget; so nothing is tried that is expected not to fit. The
    largest candidate on the line is then measured itself, and the next smaller one should it take more.

    Args:
        candidates: Sizes to choose from, ascending.
        measure: Samples -> bytes; `inf` where they did not fit.
        budget: Bytes.
        fixed: Bytes that do not depend on the samples: gradients.
        smallest: Size to begin with; at most the largest candidate.

    >>> largest_that_fits([1, 3, 4, 6, 12], lambda size: 100 + 10 * size, budget=165, fixed=100)
    Fit(size=6, bytes=160, probes=[(1, 110), (2, 120), (4, 140), (6, 160)])
    """
    probes: list[tuple[int, float]] = []
    known: dict[int, float] = {}

    def taken(size: int) -> float:
        if size not in known:
            known[size] = measure(size)
            probes.append((size, known[size]))
        return known[size]

    def expected(size: int) -> float:
        points = sorted((size, taken) for size, taken in known.items() if math.isfinite(taken))
        last, high = points[-1]
        at_most = fixed + (high - fixed) * size / last
        if len(points) < 2:
            return at_most
        before, low = points[-2]
        return min(at_most, high + max(0.0, (high - low) / (last - before)) * (size - last))

    size = smallest
    if taken(size) > budget:
        return Fit(0, known[size], probes)
    while size < candidates[-1]:
        following = min(2 * size, candidates[-1])
        if expected(following) > budget or taken(following) > budget:
            break
        size = following
    for candidate in reversed(candidates):
        if candidate in known or (candidate > size and expected(candidate) <= budget):
            if taken(candidate) <= budget:
                return Fit(candidate, known[candidate], probes)
        elif candidate < size and taken(candidate) <= budget:
            return Fit(candidate, known[candidate], probes)
    return Fit(0, known[size], probes)
