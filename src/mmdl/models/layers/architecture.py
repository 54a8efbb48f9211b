"""Finding the open_clip architecture of a name: open_clip's own, mmdl's small ones, a JSON file, or a folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
from open_clip.coca_model import MultimodalCfg
from open_clip.model import CLIPTextCfg, CLIPVisionCfg

from mmdl.errors import UserError, UserErrors, nearest
from mmdl.models.layers.first_line import first_line

OWN = Path(__file__).parents[1] / "architectures"
"""Folder of mmdl's small architectures."""

CONFIG_NAME = "open_clip_config.json"
"""The file that open_clip reads in a folder of weights."""

PARTS = {"vision_cfg": CLIPVisionCfg, "text_cfg": CLIPTextCfg, "multimodal_cfg": MultimodalCfg}
"""Sections of an architecture and the dataclass of each."""

REQUIRED = ("embed_dim", "vision_cfg", "text_cfg")
OPTIONAL = (
    "multimodal_cfg",
    "custom_text",
    "quick_gelu",
    "init_logit_scale",
    "init_logit_bias",
    "nonscalar_logit_scale",
)

_NO_EFFECT = frozenset(
    {
        "custom_text",
        "init_logit_scale",
        "init_logit_bias",
        "nonscalar_logit_scale",
        "timm_model_pretrained",
        "hf_model_pretrained",
        "hf_tokenizer_name",
        "tokenizer_kwargs",
        "tokenizer_mode",
        "output_tokens",
        "patch_dropout",
        "timm_drop",
        "timm_drop_path",
    }
)
"""Keys that don't change which embeddings trained weights give (the tokenizer has a hash of its own)."""


class Architecture(NamedTuple):
    """What open_clip builds a model from.

    Attributes:
        name: As it was given.
        config: The `model_cfg` of open_clip's JSON format.
        preprocess: The `preprocess_cfg` beside it; empty where there is none.
        is_builtin: Whether open_clip knows the name itself, so that it has pretrained tags.
    """

    name: str
    config: dict[str, Any]
    preprocess: dict[str, Any]
    is_builtin: bool


@cache
def own_architectures() -> dict[str, Path]:
    """Name -> file of mmdl's small architectures, which train on a CPU."""
    return {path.stem: path for path in sorted(OWN.glob("*.json"))}


def find_architecture(name: str) -> Architecture:
    """The architecture of a name.

    Args:
        name: A name of `open_clip.list_models()` or of `own_architectures()`; a JSON file; `local-dir:/folder` or
            `hf-hub:org/repository`.

    Raises:
        UserError: Unknown name, missing or broken file, keys that open_clip does not know.
    """
    builtin = name.replace("/", "-")
    if name.startswith("local-dir:"):
        folder = Path(name.removeprefix("local-dir:")).expanduser()
        return _from_file(name, folder / CONFIG_NAME, fix="python -m mmdl export makes such a folder")
    if name.startswith("hf-hub:"):
        return Architecture(name, _from_hub(name), {}, False)
    if builtin in open_clip.list_models():
        return Architecture(name, dict(open_clip.get_model_config(builtin)), {}, True)
    if name in own_architectures():
        return _from_file(name, own_architectures()[name])
    path = Path(name).expanduser()
    if path.suffix == ".json" or path.is_file():
        return _from_file(name, path)
    if (path / CONFIG_NAME).is_file():
        raise UserError(f"'{name}' is a folder", fix=f"local-dir:{name}")
    raise UserError(
        f"unknown open_clip model '{name}'",
        valid=nearest(name, [*open_clip.list_models(), *own_architectures()]),
        fix='a name of python -c "import open_clip; print(open_clip.list_models())", or a JSON file',
    )


def _from_hub(name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = open_clip.get_model_config(name)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"can't fetch the configuration of '{name}': {first_line(error)}",
            valid="local-dir:/folder, a name of open_clip.list_models(), or run once with network",
        ) from error
    return found


def _from_file(name: str, path: Path, fix: str = "") -> Architecture:
    document = _read(path, fix)
    preprocess: dict[str, Any] = {}
    if "model_cfg" in document:
        preprocess = document.get("preprocess_cfg") or {}
        document = document["model_cfg"]
    errors = config_errors(document, str(path))
    if errors:
        raise UserErrors(errors)
    return Architecture(name, document, preprocess, False)


