"""Which image files a user means, and what a prediction runs on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from mmdl.errors import UserError

if TYPE_CHECKING:
    import torch

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


def image_files(given: str) -> list[Path]:
    """An image file, or all images below a folder, sorted.

    Args:
        given: A path of the user's.

    Raises:
        UserError: if there is none.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise UserError(f"there is no image in {path}", valid=", ".join(sorted(IMAGE_SUFFIXES)))
        return files
    if path.is_file():
        return [path]
    raise UserError(f"there is no image {path}", valid="an image file or a folder of images")


def device_and_half(cfg: DictConfig, config: DictConfig) -> tuple[torch.device, torch.dtype | None]:
    """Where to compute, and the autocast dtype (None: float32).

    Args:
        cfg: Of the verb; has `accelerator`.
        config: Of the run; has `trainer.precision`.
    """
    import torch

    from mmdl.runs.hardware import resolve_precision

    use_gpu = torch.cuda.is_available() and str(cfg.accelerator) in ("auto", "gpu", "cuda")
    precision = resolve_precision(config.trainer.precision, str(cfg.accelerator))
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    return torch.device("cuda" if use_gpu else "cpu"), half
