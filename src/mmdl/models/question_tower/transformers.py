"""Any text encoder of the transformers library as a question tower."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from mmdl.errors import UserError
from mmdl.models.features import LayerGroup, QuestionFeatures
from mmdl.models.layers.first_line import first_line
from mmdl.models.layers.layer_split import split_layers
from mmdl.models.layers.vocabulary import check_vocabulary

Pooling = Literal["mean", "cls"]


class TransformersQuestionTower(nn.Module):
    """A text encoder by `AutoModel`; it goes with the tokenizer of the same name.

    The encoder half is taken of an encoder-decoder (T5). A pooler of the model's own is left out.

    Args:
        name: Repository on the Hugging Face hub, or a local folder with `config.json`.
        pretrained: Load the weights; otherwise only the config, with random weights.
        pooling: `mean` over real tokens, or `cls`: the first token.
        vocab_size: The tokenizer's number of ids, to refuse a tokenizer that is not the model's; None to
            skip.

    Attributes:
        token_dim: Width of the last layer.
        pooled_dim: The same.

    Raises:
        UserError: Neither a folder nor reachable on the hub; weights that lack or misfit a layer; another
            tokenizer; a model that is no text encoder.
    """

    def __init__(
        self, name: str, pretrained: bool = True, pooling: Pooling = "mean", vocab_size: int | None = None
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "cls"):
            raise UserError(f"unknown pooling '{pooling}'", valid="mean, cls")
        encoder: Any = _load(name, pretrained)
        if getattr(encoder.config, "is_encoder_decoder", False):
            encoder = encoder.get_encoder()
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # its weights would never get a gradient
        if encoder.get_input_embeddings() is None or not hasattr(encoder.config, "hidden_size"):
            raise UserError(
                f"'{name}' ({encoder.config.model_type}) is no text encoder",
                valid="a BERT-like, GPT-like or T5-like model; question_tower=open_clip for two-tower models",
            )
        self.encoder: nn.Module = encoder
        self.pooling = pooling
        check_vocabulary(f"'{name}'", encoder.get_input_embeddings().weight.shape[0], vocab_size)
        self.token_dim = self.pooled_dim = int(encoder.config.hidden_size)

    def forward(self, tokens: Tensor, mask: Tensor) -> QuestionFeatures:
        """Encode questions.

        Args:
            tokens: `(Q, L)` int64 ids of the model's tokenizer, right-padded.
            mask: `(Q, L)` bool, True at real tokens.

        Returns:
            Last layer `(Q, L, token_dim)`, the mask, pooled `(Q, pooled_dim)`.
        """
        states: Tensor = self.encoder(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        if self.pooling == "cls":
            return QuestionFeatures(tokens=states, mask=mask, pooled=states[:, 0])
        weight = mask[:, :, None].to(states.dtype)  # (Q, L, 1)
        pooled = (states * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return QuestionFeatures(tokens=states, mask=mask, pooled=pooled)

    def layer_groups(self) -> list[LayerGroup]:
        """`stem` (embeddings), the blocks, and `neck` (final norm)."""
        return split_layers(self.encoder)


def _load(name: str, pretrained: bool) -> nn.Module:
    folder = Path(name).expanduser()
    source = str(folder) if folder.is_dir() else name
    try:
        if not pretrained:
            return AutoModel.from_config(AutoConfig.from_pretrained(source))
        with _quiet():
            model, report = AutoModel.from_pretrained(
                source,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, with the names
                dtype=torch.float32,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f"can't load '{name}' with pretrained={pretrained}: {first_line(error)}",
            valid="a repository on the Hugging Face hub, or a local folder with config.json and weights",
            fix="without network: question_tower.name=/path/to/folder, or run once with network "
            "(the files stay in $HF_HOME)",
        ) from error
    missing = [key for key in report["missing_keys"] if not key.startswith("pooler.")]
    unfit = [*missing, *(str(key) for key in report["mismatched_keys"]), *report.get("error_msgs", [])]
    if unfit:
        raise UserError(
            f"the weights of '{name}' lack or misfit {len(unfit)} tensors: {', '.join(unfit[:5])}"
        )
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the loading report from the console; what matters in it is raised by the caller."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
