import io

import numpy as np
from PIL import Image

from mmdl.search.thumbnails import jpeg, thumbnail


def test_proportions_are_kept_and_small_images_stay(tmp_path):
    Image.new("RGB", (1000, 250), "red").save(tmp_path / "wide.png")
    Image.new("L", (40, 60), 9).save(tmp_path / "small.png")
    assert thumbnail(tmp_path / "wide.png", 100).shape == (25, 100, 3)
    assert thumbnail(tmp_path / "small.png").shape == (60, 40, 3)
    Image.new("RGB", (3000, 1), "red").save(tmp_path / "line.png")
    assert thumbnail(tmp_path / "line.png", 100).shape == (1, 100, 3)


def test_a_turned_photo_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 40), "red").save(tmp_path / "turned.jpg", exif=exif)
    assert thumbnail(tmp_path / "turned.jpg").shape == (80, 40, 3)


def test_what_cant_be_read_is_none(tmp_path):
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for name in ("text.png", "cut.png", "nothing.png"):
        assert thumbnail(tmp_path / name) is None


def test_a_jpeg_looks_the_same():
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = (200, 30, 60)
    back = np.asarray(Image.open(io.BytesIO(jpeg(image)))).astype(int)
    assert np.abs(back - image).mean() < 6
