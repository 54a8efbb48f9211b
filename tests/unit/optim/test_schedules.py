import math

import pytest
import torch

from mmdl.errors import UserError
from mmdl.optim.schedules import constant, cosine, linear, one_cycle


def rates(schedule, steps=100, **options):
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD(
        [{"params": weights[:1], "lr": 1.0}, {"params": weights[1:], "lr": 0.1}], lr=1.0
    )
    scheduler = schedule(optimizer, steps, **options)
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("schedule", [cosine, linear, constant])
def test_warm_up_rises_in_a_line_and_groups_keep_their_ratio(schedule):
    found = rates(schedule, warmup=10)
    assert [first for first, _ in found[:11]] == pytest.approx([(i + 1) / 11 for i in range(11)])
    assert all(second == pytest.approx(first / 10) for first, second in found)


def test_cosine_and_linear_end_at_the_floor():
    for schedule in (cosine, linear):
        found = [first for first, _ in rates(schedule, floor=0.2)]
        assert found[0] == 1.0
        assert found[-1] == pytest.approx(0.2, abs=0.01)
        assert found == sorted(found, reverse=True)
    halfway = rates(cosine)[50][0]
    assert halfway == pytest.approx(0.5 * (1 + math.cos(math.pi / 2)))


def test_warm_up_may_be_a_share():
    assert rates(constant, warmup=0.1)[9][0] == pytest.approx(10 / 11)
    assert rates(constant, warmup=0.1)[10][0] == 1.0


def test_one_cycle_peaks_at_each_groups_rate():
    found = rates(one_cycle, warmup=0.3)
    assert max(first for first, _ in found) == pytest.approx(1.0, abs=0.01)
    assert max(second for _, second in found) == pytest.approx(0.1, abs=0.001)
    assert found[0][0] == pytest.approx(1 / 25)
    assert found[-1][0] < 0.01


def test_one_cycle_of_warm_up_only_is_refused():
    with pytest.raises(UserError, match="takes all"):
        rates(one_cycle, warmup=100)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0.3), (2, 0.3), (3, 0.0), (10, 0.0), (10, 0.9)])
def test_one_cycle_of_very_few_steps(steps, warmup):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    schedule = one_cycle(optimizer, steps, warmup=warmup)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert all(0 < rate <= 1 for rate in rates)
