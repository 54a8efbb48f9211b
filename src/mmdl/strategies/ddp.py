"""Every rank holds the whole model, and gradients are averaged."""

from __future__ import annotations

from datetime import timedelta

from lightning.pytorch.strategies import DDPStrategy


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
        gradient_as_bucket_view: Gradients live in the buckets that are sent, which saves their memory once.
        find_unused_parameters: Walk the graph of every step for parameters without a gradient.
        timeout_minutes: How long a rank waits for the others before the run ends with an error.

    Returns:
        Lightning's strategy.
    """
    return DDPStrategy(
        static_graph=static_graph,
        gradient_as_bucket_view=gradient_as_bucket_view,
        find_unused_parameters=find_unused_parameters,
        timeout=timedelta(minutes=timeout_minutes),
    )
