"""What a file of weights says about the model that it was trained in: its shapes don't show the activation.

A model with QuickGELU and one with GELU have equal tensors and other embeddings; open_clip loads the one into the
other without a word (open_clip #771). So whatever names the origin of a file is read, and a contradiction is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import open_clip
from safetensors import SafetensorError, safe_open

from mmdl.errors import UserError
from mmdl.models.layers.architecture import CONFIG_NAME, differences

METADATA_KEY = "mmdl_model_cfg"
"""Under which `mmdl export` writes the architecture into the header of a safetensors file."""


def check_origin(file: Path, state: Mapping[str, Any], name: str, config: Mapping[str, Any]) -> None:
    """Compare a file's origin, as far as it is known, with the architecture that it is loaded into.

    Known are: the architecture in the header of a file that mmdl exported, the `open_clip_config.json` beside it, the
    names of the files that open_clip's authors and OpenAI published, and OpenAI's own format.

    Args:
        file: The weights.
        state: Their tensors by name.
        name: The model's name, for the error.
        config: Its `model_cfg`.

    Raises:
        UserError: The file was trained in another architecture, or with another activation.
    """
    for source, theirs in (("its header", _header(file)), (CONFIG_NAME + " beside it", _beside(file))):
        if theirs is not None and (lines := differences(config, theirs)):
            raise UserError(
                f"{file} was trained in another architecture than '{name}', says {source}: {'; '.join(lines)}",
                valid="the architecture of the weights",
                fix=f"model.name=local-dir:{file.parent} model.pretrained=null"
                if (file.parent / CONFIG_NAME).is_file()
                else "",
            )
    if _header(file) is not None or _beside(file) is not None:
        return
    stated = _stated_activation(file, state)
    if stated is None or stated[0] == bool(config.get("quick_gelu", False)):
        return
    activations = ("QuickGELU", "GELU") if stated[0] else ("GELU", "QuickGELU")
    plain = name.removesuffix("-quickgelu")
    raise UserError(
        f"{file} was trained with {activations[0]} ({stated[1]}), but '{name}' is built with {activations[1]}",
        valid=f"{plain}-quickgelu" if stated[0] else plain,
    )


def _header(file: Path) -> dict[str, Any] | None:
    """The architecture in a safetensors header."""
    if file.suffix != ".safetensors":
        return None
    try:
        with safe_open(str(file), "pt") as opened:
            text = (opened.metadata() or {}).get(METADATA_KEY)
    except (SafetensorError, OSError):
        return None  # what is wrong with it is said where its tensors are read
    return json.loads(text) if text else None


def _beside(file: Path) -> dict[str, Any] | None:
    """The architecture of the folder."""
    path = file.parent / CONFIG_NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _stated_activation(file: Path, state: Mapping[str, Any]) -> tuple[bool, str] | None:
    """Whether the weights need QuickGELU, and how that is known."""
    if "input_resolution" in state:
        return True, "it is in OpenAI's own format"
    flag = _published().get(file.name)
    if flag is not None:
        return flag, "a file of that name was published"
    if "quickgelu" in file.name.lower().replace("_", "").replace("-", ""):
        return True, "its name says so"
    return None


@cache
def _published() -> dict[str, bool]:
    """File name -> QuickGELU, for the files that open_clip can fetch by address."""
    flags: dict[str, set[bool]] = {}
    for model, tag in open_clip.list_pretrained():
        found = open_clip.get_pretrained_cfg(model, tag) or {}
        if found.get("url"):
            flags.setdefault(found["url"].rpartition("/")[2], set()).add(bool(found.get("quick_gelu", False)))
    return {file: values.pop() for file, values in flags.items() if len(values) == 1}
