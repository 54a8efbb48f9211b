"""Says to the W&B logger of a configuration what kind of job its run is, where nobody has said so."""

from __future__ import annotations

from typing import Any


def file_as(loggers: Any, job_type: str, group: str | None = None, run_id: str | None = None) -> None:
    """Set job type, group and id of W&B's logger in a configuration; without that logger, nothing.

    Args:
        loggers: The node `logger`, which may be changed, or None.
        job_type: For `job_type: null`.
        group: For `group: null`; None leaves it.
        run_id: In the place of the run's own.

    >>> from omegaconf import OmegaConf
    >>> node = OmegaConf.create({"wandb": {"job_type": None, "group": "mine", "run_id": "a"}})
    >>> file_as(node, "study-arm", "study", "a.b")
    >>> node
    {'wandb': {'job_type': 'study-arm', 'group': 'mine', 'run_id': 'a.b'}}
    """
    wandb = (loggers or {}).get("wandb")
    if wandb is None:
        return
    wandb.job_type = wandb.get("job_type") or job_type
    wandb.group = wandb.get("group") or group
    if run_id is not None:
        wandb.run_id = run_id
