"""Small pictures of a split: from the files, else from what the model sees."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mmdl.data.image_files import ListedFiles
from mmdl.data.item_pictures import ItemPictures

GREY = torch.full((1, 1, 28, 28), 7, dtype=torch.uint8)


def test_files_come_in_their_own_proportions_and_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 200), (200, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    image.save(tmp_path / "a.jpg", exif=exif)
    image.save(tmp_path / "b.png")
    pictures = ItemPictures(["a", "b"], ListedFiles([str(tmp_path / "a.jpg"), str(tmp_path / "b.png")]), None)
    turned, flat = pictures.small(0, 160), pictures.small(1, 160)
    assert turned is not None
    assert flat is not None
    assert (turned.shape, flat.shape) == ((160, 80, 3), (80, 160, 3))
    small = pictures.small(1, 1000)
    assert small is not None
    assert small.shape == (200, 400, 3)


def test_without_a_file_the_pixels_of_the_model_are_shown(tmp_path: Path) -> None:
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    files = ListedFiles([str(tmp_path / "gone.png"), str(tmp_path / "damaged.png")])
    pixels = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    pixels[:, 0] = 9
    for row in (0, 1):
        found = ItemPictures(["a", "b"], files, pixels).small(row, 32)
        assert found is not None
        assert found.shape == (32, 32, 3)
        assert found[0, 0].tolist() == [9, 0, 0]
    assert ItemPictures(["a", "b"], files, None).small(0, 32) is None


def test_grey_images_stay_grey_and_bytes_are_files_too() -> None:
    found = ItemPictures(["a"], None, GREY).small(0, 160)
    assert found is not None
    assert found.shape == (28, 28)
    assert (found == 7).all()
    stream = io.BytesIO()
    Image.new("L", (300, 30), 5).save(stream, "PNG")
    encoded = ItemPictures(["a"], [stream], None).small(0, 150)
    assert encoded is not None
    assert np.array_equal(encoded, np.full((15, 150), 5))
