import torch

from mmdl.losses.positives import positive_sums


def test_equals_the_product_with_the_matrix_of_positives():
    rng = torch.Generator().manual_seed(0)
    columns = torch.randn(13, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    column_ids = torch.randint(-3, 4, (13,), generator=rng)
    row_ids = torch.randint(-5, 9, (9,), generator=rng)
    positive = row_ids[:, None] == column_ids
    sums, counts = positive_sums(columns, column_ids, row_ids)
    assert counts.tolist() == positive.sum(1).tolist()
    assert 0 in counts.tolist()
    expected = positive.double() @ columns
    torch.testing.assert_close(sums, expected, rtol=0, atol=1e-12)
    weights = torch.randn(9, 5, generator=rng, dtype=torch.float64)
    torch.testing.assert_close(
        torch.autograd.grad((sums * weights).sum(), columns),
        torch.autograd.grad((expected * weights).sum(), columns),
        rtol=0,
        atol=1e-12,
    )
