"""The counts equal those that loops over all pairs find."""

import numpy as np
import pytest

from mmdl.metrics.caption_repeats import caption_repeats


@pytest.mark.parametrize("seed", range(5))
def test_equals_loops(seed):
    rng = np.random.default_rng(seed)
    image_ids = rng.integers(0, 9, 12) * 1000
    caption_ids = rng.permutation(np.concatenate([image_ids, rng.choice(image_ids, 18)]))
    text_ids = rng.integers(-5, 12, 30) << 40
    found = caption_repeats(image_ids, caption_ids, text_ids)
    assert (found.images, found.captions) == (12, 30)
    assert found.distinct_images == len(set(image_ids.tolist()))
    assert found.duplicate_images == sum(int((image_ids == one).sum() > 1) for one in image_ids)
    positives = [int((caption_ids == one).sum()) for one in image_ids]
    assert found.positives_per_image == pytest.approx(np.mean(positives))
    wrong = [
        any(t == text and c != own for t, c in zip(text_ids, caption_ids, strict=True))
        for text, own in zip(text_ids, caption_ids, strict=True)
    ]
    assert found.repeated_captions == pytest.approx(np.mean(wrong))
    assert found.of_both.sum() == 30
    pairs = {(int(t), int(c)) for t, c in zip(text_ids, caption_ids, strict=True)}
    assert len(found.of_both) == len(pairs)
    expected = sorted(
        (
            int(((text_ids == t) & (caption_ids == c)).sum()),
            int((text_ids == t).sum()),
            int((caption_ids == c).sum()),
            int((image_ids == c).sum()),
        )
        for t, c in pairs
    )
    columns = (found.of_both, found.of_text, found.of_image, found.images_of_id)
    assert sorted(zip(*(column.tolist() for column in columns), strict=True)) == expected


def test_all_different():
    rows = np.arange(4)
    found = caption_repeats(rows, rows, rows)
    assert (found.duplicate_images, found.repeated_captions, found.positives_per_image) == (0, 0.0, 1.0)


def test_one_text_twice_for_the_same_image_is_no_false_negative():
    found = caption_repeats(np.array([3, 4]), np.array([3, 3, 4]), np.array([1, 1, 2]))
    assert found.repeated_captions == 0.0
