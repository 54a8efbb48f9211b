"""Loading an open_clip model so that a mismatch fails instead of warning."""

from __future__ import annotations

import json
import logging
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip
from open_clip.factory import _find_checkpoint_in_dir, load_checkpoint, load_state_dict
from safetensors import SafetensorError
from torch import nn

from mmdl.errors import UserError, nearest
from mmdl.models.layers.architecture import CONFIG_NAME, Architecture, find_architecture, merged
from mmdl.models.layers.first_line import first_line
from mmdl.models.layers.weights_origin import check_origin

OFFLINE_CHOICES = (
    "pretrained=/path/to/weights.safetensors (a local file), pretrained=null (random weights), "
    "or run once with network: the weights stay in the Hugging Face cache ($HF_HOME)"
)


def load_open_clip(
    name: str,
    pretrained: str | None,
    image_size: int | None = None,
    changes: Mapping[str, Any] | None = None,
    patch_dropout: float | None = 0.0,
) -> nn.Module:
    """Build an open_clip model whose towers are `.visual` and `.text`.

    Args:
        name: A name of `open_clip.list_models()`, one of mmdl's own small architectures, a JSON file,
            `hf-hub:org/repository`, or `local-dir:/folder`; the last two bring their own weights and take no
            `pretrained`.
        pretrained: A tag of `open_clip.list_pretrained()`, a local file (`*.safetensors`, or a `*.pt` of
            tensors only), or None for random weights.
        image_size: Side in pixels; None for the model's own. Position embeddings are resized only if it is
            given.
        changes: Keys of the architecture that are to differ, as in its JSON.
        patch_dropout: Share of patches that are dropped in training, where a grid is not needed; None for the
            architecture's own.

    Returns:
        The model in float32, on the CPU.

    Raises:
        UserError: Unknown name or tag, broken JSON, activation that the weights were not trained with, missing or
            unreadable file, weights of another shape, or a hub that can't be reached.
    """
    found = find_architecture(name)
    has_schema = name.startswith(("hf-hub:", "local-dir:"))
    if has_schema and pretrained is not None:
        raise UserError(
            f"'{name}' brings its own weights, so pretrained={pretrained} has no effect", valid="null"
        )
    file = _weights_of_folder(name) if name.startswith("local-dir:") else _local_file(name, pretrained)
    if pretrained is not None and file is None:
        _check_tag(found, pretrained)
    config = merged(found.config, changes or {})
    try:
        with quiet_open_clip(), _source(found) as source:
            model: nn.Module = open_clip.create_model(
                source,
                pretrained=None if file is not None else pretrained,
                load_weights=file is None,
                force_image_size=image_size,
                force_custom_text=True,  # a text tower of its own, also for plain CLIP
                force_patch_dropout=patch_dropout,
                pretrained_text=False,
                require_pretrained=file is None and (pretrained is not None or has_schema),
                weights_only=True,
                **{key: _without_weights(key, config[key]) for key in (changes or {})},
            )
    except (RuntimeError, OSError, ValueError, pickle.UnpicklingError) as error:
        what = f"open_clip model '{name}' with pretrained={pretrained}"
        raise UserError(f"can't load {what}: {first_line(error)}", valid=OFFLINE_CHOICES) from error
    except (TypeError, AssertionError, ZeroDivisionError, KeyError) as error:
        raise UserError(f"the architecture '{name}' can't be built: {first_line(error)}") from error
    if file is not None:
        _load_file(model, found, file, image_size)
    return model


@contextmanager
def _source(found: Architecture) -> Iterator[str]:
    """The name under which open_clip builds an architecture; one from a file gets a folder for the while."""
    if found.is_builtin or found.name.startswith("hf-hub:"):
        yield found.name
        return
    if found.name.startswith("local-dir:"):
        yield f"local-dir:{Path(found.name.removeprefix('local-dir:')).expanduser()}"
        return
    with TemporaryDirectory() as folder:
        document = {"model_cfg": found.config, "preprocess_cfg": found.preprocess}
        (Path(folder) / CONFIG_NAME).write_text(json.dumps(document), encoding="utf-8")
        yield f"local-dir:{folder}"


def _without_weights(key: str, value: Any) -> Any:
    """A changed section replaces open_clip's own, in which it would say that no weights are fetched."""
    return value | {"hf_model_pretrained": False} if key == "text_cfg" and "hf_model_name" in value else value


def _check_tag(found: Architecture, tag: str) -> None:
    """Raise where `tag` is unknown, or was trained with another activation than `name` builds."""
    name = found.name
    tags = open_clip.list_pretrained_tags_by_model(name) if found.is_builtin else []
    if not (found.is_builtin and open_clip.is_pretrained_cfg(name, tag)):
        raise UserError(
            f"'{tag}' is neither a pretrained tag of open_clip's '{name}' nor a file",
            valid=nearest(tag, tags) or "a local file, or null",
        )
    wanted = bool((open_clip.get_pretrained_cfg(name, tag) or {}).get("quick_gelu", False))
    built = bool(found.config.get("quick_gelu", False))
    if wanted == built:
        return
    plain = name.removesuffix("-quickgelu")
    activations = ("QuickGELU", "GELU") if wanted else ("GELU", "QuickGELU")
    raise UserError(
        f"weights '{tag}' were trained with {activations[0]}, but '{name}' is built with {activations[1]}",
        valid=f"{plain}-quickgelu" if wanted else plain,
    )


def _weights_of_folder(name: str) -> Path:
    """The file of weights that open_clip takes from a folder."""
    folder = Path(name.removeprefix("local-dir:")).expanduser()
    with quiet_open_clip():
        found = _find_checkpoint_in_dir(folder)
    if found is None:
        raise UserError(
            f"there are no weights in {folder}",
            valid="a folder with open_clip_model.safetensors",
            fix=f"model.name={folder / CONFIG_NAME} for random weights in that architecture",
        )
    return Path(found)


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


def _load_file(model: nn.Module, found: Architecture, file: Path, image_size: int | None) -> None:
    """Load `file` into `model`, every tensor of it and nothing less."""
    name = found.name
    try:
        state = load_state_dict(str(file), weights_only=True)
        check_origin(file, state, name, found.config)
        if any(key.startswith(("image_tower.", "model.image_tower.")) for key in state):
            raise UserError(
                f"{file} holds the weights of an mmdl run",
                valid="weights in open_clip's format",
                fix="python -m mmdl export run=RUN, then model.name=local-dir:FOLDER model.pretrained=null",
            )
        _check_positions(model, state, name, file, image_size)
        with quiet_open_clip():
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
def quiet_open_clip() -> Iterator[None]:
    """Keep open_clip's log and its warnings from the console; what matters among them is raised here."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
