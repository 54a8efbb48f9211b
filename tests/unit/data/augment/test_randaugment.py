import pytest
import torch
from torchvision.transforms.v2 import RandAugment as Reference

from mmdl.data.augment.draws import Draws
from mmdl.data.augment.randaugment import OPERATIONS, RandAugment
from mmdl.errors import UserError

THEIRS = {
    "identity": "Identity",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
    "rotate": "Rotate",
    "brightness": "Brightness",
    "color": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "auto_contrast": "AutoContrast",
    "equalize": "Equalize",
}


def theirs(image, name, magnitude, turned):
    """The operation as torchvision's own class applies it, with its own strengths."""
    reference = Reference(magnitude=magnitude)
    strengths, signed = Reference._AUGMENTATION_SPACE[THEIRS[name]]
    strengths = strengths(31, *image.shape[-2:])
    strength = float(strengths[magnitude]) if strengths is not None else 0.0
    assert signed or not turned
    return reference._apply_image_or_video_transform(
        image, THEIRS[name], -strength if turned else strength, reference.interpolation, reference._fill
    )


def test_the_operations_are_torchvisions():
    assert set(THEIRS.values()) == set(Reference._AUGMENTATION_SPACE)
    assert OPERATIONS.keys() == THEIRS.keys()
    for name, operation in OPERATIONS.items():
        assert operation.signed == Reference._AUGMENTATION_SPACE[THEIRS[name]][1]


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("magnitude", [0, 9, 17, 30])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_operation_equals_torchvision(name, magnitude, channels, make_batch):
    images = make_batch(count=4, channels=channels, height=20, width=28)["images"]
    operation = OPERATIONS[name]
    strength = operation.strength(magnitude, images)
    for turned in (False, True) if operation.signed else (False,):
        found = operation.apply(images, -strength if turned else strength)
        for image, ours in zip(images, found, strict=True):
            assert torch.equal(ours, theirs(image, name, magnitude, turned))


def test_each_image_gets_the_operations_that_it_draws(make_batch, apply):
    batch = make_batch(count=60)
    after = apply(RandAugment(num_ops=2, magnitude=12), batch, seed=6, epoch=3)["images"]
    draws = Draws(batch["rows"], 6, 3)
    rounds = [draws.uniform(2).tolist() for _ in range(2)]
    names = list(OPERATIONS)
    for place, image in enumerate(batch["images"]):
        for numbers in rounds:
            which, turn = numbers[place]
            name = names[int(which * len(names))]
            image = theirs(image, name, 12, OPERATIONS[name].signed and turn < 0.5)
        assert torch.equal(after[place], image)


def test_no_operations_change_nothing_and_floats_are_rounded(make_batch, apply):
    batch = make_batch(dtype=torch.float32)
    after = apply(RandAugment(num_ops=0), {**batch, "images": batch["images"] + 0.3})["images"]
    assert after.dtype == torch.uint8
    assert torch.equal(after.float(), batch["images"])


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"randaugment.magnitude=31"):
        RandAugment(magnitude=31)
