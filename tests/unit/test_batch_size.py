"""Sharing out a batch, and finding what fits without trying what does not."""

import random

import pytest
from omegaconf import OmegaConf

from mmdl.batch_size import divisors, largest_that_fits, part_sizes, share_out
from mmdl.errors import UserError


def config(wanted, accumulated=1):
    return OmegaConf.create(
        {
            "global_batch_size": wanted,
            "data": {"batch_size": 7},
            "trainer": {"accumulate_grad_batches": accumulated},
        }
    )


@pytest.mark.parametrize(
    ("wanted", "ranks", "accumulated", "each"),
    [(256, 1, 1, 256), (256, 4, 1, 64), (256, 2, 4, 32), (3, 3, 1, 1), (None, 4, 1, 7)],
)
def test_the_global_batch_is_shared_out(wanted, ranks, accumulated, each):
    cfg = config(wanted, accumulated)
    share_out(cfg, ranks)
    assert cfg.data.batch_size == each


@pytest.mark.parametrize(
    ("wanted", "valid"),
    [(100, "a multiple of 8, such as 96 or 104"), (5, "a multiple of 8, such as 8"), (0, "positive")],
)
def test_what_can_not_be_shared_out_is_refused(wanted, valid):
    with pytest.raises(UserError) as caught:
        share_out(config(wanted, accumulated=2), ranks=4)
    assert valid in caught.value.valid


@pytest.mark.parametrize("number", [1, 2, 36, 97, 4096])
def test_divisors_and_parts(number):
    assert divisors(number) == [part for part in range(1, number + 1) if number % part == 0]
    assert part_sizes(number)[0] == 1
    assert part_sizes(number)[-1] == number


@pytest.mark.parametrize("seed", range(200))
@pytest.mark.parametrize("sizes", [divisors, part_sizes])
def test_the_largest_is_found_and_nothing_larger_is_tried(seed, sizes):
    rng = random.Random(seed)
    candidates = sizes(rng.choice([1, 5, 64, 97, 120, 4096, 5000]))
    fixed, each = rng.uniform(0, 1e9), rng.uniform(1e3, 1e8)
    budget = rng.uniform(0.5, 3) * (fixed + each * rng.choice(candidates))

    def cost(size):
        return fixed + each * size

    tried = []
    fit = largest_that_fits(candidates, lambda size: tried.append(size) or cost(size), budget, fixed)
    fitting = [size for size in candidates if cost(size) <= budget]
    assert fit.size == (fitting[-1] if fitting else 0)
    assert fit.bytes == cost(fit.size or 1)
    assert [size for size, _ in fit.probes] == tried
    assert len(tried) == len(set(tried))
    assert all(cost(size) <= budget * (1 + 1e-9) for size in tried[1:])


def test_memory_that_grows_faster_than_the_line_is_measured_before_it_is_taken():
    fit = largest_that_fits([1, 2, 4, 8, 16, 32], lambda size: 10.0 + size**2, budget=300)
    assert fit.size == 16
    fit = largest_that_fits(divisors(96), lambda size: 10.0 + size**2, budget=1000)
    assert fit.size in (16, 24)
    assert fit.bytes <= 1000


def test_what_did_not_fit_is_not_chosen():
    fit = largest_that_fits([1, 2, 4, 8], lambda size: size if size < 4 else float("inf"), budget=100)
    assert fit.size == 2
