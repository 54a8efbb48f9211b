import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from mmdl.errors import UserError
from mmdl.models.cnn import CNN
from mmdl.optim.groups import parameter_groups
from mmdl.optim.muon import Muon
from mmdl.optim.schedules import cosine, one_cycle

STEPS = 6


def quadratic(parameters, step):
    """A loss whose gradient is known, and differs from step to step."""
    generator = torch.Generator().manual_seed(step)
    losses = [((p - torch.randn(p.shape, generator=generator)) ** 2).sum() for p in parameters]
    return sum(losses)


def train(optimizer, parameters, steps=range(STEPS), schedule=None):
    for step in steps:
        optimizer.zero_grad()
        quadratic(parameters, step).backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()


def matrix(*shape, seed=0):
    return nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


def test_a_matrix_steps_as_torchs_own():
    ours, theirs = matrix(8, 20), matrix(8, 20)
    train(Muon([ours], lr=0.05, weight_decay=0.1, momentum=0.9, ns_steps=4), [ours])
    train(torch.optim.Muon([theirs], lr=0.05, weight_decay=0.1, momentum=0.9, ns_steps=4), [theirs])
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, matrix(8, 20))


def test_a_kernel_steps_as_its_matrix_reshaped_by_hand():
    kernel, flat = matrix(6, 4, 3, 3), matrix(6, 4, 3, 3)
    flat = nn.Parameter(flat.detach().reshape(6, 36).clone())
    images = torch.randn(5, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    ours, theirs = (
        Muon([kernel], lr=0.02, weight_decay=0.01),
        torch.optim.Muon([flat], lr=0.02, weight_decay=0.01),
    )
    for _ in range(STEPS):
        for optimizer, weights in ((ours, kernel), (theirs, flat)):
            optimizer.zero_grad()
            conv2d(images, weights.view(6, 4, 3, 3)).square().mean().backward()
            optimizer.step()
    assert torch.equal(kernel.view(6, 36), flat)


def test_a_channels_last_kernel_shares_its_memory_and_steps_as_a_plain_one():
    plain = matrix(6, 4, 3, 3)
    last = nn.Parameter(plain.detach().to(memory_format=torch.channels_last).clone())
    assert last.is_contiguous(memory_format=torch.channels_last)
    where = last.data_ptr()
    for kernel in (plain, last):
        train(Muon([kernel], lr=0.02), [kernel])
    assert last.data_ptr() == where
    assert last.is_contiguous(memory_format=torch.channels_last)
    # The sums of its bf16 products run in another order.
    assert torch.allclose(plain, last, atol=0.02)
    by_hand = nn.Parameter(matrix(6, 4, 3, 3).detach().permute(0, 2, 3, 1).reshape(6, 36).clone())
    order = torch.optim.Muon([by_hand], lr=0.02, weight_decay=0.01)
    for step in range(STEPS):
        order.zero_grad()
        quadratic([by_hand.view(6, 3, 3, 4).permute(0, 3, 1, 2)], step).backward()
        order.step()
    assert torch.equal(last.permute(0, 2, 3, 1).reshape(6, 36), by_hand)


def test_vectors_and_outer_layers_step_as_adamw():
    bias, head, theirs = matrix(5, seed=1), matrix(3, 5, seed=2), [matrix(5, seed=1), matrix(3, 5, seed=2)]
    hidden = matrix(5, 5, seed=3)
    groups = [
        {"params": [hidden], "lr": 0.1, "weight_decay": 0.0, "hidden": True},
        {"params": [bias, head], "lr": 0.1, "weight_decay": 0.2, "hidden": False},
    ]
    train(Muon(groups, lr=0.1, adamw_lr=0.003, betas=(0.8, 0.95), eps=1e-6), [bias, head])
    train(
        torch.optim.AdamW(theirs, lr=0.003, weight_decay=0.2, betas=(0.8, 0.95), eps=1e-6, fused=True), theirs
    )
    assert torch.equal(bias, theirs[0])
    assert torch.equal(head, theirs[1])


def test_each_group_has_its_own_rate_and_decay():
    first, second = matrix(4, 6, seed=1), matrix(4, 6, seed=1)
    groups = [
        {"params": [first], "lr": 0.02, "weight_decay": 0.5},
        {"params": [second], "lr": 0.002, "weight_decay": 0.0},
    ]
    expected = [matrix(4, 6, seed=1), matrix(4, 6, seed=1)]
    train(Muon(groups, lr=0.02), [first, second])
    reference = torch.optim.Muon(
        [
            {"params": [expected[0]], "lr": 0.02, "weight_decay": 0.5},
            {"params": [expected[1]], "lr": 0.002, "weight_decay": 0.0},
        ]
    )
    train(reference, expected)
    assert torch.equal(first, expected[0])
    assert torch.equal(second, expected[1])


@pytest.mark.parametrize("schedule", [cosine, one_cycle])
def test_a_schedule_drives_both_parts(schedule):
    hidden, bias = matrix(4, 6, seed=1), matrix(4, seed=2)
    optimizer = Muon([hidden, bias], lr=0.02, adamw_lr=0.001)
    scheduler = schedule(optimizer, 20)
    ratios, rates = set(), []
    for step in range(20):
        by_kind = {group["hidden"]: group["lr"] for group in optimizer.param_groups}
        rates.append(by_kind[True])
        ratios.add(round(by_kind[True] / by_kind[False], 6))
        train(optimizer, [hidden, bias], [step], scheduler)
    assert ratios == {20.0}
    assert max(rates) == pytest.approx(0.02, rel=0.1)
    assert rates[-1] < 0.1 * max(rates)


def model():
    torch.manual_seed(0)
    net = CNN(1, 12, 5, channels=(8, 16, 16), hidden=(32,), norm="batch")
    return net.to(memory_format=torch.channels_last)


def model_steps(net, optimizer, schedule, steps):
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        images = torch.randint(0, 256, (16, 1, 12, 12), generator=generator, dtype=torch.uint8)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), torch.arange(16) % 5).backward()
        optimizer.step()
        schedule.step()


