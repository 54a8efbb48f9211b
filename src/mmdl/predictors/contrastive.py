"""Ranks texts for image files with a contrastive run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mmdl.errors import UserError
from mmdl.predictors.files import device_and_half, image_files
from mmdl.runs.top_items import top_items
from mmdl.search.queries import Query, remarks

if TYPE_CHECKING:
    from mmdl.runs.loading import LoadedRun
    from mmdl.tasks.contrastive import ContrastiveTask

log = logging.getLogger("mmdl")

SEPARATOR = "|"
EXAMPLE = 'python -m mmdl predict run=latest image=a.jpg texts="a red circle|a blue square"'


def samples(cfg: DictConfig) -> Iterator[dict[str, Any]]:
    """The image of every prediction; images and texts are checked before anything heavy is loaded."""
    for name in ("question", "input"):
        if cfg[name] is not None:
            raise UserError(
                f"{name}= was given, and this run ranks texts for an image",
                valid='image=FILE or image=FOLDER, with texts="one|another"',
                fix=EXAMPLE,
            )
    missing = [name for name in ("image", "texts") if cfg.get(name) is None]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} not given",
            valid='image=FILE or image=FOLDER, with texts="one|another"',
            fix=EXAMPLE,
        )
    texts = split_texts(str(cfg.texts))
    from mmdl.runs.folder import find_run

    if (
        len(texts) == 1
        and _loss(find_run(Path(str(cfg.root)).expanduser(), str(cfg.run)).read_config()) != "siglip"
    ):
        raise UserError(
            f"texts= has one text, {texts[0]!r}, and this run compares texts with each other",
            valid=f"two or more, with {SEPARATOR} between them",
            fix=EXAMPLE,
        )
    for file in image_files(str(cfg.image)):
        yield {"image": str(file)}


def split_texts(given: str) -> list[str]:
    """The texts between the bars, without the spaces around them, each once.

    Args:
        given: Of the command line.

    Raises:
        UserError: if one is empty.

    >>> split_texts("a red circle | a blue square|a red circle")
    ['a red circle', 'a blue square']
    """
    texts = [text.strip() for text in given.split(SEPARATOR)]
    if not all(texts):
        raise UserError(
            f"texts={given!r} has an empty text", valid=f"texts with {SEPARATOR} between them", fix=EXAMPLE
        )
    return list(dict.fromkeys(texts))


def _loss(config: Any) -> str:
    return str(config.task.get("loss", "infonce"))


def predict(
    cfg: DictConfig, loaded: LoadedRun, task: ContrastiveTask, wanted: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """One record an image, in order, with the texts that fit it best.

    A run trained with a softmax over the texts gives their shares, which add up to 1 over all texts; one trained with
    SigLIP's loss gives for each text by itself how probable it is that the two belong together.

    Args:
        cfg: Of the verb.
        loaded: The run.
        task: With its weights.
        wanted: What `samples` yielded.
    """
    import torch

    from mmdl.data.transforms.image import load_image
    from mmdl.instantiate import instantiate
    from mmdl.progress_bar import ProgressBar

    data = loaded.config.data
    tokenizer = instantiate(data.tokenizer)
    tokenizer.load_state_dict(loaded.vocabularies["tokenizer"])
    texts = split_texts(str(cfg.texts))
    for text in texts:
        for remark in remarks(tokenizer, Query(text)):
            log.warning("note: %r: %s", text, remark)
    device, half = device_and_half(cfg, loaded.config)
    task = task.to(device).eval()
    model: Any = task.model
    ids, mask = tokenizer(texts)
    top_k = min(int(cfg.top_k), len(texts))
    size = int(data.image_size)
    with (
        torch.no_grad(),
        ProgressBar(total=len(wanted), desc="predict", unit="image", disable=len(wanted) < 2) as bar,
    ):
        with torch.autocast(device.type, half, enabled=half is not None):
            text = model.encode_texts(ids.to(device), mask.to(device))  # (T, D)
        for start in range(0, len(wanted), int(cfg.batch_size)):
            part = wanted[start : start + int(cfg.batch_size)]
            images = torch.stack([load_image(sample["image"], size, data.resize) for sample in part])
            with torch.autocast(device.type, half, enabled=half is not None):
                image = model.encode_images(images.to(device))
            similarities = image.float() @ text.float().T  # (I, T)
            logits = similarities * model.logit_scale.exp()
            if model.logit_bias is not None:
                logits = logits + model.logit_bias
            chances = logits.sigmoid() if _loss(loaded.config) == "siglip" else logits.softmax(-1)
            values, best = chances.topk(top_k)
            for sample, columns, shares, own in zip(
                part, best.tolist(), values.tolist(), similarities.tolist(), strict=True
            ):
                top = top_items("text", texts, columns, shares)
                for item, column in zip(top, columns, strict=True):
                    item["similarity"] = round(own[column], 6)
                yield {**sample, "prediction": top[0]["text"], "top": top}
            bar.update(len(part))


def lines(record: dict[str, Any]) -> list[str]:
    """The texts for one image, as a person reads them."""
    width = max(len(item["text"]) for item in record["top"])
    return [
        f"{item['text']:{width}}  {item['probability']:.4f}  (similarity {item['similarity']:.3f})"
        for item in record["top"]
    ]
