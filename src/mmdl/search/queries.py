"""What is looked for: a text, an image, or a file of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import DictConfig

from mmdl.errors import UserError
from mmdl.search.encoder import Encoder, FloatArray


class Query(NamedTuple):
    """One query.

    Attributes:
        name: The text, or the path of the image as given.
        image: The image file; None for a text.
    """

    name: str
    image: Path | None = None

    @property
    def kind(self) -> str:
        """`text` or `image`."""
        return "text" if self.image is None else "image"


def queries_of(cfg: DictConfig) -> list[Query]:
    """The queries that a command line gives.

    Args:
        cfg: Has `query`, `image` and `queries`, of which one is given.

    Raises:
        UserError: if none or several are given, a text is empty, or a file can't be read.
    """
    given = [name for name in ("query", "image", "queries") if cfg.get(name) is not None]
    if len(given) != 1:
        raise UserError(
            f"{' and '.join(f'{name}=' for name in given)} were given together"
            if given
            else "no query was given",
            valid="a text in quotes, image=FILE, or queries=FILE with one text a line",
            fix='python -m mmdl search "a red circle left of a square"',
        )
    if given == ["image"]:
        path = Path(str(cfg.image)).expanduser()
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise UserError(f"image={path} {what}", valid="an image file")
        return [Query(str(cfg.image), path)]
    if given == ["queries"]:
        from mmdl.data.readers.text_files import read_text

        path = Path(str(cfg.queries)).expanduser()
        texts = read_text(path).splitlines()
        return [Query(text) for text in texts if text.strip()]
    if not str(cfg.query).strip():
        raise UserError("the query is empty", valid="some words", fix='python -m mmdl search "a red circle"')
    return [Query(str(cfg.query))]


def encoded(encoder: Encoder, queries: Sequence[Query]) -> FloatArray:
    """`(Q, D)` embeddings of queries, each of length 1.

    Args:
        encoder: Of the run that made the index.
        queries: What is looked for.

    Raises:
        BadImage: if a query's image can't be decoded.
    """
    if queries[0].image is None:
        return np.concatenate(
            [
                encoder.texts([query.name for query in queries[start : start + 256]])
                for start in range(0, len(queries), 256)
            ]
        )
    import torch

    from mmdl.data.transforms.image import BadImage, load_image

    try:
        images = [load_image(query.image or "", encoder.size, encoder.resize) for query in queries]
    except BadImage as error:
        error.fix = "another image"  # on_bad_sample, which it names, is no key of this verb
        raise
    return encoder.images(torch.stack(images))


def remarks(tokenizer: Any, query: Query) -> list[str]:
    """What the run does not read of a query: unknown words, and what is beyond its context.

    Args:
        tokenizer: Of the run.
        query: What is looked for.
    """
    if query.image is not None:
        return []
    found = []
    if hasattr(tokenizer, "unknown_words"):
        unknown: list[str] = tokenizer.unknown_words(query.name)
        if unknown:
            which = ", ".join(map(repr, unknown))
            found.append(f"the run does not know {which}: no caption that it was trained on has it")
    if bool(tokenizer.truncated([query.name])[0]):
        found.append(f"the run reads {tokenizer.max_length} tokens of a text; what is beyond has no effect")
    return found
