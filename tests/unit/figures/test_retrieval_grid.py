"""The right item is marked in colour and by a sign, and no text can break the picture."""

import numpy as np
import pytest

from mmdl.figures.retrieval_grid import (
    RIGHT,
    WRONG,
    Hit,
    Query,
    draw_image_queries,
    draw_text_queries,
    shown_text,
)
from mmdl.figures.style import GREEN

HOSTILE = [
    r"costs $5 or $\frac{1}{0}$ \unknown{",
    "line\nbreaks\r\n\tand\x00control\x1b[31m",
    "שלום עולם مرحبا",
    "a cat \N{CAT FACE}\N{ZERO WIDTH JOINER}\N{SPARKLES} 漢字の説明" * 20,
    "\ud800 lone surrogate",
    "",
    "word" * 400,
    "<b>&amp;</b> {braces} %s",
]


def picture(value, size=(64, 64)):
    return np.full((*size, 3), value, np.uint8)


def hits(items, right=None):
    return [Hit(item, 0.9 - 0.1 * n, n == right, n + 1) for n, item in enumerate(items)]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_right_image_has_a_green_frame_and_a_check_mark(pixels):
    figure = draw_text_queries(
        [Query("a red circle", hits([picture(v) for v in range(5)], 2), None, 100)], "found"
    )
    frames = figure.axes[0].patches
    thick = [frame for frame in frames if frame.get_linewidth() > 2]
    assert len(frames) == 5
    assert thick == [frames[2]]
    labels = [text for text in texts(figure) if text[:1] in (RIGHT, WRONG)]
    assert labels == [f"{WRONG} 0.90", f"{WRONG} 0.80", f"{RIGHT} 0.70", f"{WRONG} 0.60", f"{WRONG} 0.50"]
    image = pixels(figure).astype(int)
    green = tuple(int(GREEN[n : n + 2], 16) for n in (1, 3, 5))
    assert (abs(image - green).sum(2) < 12).sum() > 500
    # thick and thin differ in a grey print too
    assert thick[0].get_linewidth() > 3 * frames[0].get_linewidth()


def test_a_right_image_that_was_missed_stands_at_the_end_with_its_rank(pixels):
    missed = Hit(picture(50), -0.2, True, 1234)
    queries = [
        Query("first", hits([picture(v) for v in range(5)]), missed, 5000),
        Query("second", hits([picture(v) for v in range(5)], 0), None, 5000),
    ]
    figure = draw_text_queries(queries, "found")
    assert f"{RIGHT} rank 1,234\nof 5,000" in texts(figure)
    assert len(figure.axes[0].images) == 11
    whole = pixels(figure)
    assert (whole[:, -3:] == 255).all()


def test_captions_are_marked_and_a_missed_one_is_added():
    query = Query(picture(9), hits(["one", "two", "three"], 1), None, 10)
    lines = texts(draw_image_queries([query], "found"))
    assert [line[0] for line in lines[1:]] == [WRONG, RIGHT, WRONG]
    weights = [text.get_fontweight() for text in draw_image_queries([query], "found").axes[0].texts[1:]]
    assert weights == ["normal", "bold", "normal"]
    late = query._replace(hits=hits(["one", "two", "three"]), missed=Hit("the right one", 0.1, True, 7))
    assert texts(draw_image_queries([late], "found"))[-1] == f"{RIGHT}  0.10   the right one  (rank 7 of 10)"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_caption_can_break_it(text, pixels):
    few = [picture(v) for v in range(3)]
    image = pixels(draw_text_queries([Query(text, hits(few, 0), None, 3)], "found"))
    assert image.std() > 5
    assert (image[:, -3:] == 255).all()
    image = pixels(draw_image_queries([Query(few[0], hits([text] * 3, 0), None, 3)], "found"))
    assert image.std() > 5
    assert (image[:, -3:] == 255).all(), "no text runs over the edge"


def test_text_is_shown_literally_and_on_one_line():
    assert shown_text(HOSTILE[1]) == (
        "line breaks and\N{REPLACEMENT CHARACTER}control\N{REPLACEMENT CHARACTER}[31m"
    )
    assert shown_text("a $b$") == "a $b$"


@pytest.mark.parametrize("size", [(1, 1), (3000, 40), (40, 3000), (1, 500)])
def test_images_of_any_size_fit_into_their_square(size, pixels):
    figure = draw_text_queries([Query("x", hits([picture(9, size)] * 2, 0), None, 2)], "found")
    for image in figure.axes[0].images:
        left, right, bottom, top = image.get_extent()
        assert abs(right - left) <= 1.0 + 1e-9
        assert abs(bottom - top) <= 1.0 + 1e-9
        assert max(image.get_array().shape[:2]) <= 160
    assert pixels(figure).std() > 5
