"""How often images and captions come again within a batch: what the contrastive losses can't learn away."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


class CaptionRepeats(NamedTuple):
    """The counts of a batch of `I` images with `T` captions.

    Attributes:
        images: `I`.
        captions: `T`.
        distinct_images: Images of different ids.
        duplicate_images: Images that share their id with another image of the batch.
        positives_per_image: Mean number of captions that are positives of an image.
        repeated_captions: Share of the captions whose exact text describes another image of the batch too: the loss
            takes a right caption for a wrong one there.
        of_both: `(K,)` captions of each distinct pair of text and image id.
        of_text: `(K,)` captions of that text.
        of_image: `(K,)` captions of that image id.
        images_of_id: `(K,)` images of that id.
    """

    images: int
    captions: int
    distinct_images: int
    duplicate_images: int
    positives_per_image: float
    repeated_captions: float
    of_both: IntArray
    of_text: IntArray
    of_image: IntArray
    images_of_id: IntArray


def caption_repeats(image_ids: IntArray, caption_ids: IntArray, text_ids: IntArray) -> CaptionRepeats:
    """Count what comes again.

    Args:
        image_ids: `(I,)` int64: equal for equal images.
        caption_ids: `(T,)` int64: the image id of each caption.
        text_ids: `(T,)` int64: equal for captions of equal text.

    >>> found = caption_repeats(np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([7, 8, 7]))
    >>> found.duplicate_images, round(found.repeated_captions, 3), found.positives_per_image
    (2, 0.667, 1.3333333333333333)
    """
    ids, of_id = np.unique(image_ids, return_counts=True)
    group = np.searchsorted(ids, caption_ids)
    texts, text = np.unique(text_ids, return_inverse=True)
    cells, count = np.unique(text * len(ids) + group, return_counts=True)
    cell_text, cell_group = cells // len(ids), cells % len(ids)
    captions_of_id = np.bincount(group, minlength=len(ids))
    captions_of_text = np.bincount(text, minlength=len(texts))
    shared = np.bincount(cell_text, minlength=len(texts)) > 1  # texts of more than one image id
    return CaptionRepeats(
        images=len(image_ids),
        captions=len(caption_ids),
        distinct_images=len(ids),
        duplicate_images=int(of_id[of_id > 1].sum()),
        positives_per_image=float((captions_of_id * of_id).sum() / len(image_ids)),
        repeated_captions=float(captions_of_text[shared].sum() / len(caption_ids)),
        of_both=count.astype(np.int64),
        of_text=captions_of_text[cell_text],
        of_image=captions_of_id[cell_group],
        images_of_id=of_id[cell_group],
    )
