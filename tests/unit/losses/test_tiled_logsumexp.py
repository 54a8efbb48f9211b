import pytest
import torch

from mmdl.losses.tiled_logsumexp import tiled_logsumexp


@pytest.mark.parametrize("tile", [1, 2, 5, 50])
@pytest.mark.parametrize("both", [True, False])
def test_equals_the_whole_matrix_with_gradients_of_each_output(tile, both):
    rng = torch.Generator().manual_seed(0)
    rows, columns = (
        torch.randn(n, 4, generator=rng, dtype=torch.float64, requires_grad=True) for n in (7, 11)
    )
    logits = rows @ columns.T
    found = tiled_logsumexp(rows, columns, tile, both)
    assert (found[1] is None) is not both
    for ours, dim, weights in zip(found, (1, 0), (torch.arange(7.0), torch.arange(11.0)), strict=True):
        if ours is None:
            continue
        whole = logits.logsumexp(dim)
        torch.testing.assert_close(ours, whole, rtol=0, atol=1e-12)
        expected = torch.autograd.grad((whole * weights).sum(), [rows, columns], retain_graph=True)
        grads = torch.autograd.grad((ours * weights).sum(), [rows, columns], retain_graph=True)
        torch.testing.assert_close(grads, expected, rtol=0, atol=1e-12)


def largest_allocation(step):
    with torch.profiler.profile(
        profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]
    ) as seen:
        step()
    return max(event.cpu_memory_usage for event in seen.events())


def test_no_tensor_of_the_size_of_the_matrix_is_made():
    n, tile = 512, 32
    rows, columns = (torch.randn(n, 4, requires_grad=True) for _ in range(2))
    of_tiles = largest_allocation(
        lambda: torch.cat(tiled_logsumexp(rows, columns, tile, both=True)).sum().backward()
    )
    of_the_matrix = largest_allocation(lambda: (rows @ columns.T).logsumexp(1).sum().backward())
    assert 0 < of_tiles <= 5 * n * 4 * 4
    assert of_the_matrix >= 4 * n * n
