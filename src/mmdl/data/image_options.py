"""Arguments that every image-classification data set shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from mmdl.data.augment.base import Augmentation
from mmdl.data.cache import Resize

OnBadSample = Literal["raise", "skip"]


class ImageDataOptions(TypedDict, total=False):
    """Arguments that every image-classification data set shares; `ImageDataModule` documents them."""

    batch_size: int
    eval_batch_size: int
    image_size: int | None
    channels: int | None
    resize: Resize
    augment: Mapping[str, Augmentation] | None
    val_share: float
    split_seed: int
    limit_train: int | None
    num_classes: int | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    num_workers: int
    worker_timeout_s: float
    seed: int
    on_bad_sample: OnBadSample
    cache_pixels: bool
    on_device: bool | None
    overfit_batches: int
    train_on_val: bool