def test_the_models_groups_give_muon_all_but_first_last_and_vectors():
    net = model()
    groups = Muon(parameter_groups(net, 0.02, 0.01), lr=0.02).param_groups
    names = {id(p): name for name, p in net.named_parameters()}
    by_muon = {names[id(p)] for group in groups if group["hidden"] for p in group["params"]}
    assert by_muon == {
        f"layers.{part}.weight" for part in ("convolution2", "convolution3", "fully_connected1")
    }
    assert sum(len(group["params"]) for group in groups) == len(names)
    decays = {names[id(p)]: group["weight_decay"] for group in groups for p in group["params"]}
    assert decays["layers.fully_connected2.weight"] == 0.01
    assert decays["layers.fully_connected2.bias"] == 0


def test_a_saved_state_continues_to_the_last_bit(tmp_path):
    whole = model()
    optimizer = Muon(parameter_groups(whole, 0.02, 0.01), lr=0.02)
    schedule = cosine(optimizer, 12)
    model_steps(whole, optimizer, schedule, range(6))
    saved = {"m": whole.state_dict(), "o": optimizer.state_dict(), "s": schedule.state_dict()}
    torch.save(saved, tmp_path / "x.pt")
    model_steps(whole, optimizer, schedule, range(6, 12))

    loaded = torch.load(tmp_path / "x.pt", weights_only=True)
    other = model()
    fresh = Muon(parameter_groups(other, 0.02, 0.01), lr=0.02)
    again = cosine(fresh, 12)
    other.load_state_dict(loaded["m"])
    fresh.load_state_dict(loaded["o"])
    again.load_state_dict(loaded["s"])
    model_steps(other, fresh, again, range(6, 12))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert any("momentum_buffer" in state for state in loaded["o"]["state"].values())
    assert any("exp_avg" in state for state in loaded["o"]["state"].values())


def test_the_state_survives_new_dicts_and_a_copy():
    # Lightning moves the state to the device by putting new dicts into it.
    one, other = matrix(4, 4), matrix(4, 4)
    plain, moved = Muon([one]), Muon([other])
    train(plain, [one])
    for step in range(STEPS):
        for parameter, state in moved.state.items():
            moved.state[parameter] = {name: value.clone() for name, value in state.items()}
        train(moved, [other], [step])
    assert torch.equal(one, other)
    assert moved.state[other]["momentum_buffer"].abs().sum() > 0
    copied = copy.deepcopy(plain)
    [parameter] = copied.param_groups[0]["params"]
    train(copied, [parameter], range(10, 13))
    train(plain, [one], range(10, 13))
    assert torch.equal(parameter, one)


def test_parameters_without_a_gradient_stay():
    used, unused = matrix(4, 4), matrix(4, 4, seed=1)
    optimizer = Muon([used, unused])
    train(optimizer, [used])
    assert torch.equal(unused, matrix(4, 4, seed=1))
    assert not optimizer.state[unused]


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"optimizer.lr=0"):
        Muon([matrix(2, 2)], lr=0)
    with pytest.raises(UserError, match="nonsense"):
        Muon([matrix(2, 2)], adjust_lr_fn="nonsense")
