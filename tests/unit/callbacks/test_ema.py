import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging

from mmdl.callbacks.ema import EMA
from mmdl.callbacks.swa import SWA
from mmdl.errors import UserError


def by_hand(steps, decay_of, every=1, start=0):
    """The average of float tensors in float64; integers are the last ones."""
    average, updates = None, 0
    for index, weights in enumerate(steps):
        if index < start or index % every:
            continue
        if average is None:
            average = {name: value.double() for name, value in weights.items()}
        else:
            d = decay_of(updates)
            average = {name: d * average[name] + (1 - d) * value.double() for name, value in weights.items()}
        updates += 1
    return average


def same(found, expected):
    for name, value in expected.items():
        if found[name].is_floating_point():
            assert torch.allclose(found[name].double(), value, atol=1e-5), name


@pytest.mark.parametrize(
    ("settings", "decay_of"),
    [
        ({"decay": 0.8, "warmup": False}, lambda n: 0.8),
        ({"decay": 0.5, "warmup": True}, lambda n: min(0.5, (1 + n) / (10 + n))),
        ({"decay": 0.99, "warmup": True}, lambda n: (1 + n) / (10 + n)),
        ({"decay": 0.7, "warmup": False, "update_every_n_steps": 3}, lambda n: 0.7),
        ({"decay": 0.7, "warmup": False, "update_starting_at_step": 5}, lambda n: 0.7),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_the_average_is_the_one_by_hand(settings, decay_of, train):
    run = train(EMA(**settings))
    steps = run.recorder.steps
    expected = by_hand(
        steps, decay_of, settings.get("update_every_n_steps", 1), settings.get("update_starting_at_step", 0)
    )
    same(run.task.state_dict(), expected)
    assert any(
        not torch.allclose(steps[-1][name].double(), value, atol=1e-5) for name, value in expected.items()
    )


def test_it_equals_lightnings_without_the_warm_up(train):
    ours, theirs = train(EMA(decay=0.9, warmup=False)), train(EMAWeightAveraging(decay=0.9))
    for name, value in theirs.task.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(ours.task.state_dict()[name], value, atol=1e-6), name


def test_the_average_is_validated_and_training_goes_on_with_the_weights(train):
    run = train(EMA(decay=0.9, warmup=False))
    per_epoch = len(run.recorder.steps) // 2
    same(run.recorder.validated[0], by_hand(run.recorder.steps[:per_epoch], lambda n: 0.9))
    plain = train(EMA(decay=0.0, warmup=False))  # the average is the model
    for one, other in zip(run.recorder.steps, plain.recorder.steps, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_before_it_starts_the_model_itself_is_validated_and_kept(train):
    run = train(EMA(update_starting_at_step=10**6))
    for validated, epoch in zip(run.recorder.validated, run.recorder.epochs, strict=True):
        assert all(torch.equal(validated[name], epoch[name]) for name in epoch)
    final = run.task.state_dict()
    assert all(torch.equal(final[name], value) for name, value in run.recorder.steps[-1].items())


def test_integer_buffers_are_copied(train):
    run = train(EMA(decay=0.9))
    name = "model.layers.norm1.num_batches_tracked"
    assert run.task.state_dict()[name] == len(run.recorder.steps)


def test_accumulation_counts_optimizer_steps(train):
    run = train(EMA(decay=0.6, warmup=False), accumulate_grad_batches=2)
    batches, taken = run.recorder.steps, []
    for index, weights in enumerate(batches):
        before = batches[index - 1] if index else None
        name = "model.layers.fully_connected1.weight"
        if before is None or not torch.equal(weights[name], before[name]):
            taken.append(weights)
    taken = taken[1:]  # the first batch has made no step yet
    assert len(taken) == run.trainer.global_step
    expected = by_hand(taken, lambda n: 0.6)
    name = "model.layers.fully_connected1.weight"
    assert torch.allclose(run.task.state_dict()[name].double(), expected[name], atol=1e-5)


def test_two_averages_are_refused(train):
    with pytest.raises(UserError, match="both EMA and SWA average") as caught:
        train(EMA(), callbacks_after=[SWA()])
    assert "callbacks=[default,ema]" in caught.value.fix


def test_settings_that_are_not_valid():
    with pytest.raises(UserError, match=r"callbacks.ema.decay=1"):
        EMA(decay=1)
    with pytest.raises(UserError, match=r"update_every_n_steps=0"):
        EMA(update_every_n_steps=0)
