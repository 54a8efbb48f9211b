"""Writes a trained model as a folder that open_clip loads, and compares what open_clip then computes with the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

import mmdl
from mmdl.data.tokenizer.open_clip import OpenCLIPTokenizer
from mmdl.errors import UserError
from mmdl.models.clip import CLIP
from mmdl.models.layers.architecture import CONFIG_NAME, find_architecture
from mmdl.models.layers.first_line import first_line
from mmdl.models.layers.open_clip_model import quiet_open_clip
from mmdl.models.layers.weights_origin import METADATA_KEY
from mmdl.runs.atomic_folder import atomic_folder
from mmdl.runs.files import write_json

WEIGHTS_NAME = "open_clip_model.safetensors"
MARK = "mmdl"
"""Key of the config file that says that mmdl wrote the folder."""

RESIZE_MODES = {"squash": "squash", "crop": "shortest", "pad": "longest"}
"""mmdl's `data.resize` -> open_clip's `resize_mode`."""

TOKENIZER_KEYS = ("hf_tokenizer_name", "tokenizer_kwargs", "tokenizer_mode")
TOLERANCE = 1e-5
"""Largest difference of an embedding's components that rounding explains."""

PROBE = ("a photo of a small red circle, left of two blue squares", "nothing")


def write_open_clip(
    model: CLIP, tokenizer: Any, target: Path, resize: str = "squash", about: Mapping[str, Any] | None = None
) -> float:
    """Write `open_clip_config.json`, the weights, and what the tokenizer needs.

    Args:
        model: In any mode; its weights are written in float32.
        tokenizer: Of the run.
        target: Folder: new, empty, or an earlier export, which is replaced as a whole.
        resize: How images were brought to the model's size.
        about: Plain values for the reader: the run, its step.

    Returns:
        The largest difference between an embedding that open_clip computes from the folder and the model's own.

    Raises:
        UserError: The folder holds other files, or open_clip can't load this architecture.
    """
    with atomic_folder(target, _is_export, "output=FOLDER") as folder:
        config = _with_tokenizer(model.config, tokenizer)
        document = {
            "model_cfg": config,
            "preprocess_cfg": preprocess_config(model, resize),
            MARK: {"version": mmdl.__version__, **dict(about or {})},
        }
        write_json(folder / CONFIG_NAME, document)
        state = {
            name: tensor.detach().cpu().float().contiguous().clone()
            if tensor.is_floating_point()
            else tensor.detach().cpu().contiguous().clone()
            for name, tensor in model.open_clip_state_dict().items()
        }
        save_file(state, folder / WEIGHTS_NAME, {"format": "pt", METADATA_KEY: json.dumps(config)})
        # safetensors lets nobody but the owner read; the file is to be shared like the one beside it
        (folder / WEIGHTS_NAME).chmod((folder / CONFIG_NAME).stat().st_mode)
        inner = getattr(getattr(tokenizer, "_tokenizer", None), "tokenizer", None)
        if inner is not None:
            inner.save_pretrained(str(folder))
        elif not isinstance(tokenizer, OpenCLIPTokenizer):
            write_json(folder / "mmdl_tokenizer.json", tokenizer.state_dict())
        return compare(model, tokenizer, folder)


def preprocess_config(model: CLIP, resize: str) -> dict[str, Any]:
    """open_clip's `preprocess_cfg` that equals what the model saw."""
    tower = model.image_tower
    return {
        "size": tower.image_size,
        "mode": "RGB",
        "mean": tower.mean,
        "std": tower.std,
        "interpolation": "bicubic",
        "resize_mode": RESIZE_MODES[resize],
        "fill_color": 0,
    }


@torch.no_grad()
def compare(model: CLIP, tokenizer: Any, folder: Path) -> float:
    """Largest difference between the embeddings of the folder in open_clip and those of the model, on a probe.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        folder: What was written.

    Raises:
        UserError: open_clip can't load the folder.
    """
    model = model.cpu().float().eval()
    try:
        with quiet_open_clip():
            loaded, *_ = open_clip.create_model_and_transforms(f"local-dir:{folder}", pretrained_text=False)
    except (RuntimeError, OSError, ValueError, TypeError, AssertionError) as error:
        raise UserError(
            f"open_clip can't load the architecture of this run: {first_line(error)}",
            valid="an architecture that open_clip builds from its configuration alone",
        ) from error
    loaded = loaded.eval()
    random = torch.Generator().manual_seed(0)
    size = model.image_size
    pixels = torch.randint(0, 256, (2, 3, size, size), generator=random, dtype=torch.uint8)
    ids, mask = tokenizer(PROBE)
    pairs = [
        (
            loaded.encode_image(model.image_tower.normalize(pixels), normalize=True),
            model.encode_images(pixels),
        ),
        (loaded.encode_text(_whole(loaded, model, ids), normalize=True), model.encode_texts(ids, mask)),
    ]
    difference = max(float((theirs - ours).abs().max()) for theirs, ours in pairs)
    assert difference <= TOLERANCE, f"open_clip computes other embeddings: {difference}"
    scales = (loaded.logit_scale - model.logit_scale).abs().max()
    assert float(scales) == 0, "open_clip has another scale"
    return difference


def _whole(loaded: Any, model: CLIP, ids: Tensor) -> Tensor:
    """Ids padded to the length that open_clip's own forward needs, where the run computed fewer tokens."""
    if model.text_tower.is_hugging_face:
        return ids
    text = model.text_tower.text
    return F.pad(ids, (0, int(loaded.context_length) - ids.shape[1]), value=int(getattr(text, "pad_id", 0)))


def _with_tokenizer(config: Mapping[str, Any], tokenizer: Any) -> dict[str, Any]:
    """The architecture with the tokenizer that the run used, so that open_clip takes the same."""
    text = {key: value for key, value in config["text_cfg"].items() if key not in TOKENIZER_KEYS}
    if isinstance(tokenizer, OpenCLIPTokenizer):
        theirs = find_architecture(tokenizer.name).config["text_cfg"]
        text |= {key: theirs[key] for key in TOKENIZER_KEYS if key in theirs}
    return {**config, "text_cfg": text}


def _is_export(folder: Path) -> bool:
    """Whether a folder is an earlier export."""
    try:
        return MARK in json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False
