import pytest
import torch

from mmdl.inspection.differences import central_differences, entries_to_check, random_directions, unit_vectors

POINT = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def cubic(x):
    return torch.stack([(x**3).sum(), x[0] * x[1]])


def exact(directions):
    rows = torch.stack([3 * POINT**2, torch.tensor([POINT[1], POINT[0], 0.0], dtype=torch.float64)])
    return torch.stack([rows @ d for d in directions])


def test_right_derivatives_are_right():
    directions = random_directions(4, 3) + unit_vectors([0, 1, 2], 3)
    assert all(d.norm() == pytest.approx(1) for d in directions)
    found = central_differences(cubic, POINT, directions, exact(directions), enough=1e-8)
    assert found.error < 1e-8


def test_wrong_derivatives_are_wrong_at_every_step():
    directions = random_directions(4, 3)
    wrong = exact(directions) * 1.001
    found = central_differences(cubic, POINT, directions, wrong, enough=1e-8)
    assert found.error == pytest.approx(1e-3, rel=0.01)


def test_a_step_over_a_kink_is_shortened():
    def kinked(x):
        return (x - 0.9997).abs().sum().reshape(1)  # the first entry lies 3e-4 beside the kink

    directions = unit_vectors([0], 3)
    found = central_differences(kinked, POINT, directions, torch.ones(1, 1, dtype=torch.float64), enough=1e-8)
    assert found.step == 1e-4
    assert found.error < 1e-8


def test_what_is_not_a_number_never_passes():
    directions = random_directions(2, 3)
    found = central_differences(
        lambda x: x[:1] * float("nan"), POINT, directions, torch.ones(2, 1), enough=1e-8
    )
    assert not found.error <= 1e9


def test_the_largest_entries_are_among_those_that_are_checked():
    sizes = torch.tensor([0.1, -9.0, 0.2, 3.0, 0.0, 0.3])
    chosen = entries_to_check(sizes, 2)
    assert chosen[:2] == [1, 3]
    assert len(set(chosen)) == 4
    assert sorted(entries_to_check(sizes[:3], 2)) == [0, 1, 2]


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    random_directions(3, 10)
    entries_to_check(torch.ones(10), 2)
    assert torch.equal(before, torch.get_rng_state())
