"""Images inside a page."""

import io

import numpy as np
import pytest
from PIL import Image

from mmdl.review.browsing.item_images import ItemImages, data_uri


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def noise(side):
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8))


def test_one_content_is_held_once(tmp_path, folders):
    for name in ("one", "two"):
        folders.write_images(
            tmp_path / name, {"a": folders.picture((9, 9, 9)), "b": folders.picture((9, 9, 9))}
        )
    folders.write_images(tmp_path / "two", {"c": folders.picture((99, 9, 9))})
    images = ItemImages([tmp_path / "one", tmp_path / "two"])
    assert images.place("test", "a") == images.place("test", "b") == 0
    assert images.place("test", "c") == 1
    assert len(images.found) == 2
    assert images.place("test", "d") == -1
    assert images.has("test", "c")
    assert not images.has("val", "c")


def test_the_limit_is_kept_and_said(tmp_path, folders):
    folders.write_images(tmp_path, {str(n): folders.picture((n, 9, 9), n) for n in range(10)})
    images = ItemImages([tmp_path], limit=500)
    places = [images.place("test", str(n)) for n in range(10)]
    assert sum(map(len, images.found)) <= 500
    assert 0 < len(images.found) < 10
    assert images.left_out == places.count(-1) == 10 - len(images.found)


@pytest.mark.parametrize("content", [b"", b"<svg xmlns='x'/>", b"\x89PNG\r\n", png(noise(8))[:150]])
def test_what_is_no_image_is_not_held(content):
    assert data_uri(content) is None


def test_a_large_image_is_made_smaller():
    uri = data_uri(png(noise(400)))
    assert uri.startswith("data:image/webp;base64,")
    assert len(uri) < len(png(noise(400))) / 4
    assert data_uri(png(noise(16))).startswith("data:image/png;base64,")


def test_files_outside_the_folder_are_not_read(tmp_path, folders):
    run = tmp_path / "run"
    folders.write_images(run, {"a": folders.picture((9, 9, 9))})
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(noise(8)))
    entries = {"a": {"file": "../../../secret.png"}, "b": {"file": str(secret)}}
    folders.write_json(run / "media" / "items" / "index.json", {"version": 1, "images": {"test": entries}})
    images = ItemImages([run])
    assert images.place("test", "a") == images.place("test", "b") == -1
