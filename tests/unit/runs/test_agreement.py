import json
import os
from types import SimpleNamespace

import pytest
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from mmdl.errors import UserError
from mmdl.runs import agreement
from mmdl.runs.agreement import HANDED_DOWN, agree, failing_together


def trainer(rank=0, ranks=2, told=None, environment=None):
    """A trainer whose first rank says `told` to the others."""
    strategy = SimpleNamespace(
        broadcast=lambda value: value if rank == 0 else told,
        cluster_environment=environment or LightningEnvironment(),
    )
    return SimpleNamespace(world_size=ranks, is_global_zero=rank == 0, strategy=strategy)


def fail():
    raise UserError("full")


def test_one_rank_decides_alone():
    assert agree(trainer(ranks=1), None, lambda: "a") == "a"
    with pytest.raises(UserError, match="full"):
        agree(trainer(ranks=1), None, fail)


def test_ranks_that_are_yet_to_be_launched_find_the_decision(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setenv(HANDED_DOWN, "")
    assert agree(trainer(), None, lambda: "a") == "a"
    pid, _, decided = os.environ[HANDED_DOWN].partition(" ")
    assert (int(pid), json.loads(decided)) == (os.getpid(), "a")
    assert agree(trainer(), None, lambda: "b") == "b", "its own is not handed down to itself"
    monkeypatch.setenv(HANDED_DOWN, f"{os.getppid()} null")
    assert agree(trainer(rank=1), None, fail) is None


@pytest.mark.parametrize(("environment", "code"), [(LightningEnvironment, 0), (TorchElasticEnvironment, 2)])
def test_the_others_end_quietly_with_the_first(environment, code, monkeypatch):
    monkeypatch.setattr(agreement, "REPORT_S", 0.0)
    with (
        pytest.raises(SystemExit) as ended,
        failing_together(trainer(1, told=True, environment=environment())),
    ):
        pass
    assert ended.value.code == code
    with pytest.raises(UserError, match="full"), failing_together(trainer()):
        fail()
    with failing_together(trainer(1, told=False)):
        pass
