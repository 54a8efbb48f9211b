"""W&B's service is a process of its own: where it has ended, the training goes on without it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger("mmdl")


@contextmanager
def tracker_may_end(logger: Any) -> Iterator[None]:
    """What is sent to W&B within may fail because its service is gone; that is said once, and noted in the logger.

    TERM ends the service, and a scheduler that preempts may send it to all processes. The run folder has all figures.

    Args:
        logger: A `WandbLogger`; its attribute `lost` says afterwards whether the service is gone.
    """
    from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

    try:
        yield
    except (ConnectionError, HandleAbandonedError, MailboxClosedError) as error:
        if not getattr(logger, "lost", False):
            reason = str(error) or type(error).__name__
            log.warning("W&B's service has ended (%s): the run folder has all figures, W&B not", reason)
        logger.lost = True
