"""Arguments that every captioned data set shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict

from mmdl.data.augment.base import Augmentation
from mmdl.data.cache import Resize
from mmdl.data.vqa_dataset import Tokenizer

OnBadSample = Literal["raise", "skip"]


class CaptionDataOptions(TypedDict, total=False):
    """Arguments that every captioned data set shares; `CaptionDataModule` documents them."""

    tokenizer: Tokenizer
    batch_size: int
    eval_batch_size: int
    captions_per_image: int | None
    eval_captions: int | None
    image_size: int
    resize: Resize
    augment: Mapping[str, Augmentation] | None
    vocab_size: int | None
    num_workers: int
    worker_timeout_s: float
    seed: int
    on_bad_sample: OnBadSample
    cache_pixels: bool
    cache_features: bool
    feature_dtype: Literal["float32", "float16"]
    overfit_batches: int
