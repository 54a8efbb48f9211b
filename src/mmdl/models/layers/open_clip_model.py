"""Loading an open_clip model so that a mismatch fails instead of warning."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
from open_clip.factory import load_checkpoint, load_state_dict
from safetensors import SafetensorError
from torch import nn

from mmdl.errors import UserError, nearest
from mmdl.models.layers.first_line import first_line

OFFLINE_CHOICES = (
    "pretrained=/path/to/weights.safetensors (a local file), pretrained=null (random weights), "
    "or run once with network: the weights stay in the Hugging Face cache ($HF_HOME)"
)


def load_open_clip(name: str, pretrained: str | None, image_size: int | None = None) -> nn.Module:
    """Build an open_clip model whose towers are `.visual` and `.text`.

    Args:
        name: A name of `open_clip.list_models()`, `hf-hub:org/repository`, or `local-dir:/folder`; the last
            two bring their own weights and take no `pretrained`.
        pretrained: A tag of `open_clip.list_pretrained()`, a local file (`*.safetensors`, or a `*.pt` of
            tensors only), or None for random weights.
        image_size: Side in pixels; None for the model's own. Position embeddings are resized only if it is
            given.

    Returns:
        The model in float32, on the CPU.

    Raises:
        UserError: Unknown name or tag, activation that the weights were not trained with, missing or
            unreadable file, weights of another shape, or a hub that can't be reached.
    """
    has_schema = ":" in name
    if not has_schema and name.replace("/", "-") not in open_clip.list_models():
        raise UserError(
            f"unknown open_clip model '{name}'",
            valid=nearest(name, open_clip.list_models()),
            fix='python -c "import open_clip; print(open_clip.list_models())"',
        )
    if has_schema and pretrained is not None:
        raise UserError(
            f"'{name}' brings its own weights, so pretrained={pretrained} has no effect", valid="null"
        )
    file = _local_file(name, pretrained)
    if pretrained is not None and file is None:
        _check_tag(name, pretrained)
    try:
        with _quiet():
            model: nn.Module = open_clip.create_model(
                name,
                pretrained=None if file is not None else pretrained,
                force_image_size=image_size,
                force_custom_text=True,  # a text tower of its own, also for plain CLIP
                force_patch_dropout=0.0,  # dropped patches leave no grid
                pretrained_text=False,
                require_pretrained=pretrained is not None and file is None,
                weights_only=True,
            )
    except (RuntimeError, OSError, ValueError, pickle.UnpicklingError) as error:
        what = f"open_clip model '{name}' with pretrained={pretrained}"
        raise UserError(f"can't load {what}: {first_line(error)}", valid=OFFLINE_CHOICES) from error
    if file is not None:
        _load_file(model, name, file, image_size)
    return model


def _check_tag(name: str, tag: str) -> None:
    """Raise where `tag` is unknown, or was trained with another activation than `name` builds."""
    tags = open_clip.list_pretrained_tags_by_model(name)
    if not open_clip.is_pretrained_cfg(name, tag):
        raise UserError(
            f"'{tag}' is neither a pretrained tag of open_clip's '{name}' nor a file",
            valid=nearest(tag, tags) or "a local file, or null",
        )
    wanted = bool((open_clip.get_pretrained_cfg(name, tag) or {}).get("quick_gelu", False))
    built = bool((open_clip.get_model_config(name.replace("/", "-")) or {}).get("quick_gelu", False))
    if wanted == built:
        return
    plain = name.removesuffix("-quickgelu")
    activations = ("QuickGELU", "GELU") if wanted else ("GELU", "QuickGELU")
    raise UserError(
        f"weights '{tag}' were trained with {activations[0]}, but '{name}' is built with {activations[1]}",
        valid=f"{plain}-quickgelu" if wanted else plain,
    )


def _local_file(name: str, pretrained: str | None) -> Path | None:
    if pretrained is None:
        return None
    path = Path(pretrained).expanduser()
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:  # no tag holds a dot or a slash
        raise UserError(
            f"no such weights file: {path}",
            valid=nearest(pretrained, open_clip.list_pretrained_tags_by_model(name))
            or "a local file, or null",
        )
    return None


def _load_file(model: nn.Module, name: str, file: Path, image_size: int | None) -> None:
    """Load `file` into `model`, every tensor of it and nothing less."""
    try:
        state = load_state_dict(str(file), weights_only=True)
        _check_positions(model, state, name, file, image_size)
        with _quiet():
            load_checkpoint(model, str(file), strict=True, weights_only=True)
    except (RuntimeError, OSError, ValueError, KeyError, EOFError, SafetensorError) as error:
        raise UserError(f"{file} does not fit open_clip's '{name}': {first_line(error)}") from error
    except (pickle.UnpicklingError, AttributeError, StopIteration, TypeError) as error:
        raise UserError(
            f"{file} is no file of weights: {first_line(error)}",
            valid="*.safetensors, or a *.pt that holds tensors only (no pickled objects, no TorchScript)",
        ) from error


def _check_positions(
    model: nn.Module, state: dict[str, Any], name: str, file: Path, image_size: int | None
) -> None:
    """open_clip resizes position embeddings of another size silently: only a given `image_size` allows that."""
    own = model.state_dict()
    aliases = {"visual.positional_embedding": "visual.positional_embedding"} if image_size is None else {}
    aliases |= {"positional_embedding": "text.positional_embedding"}
    aliases |= {"text.positional_embedding": "text.positional_embedding"}
    for key, target in aliases.items():
        if key in state and target in own and state[key].shape != own[target].shape:
            given, built = tuple(state[key].shape), tuple(own[target].shape)
            raise UserError(f"{file}: {key} is {given}, but open_clip's '{name}' has {built}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep open_clip's log and its warnings from the console; what matters among them is raised here."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