def _read(path: Path, fix: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"there is no file {path}", valid="a JSON file of open_clip's format", fix=fix
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read: {first_line(error)}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is no JSON: line {error.lineno}: {error.msg}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: a {type(document).__name__}", valid="an object with " + ", ".join(REQUIRED))
    return document


def config_errors(config: Any, where: str) -> list[UserError]:
    """What of a `model_cfg` open_clip can't take.

    Args:
        config: The parsed JSON.
        where: How to name the file in the errors.

    >>> [str(e).splitlines()[0] for e in config_errors({"embed_dim": 8, "vision_cfg": {"layer": 2}}, "a.json")]
    ["a.json: the key 'text_cfg' is missing", "a.json: unknown key 'vision_cfg.layer'"]
    """
    if not isinstance(config, dict):
        return [UserError(f"{where}: model_cfg is a {type(config).__name__}", valid="an object")]
    errors = [
        UserError(f"{where}: the key {key!r} is missing", valid=", ".join(REQUIRED))
        for key in REQUIRED
        if key not in config
    ]
    errors += _unknown(config, (*REQUIRED, *OPTIONAL), where, "")
    if "embed_dim" in config and not _is_size(config["embed_dim"]):
        errors.append(UserError(f"{where}: embed_dim={config['embed_dim']!r}", valid="a positive integer"))
    for part, kind in PARTS.items():
        section = config.get(part)
        if section is None:
            continue
        if not isinstance(section, dict):
            errors.append(UserError(f"{where}: {part} is a {type(section).__name__}", valid="an object"))
            continue
        fields = {field.name: field for field in dataclasses.fields(kind)}
        errors += _unknown(section, fields, where, f"{part}.")
        for key in ("width", "heads", "context_length", "vocab_size", "head_width"):
            if key in section and key in fields and not _is_size(section[key]):
                errors.append(
                    UserError(f"{where}: {part}.{key}={section[key]!r}", valid="a positive integer")
                )
    return errors


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _unknown(section: Mapping[str, Any], known: Iterable[str], where: str, prefix: str) -> list[UserError]:
    return [
        UserError(f"{where}: unknown key {prefix + key!r}", valid=nearest(key, known))
        for key in section
        if key not in known
    ]


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an architecture with changed keys.

    Args:
        config: A `model_cfg`.
        changes: Likewise, with some keys.

    >>> merged({"embed_dim": 8, "text_cfg": {"width": 4}}, {"text_cfg": {"vocab_size": 9}})
    {'embed_dim': 8, 'text_cfg': {'width': 4, 'vocab_size': 9}}
    """
    found = deepcopy(dict(config))
    for key, value in changes.items():
        found[key] = found.get(key, {}) | dict(value) if isinstance(value, Mapping) else value
    return found


def effective(config: Mapping[str, Any]) -> dict[str, Any]:
    """The flat keys of an architecture that decide what weights compute and differ from open_clip's defaults.

    Two architectures with equal results compute the same function of the same weights; a default that open_clip adds
    later changes nothing.

    Args:
        config: A `model_cfg`.

    >>> effective({"embed_dim": 8, "quick_gelu": False, "vision_cfg": {"layers": 12, "width": 64}, "text_cfg": {}})
    {'embed_dim': 8, 'vision_cfg.width': 64}
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        if key in PARTS and isinstance(value, Mapping):
            defaults = {field.name: field.default for field in dataclasses.fields(PARTS[key])}
            found |= {
                f"{key}.{name}": setting
                for name, setting in value.items()
                if name not in _NO_EFFECT and setting != defaults.get(name)
            }
        elif key not in _NO_EFFECT and value not in (None, False):
            found[key] = value
    return {key: found[key] for key in sorted(found)}


def architecture_hash(config: Mapping[str, Any], **further: Any) -> bytes:
    """SHA-256 (32 bytes) of what weights of this architecture compute.

    Args:
        config: A `model_cfg`.
        **further: What else decides, such as the pixels' mean.
    """
    return hashlib.sha256(json.dumps([effective(config), further], sort_keys=True).encode()).digest()


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Lines `key: theirs, and ours here` of the keys in which two architectures compute something else.

    Args:
        ours: A `model_cfg`.
        theirs: Another.
    """
    mine, other = effective(ours), effective(theirs)
    return [
        f"{key}: {other.get(key, 'the default')}, and {mine.get(key, 'the default')} here"
        for key in sorted(mine.keys() | other.keys())
        if mine.get(key) != other.get(key)
    ]
