"""Any open_clip model as a contrastive model: pretrained or from scratch, and small ones for a CPU."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from mmdl.batch import ImageTextBatch
from mmdl.errors import UserError
from mmdl.models.contrastive import Embeddings, normalized, scalar_group
from mmdl.models.features import LayerGroup, prefixed
from mmdl.models.layers.architecture import architecture_hash, find_architecture, merged
from mmdl.models.layers.frozen import eval_where_frozen
from mmdl.models.layers.open_clip_model import load_open_clip
from mmdl.models.layers.open_clip_text import OpenCLIPText
from mmdl.models.layers.open_clip_visual import OpenCLIPVisual
from mmdl.models.layers.vocabulary import check_vocabulary, fits_vocabulary


class CLIP(nn.Module):
    """One whole open_clip model: its towers, projections, scale and (SigLIP) bias; `mmdl export` gives it back.

    Sources: open_clip (github.com/mlfoundations/open_clip); Radford et al. 2021, arXiv:2103.00020; Zhai et al. 2023,
    arXiv:2303.15343. A CoCa model is trained without its text decoder, which stays as it is.

    Args:
        name: A name of `open_clip.list_models()`; `vit_tiny_64` or `resnet_tiny_64` (for a CPU); a JSON file of
            open_clip's format; `local-dir:/folder` or `hf-hub:org/repository`, with their weights.
        pretrained: Pretrained tag, local file of weights, or None for random weights.
        image_size: Side in pixels; None for the model's own. Position embeddings are resized otherwise.
        context_length: Tokens of a text; None for the model's own. From scratch the model gets so many positions. With
            pretrained weights fewer are exact, and faster, for causal models that pool the last token; other values
            are refused.
        vocab_size: The tokenizer's number of ids; None skips the check. From scratch, models that pool a fixed place
            (`embed_cls`, `first`, `last`) take any tokenizer; with pretrained weights another one is refused.
        embed_dim: Size of the common space; None for the model's own, which pretrained weights must have.
        init_scale: Factor on the similarities at the start; None keeps the model's own (1 / 0.07, or the trained).
        init_bias: Bias on the logits at the start, for the sigmoid loss: -10; None keeps the model's own, if any.
        mean: Mean of each channel in [0, 1]; None for the model's own.
        std: Standard deviation of each channel; None for the model's own.

    Attributes:
        embed_dim: Size `D` of the common space.
        image_size: Side in pixels that images must have.
        config: The architecture as open_clip's `model_cfg`.
        custom_text: Whether open_clip keeps the text tower below `text.` in the names of the weights.

    Raises:
        UserError: See `load_open_clip`; another tokenizer; sizes that the weights can't have.
    """

    consumes = ImageTextBatch

    def __init__(
        self,
        name: str,
        pretrained: str | None = None,
        image_size: int | None = None,
        context_length: int | None = None,
        vocab_size: int | None = None,
        embed_dim: int | None = None,
        init_scale: float | None = None,
        init_bias: float | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        found = find_architecture(name)
        trained = pretrained is not None or name.startswith(("local-dir:", "hf-hub:"))
        changes = _changes(found.config, name, trained, context_length, vocab_size, embed_dim)
        if init_bias is not None:
            changes["init_logit_bias"] = float(init_bias)
        model: Any = load_open_clip(name, pretrained, image_size, changes, patch_dropout=None)
        self.name = name
        self.config = merged(found.config, changes)
        self.config["quick_gelu"] = bool(self.config.get("quick_gelu", False))
        self.custom_text = _custom_text(self.config)
        self.image_tower = OpenCLIPVisual(model.visual, mean, std)
        self.text_tower = OpenCLIPText(model.text, name, context_length)
        check_vocabulary(f"open_clip's '{name}'", int(model.text.vocab_size), vocab_size)
        if image_size is not None:
            self.config["vision_cfg"] = self.config["vision_cfg"] | {"image_size": image_size}
        self.image_size = self.image_tower.image_size
        self.embed_dim = int(self.config["embed_dim"])
        self.logit_scale: nn.Parameter = model.logit_scale
        self.logit_bias: nn.Parameter | None = model.logit_bias
        with torch.no_grad():
            if init_scale is not None:
                self.logit_scale.fill_(math.log(init_scale))
            if init_bias is not None:
                assert self.logit_bias is not None
                self.logit_bias.fill_(init_bias)
        if hasattr(model, "text_decoder"):
            self.text_decoder: nn.Module = model.text_decoder.requires_grad_(False)
        # A checkpoint carries the hash of its architecture: shapes don't show an activation (open_clip #771).
        digest = architecture_hash(self.config, mean=self.image_tower.mean, std=self.image_tower.std)
        self.architecture: Tensor
        self.register_buffer("architecture", torch.tensor(list(digest), dtype=torch.uint8))
        self.register_load_state_dict_pre_hook(_check_architecture)

    def forward(self, batch: ImageTextBatch) -> Embeddings:
        """Encode a batch.

        Args:
            batch: `I` images with `T` captions; `image_features` and `text_features` replace a tower.

        Returns:
            `(I, D)` and `(T, D)` float32, each row of length 1.
        """
        image = batch["image_features"] if "image_features" in batch else self.image_tower(batch["images"])
        text = (
            batch["text_features"]
            if "text_features" in batch
            else self.text_tower(batch["tokens"], batch["token_mask"])
        )
        return Embeddings(normalized(image), normalized(text))

    def encode_images(self, images: Tensor) -> Tensor:
        """`(I, 3, H, W)` uint8 -> `(I, D)` float32, each row of length 1."""
        return normalized(self.image_tower(images))

    def encode_texts(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`(T, L)` int64 ids and their bool mask -> `(T, D)` float32, each row of length 1."""
        return normalized(self.text_tower(tokens, mask))

    def image_features(self, images: Tensor) -> Tensor:
        """`(I, 3, H, W)` uint8 -> `(I, D)` float, for the feature cache: the projection belongs to the tower."""
        features: Tensor = self.image_tower(images)
        return features

    def text_features(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`(T, L)` int64 ids and their bool mask -> `(T, D)` float, likewise."""
        features: Tensor = self.text_tower(tokens, mask)
        return features

    def layer_groups(self) -> list[LayerGroup]:
        """`image_tower.stem`, blocks, `image_tower.neck`; `text_tower.*` likewise; `logit_scale`."""
        groups = prefixed("image_tower", self.image_tower.layer_groups())
        groups += prefixed("text_tower", self.text_tower.layer_groups())
        if hasattr(self, "text_decoder"):
            groups.append(LayerGroup("text_decoder", [self.text_decoder]))
        return [*groups, scalar_group(self.logit_scale, self.logit_bias)]

    def train(self, mode: bool = True) -> Self:
        """Set training mode; frozen towers, and frozen layers of a tower, stay in eval mode."""
        super().train(mode)
        if mode:
            for tower in (self.image_tower, self.text_tower):
                eval_where_frozen(tower, tower.layer_groups())
            if hasattr(self, "text_decoder"):
                self.text_decoder.eval()
        return self

    def open_clip_state_dict(self) -> dict[str, Tensor]:
        """The weights under the names that open_clip's own class for this architecture has."""
        before = "text." if self.custom_text else ""
        parts: list[tuple[str, nn.Module]] = [
            ("visual.", self.image_tower.visual),
            (before, self.text_tower.text),
        ]
        if hasattr(self, "text_decoder"):
            parts.append(("text_decoder.", self.text_decoder))
        state = {prefix + key: tensor for prefix, part in parts for key, tensor in part.state_dict().items()}
        state["logit_scale"] = self.logit_scale.detach()
        if self.logit_bias is not None:
            state["logit_bias"] = self.logit_bias.detach()
        return state


def _custom_text(config: Mapping[str, Any]) -> bool:
    """Whether open_clip builds its class with a text tower of its own."""
    return bool(
        config.get("custom_text") or "multimodal_cfg" in config or "hf_model_name" in config["text_cfg"]
    )


def _changes(
    config: Mapping[str, Any],
    name: str,
    trained: bool,
    context_length: int | None,
    vocab_size: int | None,
    embed_dim: int | None,
) -> dict[str, Any]:
    """Keys of the architecture that the arguments change; with trained weights there are none."""
    changes: dict[str, Any] = {}
    if embed_dim is not None and embed_dim != config["embed_dim"]:
        if trained:
            raise UserError(
                f"embed_dim={embed_dim}, but the weights of '{name}' project to {config['embed_dim']}",
                valid=f"null or {config['embed_dim']}",
                fix="model=clip_towers with open_clip towers, which puts new projections on trained towers",
            )
        changes["embed_dim"] = embed_dim
    text = config["text_cfg"]
    if trained or "hf_model_name" in text:
        return changes
    changed = {}
    if context_length is not None and context_length != text.get("context_length", 77):
        changed["context_length"] = context_length
    rows = text.get("vocab_size", 49408)
    if vocab_size is not None and not fits_vocabulary(rows, vocab_size):
        if not text.get("embed_cls") and text.get("pool_type", "argmax") not in ("first", "last"):
            raise UserError(
                f"the tokenizer has {vocab_size} ids, but '{name}' finds the end of a text by the id of its own "
                f"tokenizer's mark ({rows} ids)",
                valid="the model's tokenizer, or an architecture that pools a fixed place, such as vit_tiny_64",
                fix="tokenizer@data.tokenizer=open_clip data.tokenizer.name=${model.name}",
            )
        changed["vocab_size"] = vocab_size
    if changed:
        changes["text_cfg"] = changed
    return changes


def _check_architecture(module: CLIP, state: Mapping[str, Any], prefix: str, *further: Any) -> None:
    """Refuse weights that were trained in an architecture that computes something else."""
    given = state.get(f"{prefix}architecture")
    if given is not None and given.tolist() != module.architecture.tolist():
        raise UserError(
            f"the checkpoint was trained in another architecture than '{module.name}' now is: an activation, a "
            "pooling, the pixels' mean or something else that shapes don't show",
            valid="the architecture of the run",
            fix="undo the change of model.name (of the JSON file, or of open_clip's version)",
        )
