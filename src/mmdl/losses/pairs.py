"""Embeddings of images and captions with what says who belongs to whom: the argument of the contrastive losses."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Pairs(NamedTuple):
    """`I` images and `T` captions; each image has a caption, and each caption its image.

    Attributes:
        image: `(I, D)` float, each row of length 1.
        text: `(T, D)` float, each row of length 1.
        image_ids: `(I,)` int64: equal for equal images.
        caption_ids: `(T,)` int64: the image id of each caption; caption `t` is a positive of image `i` where
            `caption_ids[t] == image_ids[i]`.
    """

    image: Tensor
    text: Tensor
    image_ids: Tensor
    caption_ids: Tensor
