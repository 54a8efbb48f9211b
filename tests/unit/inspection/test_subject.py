import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from mmdl.errors import UserError
from mmdl.inspection.subject import file_name, from_file, label_index, looks_like_a_sample

CONFIG = OmegaConf.create({"data": {"image_size": 8, "channels": 1, "resize": "squash"}})


def test_a_file_is_brought_to_what_the_model_takes(tmp_path):
    path = tmp_path / "A photo, mine.png"
    Image.fromarray(np.full((20, 30, 3), (255, 0, 0), dtype=np.uint8)).save(path)
    found = from_file(path, CONFIG)
    assert (found.name, found.title, found.label) == ("A-photo-mine", "A photo, mine.png", None)
    assert found.image.shape == (1, 8, 8)
    assert torch.equal(found.image, torch.full((1, 8, 8), 76, dtype=torch.uint8))  # luminance of red
    colour = OmegaConf.merge(CONFIG, {"data": {"channels": 3}})
    assert from_file(path, colour).image[:, 0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no image"),
        (b"", "empty file"),
        (b"no image at all", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "bad image"),
    ],
)
def test_bad_files_are_refused_with_a_way_out(tmp_path, content, message):
    path = tmp_path / "x.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        from_file(path, CONFIG)
    assert "on_bad_sample" not in str(caught.value)
    with pytest.raises(UserError, match="is a folder"):
        from_file(tmp_path, CONFIG)


def test_an_unknown_label_names_the_nearest():
    assert label_index(["cat", "dog", "bird"], "dog") == 1
    with pytest.raises(UserError, match="label=dgo is not a class") as caught:
        label_index(["cat", "dog", "bird"], "dgo")
    assert caught.value.valid.startswith("dog")
    assert caught.value.fix == "label=dog"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("test/17", "test-17"),
        ("../../etc", "etc"),
        ("a\\b:c*?", "a-b-c"),
        ("Übung 1", "Übung-1"),
        ("///", "image"),
    ],
)
def test_names_of_folders_stay_in_their_folder(text, name):
    assert file_name(text) == name


def test_samples_and_files_are_told_apart():
    assert looks_like_a_sample("val:3")
    assert not looks_like_a_sample("cat/3")
