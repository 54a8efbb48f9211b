import numpy as np
import pytest
import torch

from mmdl.data.augment.crop import Crop, bordered, windows
from mmdl.data.augment.draws import Draws
from mmdl.errors import UserError

NUMPY_MODE = {"reflect": "reflect", "zeros": "constant", "edge": "edge"}


@pytest.mark.parametrize("mode", NUMPY_MODE)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_borders_equal_numpy(mode, dtype, make_batch):
    images = make_batch(count=3, height=6, width=9, dtype=dtype)["images"]
    for tall, wide in ((2, 3), (0, 5), (4, 0), (0, 0)):
        expected = np.pad(images.numpy(), ((0, 0), (0, 0), (tall, tall), (wide, wide)), NUMPY_MODE[mode])
        assert np.array_equal(bordered(images, tall, wide, mode).numpy(), expected)


def test_windows_equal_slices(make_batch):
    images = make_batch(count=6, height=9, width=11)["images"]
    tops, lefts = torch.tensor([0, 1, 2, 3, 4, 4]), torch.tensor([5, 4, 3, 2, 1, 0])
    for given in (images, images.to(memory_format=torch.channels_last)):
        found = windows(given, tops, lefts, 5, 6)
        for image, window, top, left in zip(images, found, tops, lefts, strict=True):
            assert torch.equal(window, image[:, top : top + 5, left : left + 6])


@pytest.mark.parametrize("mode", NUMPY_MODE)
def test_images_equal_pad_and_slice_one_by_one(mode, make_batch, apply):
    batch = make_batch(count=30, height=12, width=16)
    after = apply(Crop(3, mode), batch, seed=4, epoch=1)["images"]
    moves = (Draws(batch["rows"], 4, 1).uniform(2).double() * 7).long().tolist()
    padded = np.pad(batch["images"].numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), NUMPY_MODE[mode])
    for image, border, (top, left) in zip(after, padded, moves, strict=True):
        assert np.array_equal(image.numpy(), border[:, top : top + 12, left : left + 16])


def test_every_move_is_equally_likely(apply):
    images = torch.zeros(4000, 1, 5, 5, dtype=torch.uint8)
    images[:, :, 2, 2] = 255
    batch = {"rows": torch.arange(4000), "images": images, "labels": torch.zeros(4000, dtype=torch.long)}
    counts = (apply(Crop(2, "zeros"), batch)["images"] == 255).sum((0, 1)).double()
    assert counts.sum() == 4000  # the point is never lost
    assert ((counts - 160) ** 2 / 160).sum() < 24 + 5 * (2 * 24) ** 0.5


def test_padding_may_be_a_share_of_each_side(apply):
    images = torch.zeros(600, 1, 16, 32, dtype=torch.uint8)
    images[:, :, 8, 16] = 255
    batch = {"rows": torch.arange(600), "images": images, "labels": torch.zeros(600, dtype=torch.long)}
    _, _, rows, columns = (apply(Crop(0.125, "zeros"), batch)["images"] == 255).nonzero(as_tuple=True)
    assert (rows.min().item(), rows.max().item()) == (6, 10)
    assert (columns.min().item(), columns.max().item()) == (12, 20)


def test_no_padding_changes_nothing(make_batch, apply):
    batch = make_batch()
    assert torch.equal(apply(Crop(0), batch)["images"], batch["images"])


def test_settings_that_are_not_valid(make_batch, apply):
    with pytest.raises(UserError, match=r"crop.mode='reflct'") as caught:
        Crop(mode="reflct")
    assert caught.value.valid.startswith("reflect")
    with pytest.raises(UserError, match=r"crop.padding=-1"):
        Crop(-1)
    with pytest.raises(UserError, match="mirrors more than an image of 16 x 16"):
        apply(Crop(16), make_batch())
    apply(Crop(16, "edge"), make_batch())
