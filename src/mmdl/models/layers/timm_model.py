"""timm's models by name, with weights from the hub or from a local file, and clear errors where there are none."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import timm
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from timm.models import load_state_dict
from torch import nn

from mmdl.errors import UserError, nearest
from mmdl.models.layers.first_line import first_line


def create_timm_model(name: str, pretrained: bool, **options: Any) -> nn.Module:
    """A model of timm.

    Args:
        name: As in `timm.list_models()`, with or without a pretrained tag.
        pretrained: Load timm's weights from the Hugging Face hub.
        **options: As for `timm.create_model`: `num_classes`, `in_chans`, ...

    Raises:
        UserError: Unknown name, or weights that can't be had.
    """
    if not timm.is_model(name) and ":" not in name:
        names = timm.list_models()
        raise UserError(
            f"unknown timm model '{name}'",
            valid=nearest(name, names),
            fix="python -c \"import timm; print(timm.list_models('*resnet*'))\"",
        )
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    except (RuntimeError, OSError, ValueError, HfHubHTTPError) as error:
        raise UserError(
            f"can't load timm model '{name}' with pretrained={pretrained}: {first_line(error)}",
            valid="checkpoint_path=/path/to/weights.safetensors, pretrained=false (random weights), or run once "
            "with network: the weights stay in the Hugging Face cache ($HF_HOME)",
        ) from error


def load_timm_file(backbone: nn.Module, name: str, file: Path, *, without_classifier: bool = True) -> None:
    """Put the weights of a local file into a model; anything but the classifier must fit exactly.

    Args:
        backbone: Of timm.
        name: Its name, for messages.
        file: `*.safetensors`, or a `*.pt` that holds tensors only.
        without_classifier: Keep the model's own classifier where it has another number of classes than the file.

    Raises:
        UserError: Missing, unreadable or unfitting file.
    """
    if not file.is_file():
        raise UserError(f"no such weights file: {file}")
    try:
        state = load_state_dict(str(file), weights_only=True)
        config: Any = backbone.pretrained_cfg
        classifier = config.get("classifier") or ()
        own = backbone.state_dict()
        for layer in [classifier] if isinstance(classifier, str) else classifier:
            for key in (f"{layer}.weight", f"{layer}.bias"):
                if (
                    without_classifier
                    and key in state
                    and state[key].shape != getattr(own.get(key), "shape", None)
                ):
                    state.pop(key)
                    if key in own:
                        state[key] = own[key]
        backbone.load_state_dict(state, strict=True)
    except (RuntimeError, KeyError) as error:
        raise UserError(f"{file} does not fit timm's '{name}': {first_line(error)}") from error
    except (pickle.UnpicklingError, SafetensorError, EOFError, AttributeError, TypeError) as error:
        raise UserError(
            f"{file} is no file of weights: {first_line(error)}",
            valid="*.safetensors, or a *.pt that holds tensors only",
        ) from error
