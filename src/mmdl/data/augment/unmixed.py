"""The augmentation of images that have no classes: steps that change one image each."""

from __future__ import annotations

from collections.abc import Mapping

from mmdl.data.augment.base import Augmentation
from mmdl.errors import UserError


def unmixed_steps(augment: Mapping[str, Augmentation] | None) -> list[Augmentation]:
    """The steps of a configuration, in their order.

    Args:
        augment: Name -> step. A plain mapping is what an experiment sets of a step that the command line took away; it
            is passed over.

    Raises:
        UserError: A step mixes the classes of two images.
    """
    steps = {name: step for name, step in (augment or {}).items() if step and not isinstance(step, Mapping)}
    for name, step in steps.items():
        if getattr(step, "mixes", False):
            raise UserError(
                f"data.augment.{name} mixes the classes of two images, and captions can't be mixed",
                valid="steps that change one image: crop, resized_crop, flip, color_jitter, cutout, ...",
                fix=f"leave {name} out of augment@data.augment=[...]",
            )
    return list(steps.values())
