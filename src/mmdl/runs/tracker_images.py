"""Pictures of the run folder, shown by the trackers too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from mmdl.evaluators.base import Artifact


def log_images(loggers: Iterable[Any], pictures: Mapping[str, Artifact], step: int) -> None:
    """Send pictures to W&B and TensorBoard; other loggers take none.

    Args:
        loggers: The run's loggers.
        pictures: Name -> `.png` file that is written already.
        step: Optimizer step that they belong to.
    """
    for logger in loggers if pictures else ():
        if isinstance(logger, WandbLogger):
            row: Any = {name: _wandb_image(artifact) for name, artifact in pictures.items()}
            logger.log_metrics(row, step=step)
        elif isinstance(logger, TensorBoardLogger):
            _to_tensorboard(logger, pictures, step)


def _wandb_image(artifact: Artifact) -> Any:
    import wandb

    return wandb.Image(str(artifact.path), caption=artifact.caption)


def _to_tensorboard(logger: TensorBoardLogger, pictures: Mapping[str, Artifact], step: int) -> None:
    import numpy as np
    from PIL import Image

    writer = logger.experiment
    for name, artifact in pictures.items():
        with Image.open(artifact.path) as image:
            pixels = np.asarray(image.convert("RGB"))
        writer.add_image(name, pixels, global_step=step, dataformats="HWC")
    # After the end of training its file is closed already: this opened another.
    writer.flush()
