"""The limits of the images that a run keeps."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import OmegaConf

from mmdl.errors import UserError
from mmdl.runs.media_limits import MediaLimits, media_errors


def test_what_is_not_given_has_its_default() -> None:
    assert MediaLimits.of(None) == MediaLimits()
    assert MediaLimits.of(OmegaConf.create({"items": 3, "megabytes": 1})) == MediaLimits(items=3, megabytes=1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"item": 3}, "media.item=3"),
        ({"items": -1}, "media.items=-1"),
        ({"items": 2.5}, "media.items=2.5"),
        ({"pixels": 0}, "media.pixels=0"),
        ({"megabytes": "8"}, "media.megabytes=8"),
        ({"mistakes": True}, "media.mistakes=True"),
        (7, "media=7"),
    ],
)
def test_what_is_no_limit_is_refused(given: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        MediaLimits.of(given)
    assert len(media_errors(given)) == 1
    assert media_errors({"items": 0}) == []
