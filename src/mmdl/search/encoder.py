"""The two encoders of a contrastive run, for images and texts of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdl.errors import UserError, UserErrors
from mmdl.runs.folder import RunFolder, find_run

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mmdl.runs.loading import LoadedRun

FloatArray = npt.NDArray[np.float32]

TASK = "mmdl.tasks.contrastive.ContrastiveTask"


def find_contrastive_run(root: Path, wanted: str) -> RunFolder:
    """The run of an id, a folder or `latest`, which must be one of images and texts; nothing heavy is loaded.

    Args:
        root: Folder of all runs.
        wanted: As for `find_run`.

    Raises:
        UserError: if there is none, or it is of another kind.
    """
    run = find_run(root, wanted)
    task = str(run.read_config().task._target_)
    if task != TASK:
        raise UserError(
            f"the run {run.id!r} has the task {task}, and an index needs an encoder of images and texts",
            valid="a contrastive run",
            fix="python -m mmdl train +experiment=clip",
        )
    return run


class Encoder(NamedTuple):
    """Model and tokenizer of a run, ready to encode.

    Attributes:
        loaded: The run.
        model: A `ContrastiveModel` with its weights, in eval mode.
        tokenizer: Texts to ids and mask.
        size: Height and width in pixels of an image.
        resize: How an image is brought to them.
        device: Where the model is.
        half: The autocast dtype; None for float32.
    """

    loaded: LoadedRun
    model: Any
    tokenizer: Any
    size: int
    resize: Any
    device: torch.device
    half: torch.dtype | None

    def images(self, images: Tensor) -> FloatArray:
        """`(N, 3, H, W)` uint8 -> `(N, D)` float32, each row of length 1."""
        import torch

        with torch.no_grad(), torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            return _array(self.model.encode_images(images.to(self.device)))

    def texts(self, texts: Sequence[str]) -> FloatArray:
        """`N` texts -> `(N, D)` float32, each row of length 1."""
        import torch

        ids, mask = self.tokenizer(texts)
        with torch.no_grad(), torch.autocast(self.device.type, self.half, enabled=self.half is not None):
            return _array(self.model.encode_texts(ids.to(self.device), mask.to(self.device)))


def _array(embeddings: Tensor) -> FloatArray:
    found: FloatArray = embeddings.float().cpu().numpy()
    return found


def on_gpu(accelerator: str) -> bool:
    """Whether `auto`, `gpu` or `cpu` means a GPU on this machine."""
    import torch

    return torch.cuda.is_available() and accelerator in ("auto", "gpu", "cuda")


def load_encoder(loaded: LoadedRun, accelerator: str) -> Encoder:
    """Build the model of a run without the rest of its training.

    Args:
        loaded: A contrastive run.
        accelerator: `auto`, `gpu` or `cpu`.

    Returns:
        The encoder; it computes in the precision of the run, in float32 where the device is too slow in that.

    Raises:
        UserError: if the configuration can't be built, or the weights are of another model.
    """
    from omegaconf import OmegaConf
    from torch import nn

    from mmdl.assembly import static_errors
    from mmdl.instantiate import instantiate
    from mmdl.predictors.files import device_and_half
    from mmdl.runs.loading import load_weights

    config = loaded.config
    if errors := static_errors(config):
        raise UserErrors(errors)
    model = instantiate(config.model)
    weights = loaded.checkpoint["state_dict"]
    of_model = {name: value for name, value in weights.items() if name.startswith("model.")}
    load_weights(nn.ModuleDict({"model": model}), loaded._replace(checkpoint={"state_dict": of_model}))
    tokenizer = instantiate(config.data.tokenizer)
    tokenizer.load_state_dict(loaded.vocabularies["tokenizer"])
    precision = config.trainer.precision
    if not on_gpu(accelerator) and str(precision).startswith("16"):
        precision = "32-true"  # float16 is for GPUs
    seen = OmegaConf.create({"trainer": {"precision": precision}})
    device, half = device_and_half(OmegaConf.create({"accelerator": accelerator}), seen)
    size = int(config.data.image_size)
    return Encoder(loaded, model.to(device).eval(), tokenizer, size, config.data.resize, device, half)
