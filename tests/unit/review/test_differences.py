from pathlib import Path

from mmdl.review.differences import config_differences
from mmdl.review.model import RunView


def _runs(*configs):
    return [RunView(Path(name), name, config=config) for name, config in zip("abcdef", configs, strict=False)]


def test_only_what_differs_is_named():
    first = {
        "seed": 0,
        "run": {"id": "a"},
        "logger": {"wandb": {"run_id": "a"}},
        "callbacks": {"checkpoints": {"folder": "runs/a"}},
        "optimizer": {"lr": 0.1, "betas": [0.9, 0.99], "name": "SGD"},
        "data": {"seed": 0},
    }
    second = {
        "seed": 1,
        "run": {"id": "b"},
        "logger": {},
        "callbacks": {"checkpoints": {"folder": "runs/b"}},
        "optimizer": {"lr": 0.2, "betas": [0.9, 0.999], "name": "SGD", "fused": True},
        "data": {"seed": 1},
    }
    kept, left_out = config_differences(_runs(first, second))
    assert [(d.key, d.values) for d in kept] == [
        ("seed", {"a": "0", "b": "1"}),
        ("optimizer.lr", {"a": "0.1", "b": "0.2"}),
        ("optimizer.betas", {"a": "[0.9, 0.99]", "b": "[0.9, 0.999]"}),
        ("optimizer.fused", {"b": "true"}),
    ]
    assert left_out == 0


def test_many_keys_and_long_values_are_cut():
    configs = [
        {f"k{n}": n + shift for n in range(100)} | {"text": "x" * 500 + str(shift)} for shift in (0, 1)
    ]
    kept, left_out = config_differences(_runs(*configs), most=101)
    assert (len(kept), left_out) == (101, 0)
    assert max(len(value) for d in kept for value in d.values.values()) == 80
    assert config_differences(_runs(*configs), most=10).left_out == 91


def test_secrets_stay_out():
    kept, _ = config_differences(_runs({"hub": {"token": "abc"}}, {"hub": {"token": "xyz"}, "lr": 1}))
    assert [(d.key, d.values) for d in kept] == [("lr", {"b": "1"})]
    kept, _ = config_differences(
        _runs({"data": {"url": "https://me:pw@host/x"}}, {"data": {"url": "https://host/y"}})
    )
    assert "pw" not in str(kept)


def test_a_run_without_a_configuration_is_not_looked_at():
    kept, _ = config_differences(_runs({"lr": 1}, {}, {"lr": 1}))
    assert kept == []
