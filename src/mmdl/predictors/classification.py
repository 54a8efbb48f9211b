"""Classifies image files with a classification run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mmdl.errors import UserError
from mmdl.predictors.files import device_and_half, image_files
from mmdl.runs.top_items import top_items, top_lines

if TYPE_CHECKING:
    from mmdl.runs.loading import LoadedRun
    from mmdl.tasks.classification import ClassificationTask


def samples(cfg: DictConfig) -> Iterator[dict[str, Any]]:
    """The image of every prediction, checked before anything heavy is loaded."""
    others = [name for name in ("question", "input", "texts") if cfg.get(name) is not None]
    if others:
        raise UserError(
            f"{others[0]}= was given, and this run classifies images",
            valid="image=FILE or image=FOLDER",
        )
    if cfg.image is None:
        raise UserError(
            "image not given",
            valid="image=FILE or image=FOLDER",
            fix="python -m mmdl predict run=latest image=a.jpg",
        )
    for file in image_files(str(cfg.image)):
        yield {"image": str(file)}


def predict(
    cfg: DictConfig, loaded: LoadedRun, task: ClassificationTask, wanted: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """One record an image, in order, with its most probable classes.

    Args:
        cfg: Of the verb.
        loaded: The run.
        task: With its weights.
        wanted: What `samples` yielded.
    """
    import torch

    from mmdl.data.image_dataset import with_channels
    from mmdl.data.transforms.image import load_image
    from mmdl.progress_bar import ProgressBar

    data = loaded.config.data
    classes: list[str] = loaded.vocabularies["classes"]
    device, half = device_and_half(cfg, loaded.config)
    task = task.to(device).eval()
    top_k = min(int(cfg.top_k), len(classes))
    size = int(data.image_size)
    with ProgressBar(total=len(wanted), desc="predict", unit="image", disable=len(wanted) < 2) as bar:
        for start in range(0, len(wanted), int(cfg.batch_size)):
            part = wanted[start : start + int(cfg.batch_size)]
            images = torch.stack([load_image(sample["image"], size, data.resize) for sample in part])
            images = with_channels(images, int(data.channels)).to(device)
            with torch.no_grad(), torch.autocast(device.type, half, enabled=half is not None):
                chances, best = task.logits(images).softmax(-1).topk(top_k)
            for sample, columns, values in zip(part, best.tolist(), chances.tolist(), strict=True):
                top = top_items("class", classes, columns, values)
                yield {**sample, "prediction": top[0]["class"], "top": top}
            bar.update(len(part))


def lines(record: dict[str, Any]) -> list[str]:
    """The classes of one image, as a person reads them."""
    return top_lines("class", record["top"])
