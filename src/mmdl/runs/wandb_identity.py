"""Under what a run is found in W&B: name, group, job type and tags, chosen here where nobody has chosen them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from mmdl.errors import UserError

JOB_TYPES = ("train", "eval", "study", "study-arm", "sweep")
"""What mmdl calls its own; a user may call theirs anything."""

LONGEST_TAG = 64
"""Characters; W&B takes no more."""

_MADE = re.compile(r"\d{8}-\d{6}-.*-([0-9a-f]{4})(.*)")
"""A run id that the program has made, and what a study or a sweep has put behind it."""


class Identity(NamedTuple):
    """How W&B files a run.

    Attributes:
        project: Project.
        name: Display name.
        group: Runs that belong together.
        job_type: What kind of job it was.
        tags: For filters.
    """

    project: str
    name: str
    group: str
    job_type: str
    tags: tuple[str, ...]


def identity(
    run_id: str,
    *,
    experiment: str = "run",
    task: str | None = None,
    model: str | None = None,
    data: str | None = None,
    seed: int | None = None,
    quick: bool = False,
    project: str | None = None,
    name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
) -> Identity:
    """What was given counts, then W&B's own variables (`WANDB_RUN_GROUP`, ...), then what the run is.

    Args:
        run_id: The run folder's name.
        experiment: Name of the experiment.
        task: Stem of the task's config.
        model: Stem of the model's.
        data: Stem of the data's.
        seed: The run's seed.
        quick: Whether it is a smoke run.
        project: As given; None: chosen here, as with the following.
        name: As given.
        group: As given.
        job_type: As given.
        tags: As given; an empty list means none.

    Raises:
        UserError: if a tag that was given is empty or too long.

    >>> found = identity("20261128-101500-vqa-1a2b", experiment="vqa", data="shapes_vqa", seed=1)
    >>> found.name, found.group, found.job_type, found.tags
    ('vqa shapes_vqa seed 1 1a2b', 'vqa', 'train', ('vqa', 'shapes_vqa'))
    >>> identity("mine", experiment="vqa", tags=["paper"]).tags
    ('paper',)
    """
    if tags is None:
        variable = os.environ.get("WANDB_TAGS")
        tags = (
            [tag for tag in variable.split(",") if tag]
            if variable
            else _tags(experiment, task, model, data, quick)
        )
    bad = [tag for tag in tags if not 1 <= len(str(tag)) <= LONGEST_TAG]
    if bad:
        raise UserError(
            f"logger.wandb.tags has {bad[0]!r}",
            valid=f"tags of 1 to {LONGEST_TAG} characters, which is what W&B takes",
            fix="logger.wandb.tags=[short]",
        )
    in_sweep = bool(os.environ.get("WANDB_SWEEP_ID"))
    return Identity(
        project=project or os.environ.get("WANDB_PROJECT") or "mmdl",
        name=name or os.environ.get("WANDB_NAME") or _name(run_id, experiment, data, seed, in_sweep),
        group=group or os.environ.get("WANDB_RUN_GROUP") or experiment,
        job_type=job_type or os.environ.get("WANDB_JOB_TYPE") or ("sweep" if in_sweep else "train"),
        tags=tuple(str(tag) for tag in tags),
    )


def _tags(*parts: object) -> list[str]:
    *words, quick = parts
    found = [str(word)[:LONGEST_TAG] for word in words if word]
    return list(dict.fromkeys([*found, *(["quick"] if quick else [])]))


def _name(run_id: str, experiment: str, data: str | None, seed: int | None, in_sweep: bool) -> str:
    """The run id where a person has chosen it; else words that tell runs apart in a list, and the id's last ones."""
    made = re.fullmatch("(.*)()", run_id) if in_sweep else _MADE.fullmatch(run_id)
    if made is None:
        return run_id
    seeded = f"seed {seed}" if seed is not None else None
    words = [experiment, data if data != experiment else None, seeded, made[1] + made[2]]
    return " ".join(word for word in words if word)
