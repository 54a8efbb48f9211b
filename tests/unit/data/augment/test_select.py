import pytest
import torch

from mmdl.data.augment.select import select


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("shape", [(6, 1, 5, 7), (6, 1, 1, 1), (6, 3, 5, 7)])
def test_it_equals_where(dtype, shape, make_batch):
    one = make_batch(count=6, height=5, width=7, seed=1, dtype=dtype)["images"]
    other = make_batch(count=6, height=5, width=7, seed=2, dtype=dtype)["images"]
    chosen = torch.rand(shape) < 0.5
    for candidate in (one, one[:1, :, :1, :1]):
        found = select(chosen, candidate, other)
        assert found.dtype == dtype
        assert torch.equal(found, torch.where(chosen, candidate, other))
