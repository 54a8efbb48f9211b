import numpy as np
import pytest
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from mmdl.data.transforms.image import load_image
from mmdl.exporting import preprocess_config
from mmdl.models.clip import CLIP


@pytest.fixture(scope="module")
def model():
    return CLIP("vit_tiny_64", mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4])


def difference(model, path, resize):
    """Of open_clip's pixels from ours, in grey levels."""
    preprocess = image_transform_v2(PreprocessCfg(**preprocess_config(model, resize)), is_train=False)
    ours = model.image_tower.normalize(load_image(path, 64, resize))
    levels = (preprocess(Image.open(path)) - ours).abs() * 255 * model.image_tower.normalize.std
    return levels.max().item()


CASES = [
    (resize, shape) for resize in ("squash", "pad", "crop") for shape in ((96, 64), (128, 256), (64, 64))
]


@pytest.mark.parametrize(("resize", "shape"), [*CASES, ("squash", (40, 51))])
def test_pixels_are_equal(shape, resize, model, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    assert difference(model, tmp_path / "a.png", resize) < 1e-3


def test_a_crop_that_is_no_whole_pixel_differs_by_half_a_pixel_at_most(model, tmp_path):
    # 100 pixels become 64 and 161 become 103: open_clip cuts 20 off one side, and we 19.5
    ramp = np.repeat(np.linspace(0, 255, 161, dtype=np.uint8)[None, :, None], 100, 0).repeat(3, 2)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    a_pixel = 255 / 103
    assert difference(model, tmp_path / "a.png", "crop") < 0.5 * a_pixel + 1.5


def test_photographs_differ_only_where_jpeg_is_decoded_at_a_fraction(model, real_data, tmp_path):
    path = next(iter(sorted((real_data / "coco").rglob("*.jpg"))))
    assert (
        difference(model, path, "squash") < 40
    )  # the decoder's own reduction in the place of a part of ours
    image = Image.open(path).convert("RGB")
    image.save(tmp_path / "a.png")
    assert difference(model, tmp_path / "a.png", "squash") < 1e-3
