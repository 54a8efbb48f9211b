import io

import numpy as np
from PIL import Image

from mmdl.figures.contact_sheet import GAP, MARGIN, SIDE, Tile, contact_sheet, write_contact_sheet
from mmdl.inspection.drawing.picture import PIXEL_RATIO


def opened(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def image(colour, height=40, width=40):
    return np.full((height, width, 3), colour, np.uint8)


def places_of(pixels, colour):
    rows, columns = np.nonzero((np.abs(pixels - colour) < 3).all(-1))
    return (rows.min(), rows.max(), columns.min(), columns.max()) if len(rows) else None


def test_images_stand_in_reading_order_with_their_proportions():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)]
    tiles = [Tile(image(colour), str(n)) for n, colour in enumerate(colours)]
    tiles[1] = Tile(image(colours[1], 20, 40), "1")
    pixels = opened(contact_sheet("a query", "facts", tiles, columns=3))
    boxes = [places_of(pixels, colour) for colour in colours]
    side, step = SIDE * PIXEL_RATIO, (SIDE + GAP) * PIXEL_RATIO
    left = [box[2] for box in boxes]
    assert left == [MARGIN * PIXEL_RATIO + step * (n % 3) for n in range(4)]
    assert boxes[3][0] > boxes[0][1]
    assert boxes[0][1] - boxes[0][0] + 1 == side
    assert boxes[1][1] - boxes[1][0] + 1 == side // 2
    assert (pixels[0, 0] == 255).all()


def test_texts_are_drawn_as_they_stand():
    plain = opened(contact_sheet("", "", [Tile(image((9, 9, 9)), "")]))
    hard = opened(contact_sheet("$x$ <b> 漢 \\frac{", "$", [Tile(image((9, 9, 9)), "1  0.5", "$a_b^c$.png")]))
    assert plain.shape[1] == hard.shape[1]
    assert (hard < 200).sum() > (plain < 200).sum() + 500


def test_a_missing_image_is_a_frame_with_a_word():
    pixels = opened(contact_sheet("q", "", [Tile(None, "1", "a", "deleted since"), Tile(None, "2", "b")]))
    box = pixels[: pixels.shape[0] - 40, MARGIN * PIXEL_RATIO : (MARGIN + SIDE) * PIXEL_RATIO]
    other = pixels[: pixels.shape[0] - 40, (MARGIN + SIDE + GAP) * PIXEL_RATIO :]
    assert (box < 200).sum() > 300
    assert (other[150:] < 250).any()


def test_long_titles_are_cut_and_the_same_input_gives_the_same_file(tmp_path):
    tiles = [Tile(image((1, 2, 3)), "1")]
    long = contact_sheet("word " * 500, "", tiles)
    assert opened(long).shape[0] < 1000
    path = write_contact_sheet(tmp_path / "a.png", "word " * 500, "", tiles, beside=None)
    assert path.read_bytes() == long
    assert opened(contact_sheet("q", "", tiles, beside=image((0, 0, 255))))[60, 60].tolist() == [0, 0, 255]
