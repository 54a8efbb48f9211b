import pytest
import torch

from mmdl.errors import UserError
from mmdl.models.airbench import Airbench


def test_the_first_convolution_whitens_the_patches():
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(64, 3, 17, 17, generator=generator)
    # neighbouring pixels and channels that resemble each other
    images = torch.nn.functional.interpolate(rough, (32, 32), mode="bilinear") + 0.3 * rough.mean()
    images = (images * 200).to(torch.uint8)
    model = Airbench(3, 32, 10)
    model.initialize_from_data(images)
    out = model.layers.whitening(model.layers.normalize(images))  # (64, 24, 31, 31)
    half = out[:, :12].transpose(0, 1).flatten(1)
    second_moment = half @ half.T / half.shape[1]
    off_diagonal = second_moment - torch.diag(second_moment.diag())
    assert off_diagonal.abs().max() < 1e-3
    assert 0.5 < second_moment[0, 0] <= 1.001  # the largest direction has unit size
    torch.testing.assert_close(out[:, 12:], -out[:, :12])


def test_what_learns_and_what_does_not():
    model = Airbench(3, 32, 10)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    norms = {f"layers.group{g}.norm{n}.weight" for g in (1, 2, 3) for n in (1, 2)}
    assert frozen == {"layers.whitening.weight"} | norms
    held = [id(p) for group in model.layer_groups() for p in group.parameters()]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_shapes_and_identity_kernels():
    model = Airbench(3, 32, 100, widths=[16, 32, 32])
    assert model(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape == (2, 100)
    x = torch.randn(1, 32, 7, 7)
    torch.testing.assert_close(model.layers.group3.convolution1(x), x)


@pytest.mark.parametrize("options", [{"widths": [8, 8]}, {"image_size": 8}])
def test_bad_settings(options):
    with pytest.raises(UserError):
        Airbench(**{"in_channels": 3, "image_size": 32, "num_classes": 10, **options})
