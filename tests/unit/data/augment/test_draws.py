import math

import numpy as np
import pytest
import torch

from mmdl.data.augment.draws import Draws


def splitmix(state):
    """SplitMix64's output function on Python's integers (Steele, Lea and Flood 2014)."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) % 2**64
    return state ^ (state >> 31)


GOLDEN = 0x9E3779B97F4A7C15


def expected(row, seed, epoch, count):
    sample = splitmix((splitmix((seed * GOLDEN + 1) % 2**64) + row * GOLDEN) % 2**64)
    state = splitmix((sample + (epoch + 1) * GOLDEN) % 2**64)
    return [splitmix((state + step * GOLDEN) % 2**64) for step in range(count + 1)]


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (-3, 5), (2**31, 900)])
def test_draws_equal_a_plain_implementation(seed, epoch):
    rows = [0, 1, 59_999, 2**40]
    draws = Draws(torch.tensor(rows), seed, epoch)
    wanted = [expected(row, seed, epoch, 5) for row in rows]
    shared, first = draws.shared(), draws.uniform(2)
    assert shared.tolist() == [(states[0] >> 40) / 2**24 for states in wanted]
    assert first.tolist() == [[(state >> 40) / 2**24 for state in states[1:3]] for states in wanted]
    later = draws.bytes(20)  # three draws of eight bytes
    whole = [b"".join(state.to_bytes(8, "little") for state in states[3:6]) for states in wanted]
    assert later.dtype == torch.uint8
    assert [bytes(row.tolist()) for row in later] == [text[:20] for text in whole]


def test_golden_values():
    draws = Draws(torch.tensor([0, 1, 2**40]), seed=0, epoch=0)
    assert draws.uniform(2)[0].tolist() == [0.7359486222267151, 0.7983076572418213]
    assert draws.constant().tolist() == [0.4445001482963562, 0.6106274127960205, 0.40317589044570923]
    assert Draws(torch.tensor([7]), seed=-3, epoch=5).uniform(1).item() == 0.8673960566520691


def test_a_sample_draws_alike_alone_and_in_any_order():
    rows = torch.tensor([9, 4, 100, 2])
    together = Draws(rows, 3, 2)
    numbers = [together.uniform(3), together.integers(2, 10), together.bytes(5), together.uniform(1)]
    for place, row in enumerate(rows):
        alone = Draws(row.view(1), 3, 2)
        for many, one in zip(
            numbers, [alone.uniform(3), alone.integers(2, 10), alone.bytes(5), alone.uniform(1)], strict=True
        ):
            assert torch.equal(many[place], one[0])


def test_numbers_are_uniform():
    values = Draws(torch.arange(20_000), 1, 1).uniform(10).flatten().double().numpy()
    assert values.min() >= 0
    assert values.max() < 1
    counts, _ = np.histogram(values, bins=64, range=(0, 1))
    expected_count = len(values) / 64
    chi2 = ((counts - expected_count) ** 2 / expected_count).sum()
    assert chi2 < 63 + 5 * math.sqrt(2 * 63)  # five deviations above the mean of chi-squared
    integers = Draws(torch.arange(20_000), 1, 1).integers(1, 7)
    assert set(integers.flatten().tolist()) == set(range(7))
    levels = Draws(torch.arange(5_000), 1, 1).bytes(16).double()
    assert levels.mean().item() == pytest.approx(127.5, abs=1.5)
    assert levels.std().item() == pytest.approx(256 / math.sqrt(12), abs=1)


def test_rows_epochs_seeds_and_draws_are_independent():
    rows = torch.arange(50_000)
    base = Draws(rows, 0, 0)
    first, second = base.uniform(2).unbind(1)
    others = {
        "next draw": second,
        "neighbour": first.roll(1),
        "next epoch": Draws(rows, 0, 1).uniform(1)[:, 0],
        "next seed": Draws(rows, 1, 0).uniform(1)[:, 0],
        "constant": base.constant(),
        "shared": base.shared(),
    }
    for name, other in others.items():
        correlation = torch.corrcoef(torch.stack((first, other)))[0, 1].item()
        assert abs(correlation) < 5 / math.sqrt(len(rows)), name


def test_constant_stays_over_epochs_and_shared_within_one():
    rows = torch.arange(100)
    one, other = Draws(rows, 5, 0), Draws(rows, 5, 9)
    assert torch.equal(one.constant(), other.constant())
    assert not torch.equal(one.constant(), Draws(rows, 6, 0).constant())
    before = one.shared()
    one.uniform(4)
    assert torch.equal(one.shared(), before)
    assert not torch.equal(before, other.shared())


def test_everything_happens_on_the_device_of_the_rows():
    # No kernel runs on the meta device, so anything made elsewhere would be an error here.
    draws = Draws(torch.arange(4, device="meta"), 0, 0)
    found = [draws.uniform(2), draws.constant(), draws.shared(), draws.integers(2, 5), draws.bytes(9)]
    assert all(numbers.device.type == "meta" for numbers in found)
    assert [tuple(numbers.shape) for numbers in found] == [(4, 2), (4,), (4,), (4, 2), (4, 9)]


def test_nothing_but_integers_and_exact_halvings_makes_the_numbers():
    # Integer products that wrap around, shifts and a product with 2^-24 are alike on every device.
    values = Draws(torch.arange(1000), 0, 0).uniform(4).double() * 2**24
    assert torch.equal(values, values.round())
