"""Text of runs as people see it."""

import pytest

from mmdl.review.browsing.shown import shown


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\u202eevil\u202c", "\\u202eevil\\u202c"),
        ("\ud800", "\\ud800"),
        ("\x00\x1b[31m", "\\u0000\\u001b[31m"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        (7, "7"),
        (None, ""),
    ],
)
def test_what_cannot_be_seen_is_written_out(given, expected):
    assert shown(given) == expected
    shown(given).encode()  # whatever it was, a file can hold it


def test_long_text_is_clipped_with_its_length():
    assert shown("x" * 5000, 10) == "x" * 10 + " … (5,000 characters)"
    assert shown("x" * 10, 10) == "x" * 10
