import logging
from types import SimpleNamespace

import pytest
from lightning.fabric.strategies.launchers.subprocess_script import _ChildProcessObserver

from mmdl.runs import launched_ranks


@pytest.mark.parametrize(
    ("environment", "launched"),
    [
        ({}, False),
        ({"LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, True),
        ({"LOCAL_RANK": "1", "RANK": "1", "TORCHELASTIC_RUN_ID": "none"}, False),
        ({"LOCAL_RANK": "1", "SLURM_PROCID": "1"}, False),
    ],
    ids=["one", "rank 0", "launched", "torchrun", "srun"],
)
def test_which_ranks_lightning_launched(monkeypatch, environment, launched):
    for name in ("LOCAL_RANK", "RANK", "TORCHELASTIC_RUN_ID", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched_ranks.is_launched() == launched


def test_rank_0_is_told_of_before_it_is_killed(monkeypatch, caplog):
    done, told = [], []
    monkeypatch.setattr(_ChildProcessObserver, "_terminate_all", lambda self: done.append(list(told)))
    monkeypatch.setattr(launched_ranks, "PATIENCE_S", 0.0)
    monkeypatch.setattr(launched_ranks.log, "propagate", True)
    launched_ranks.report_dead_ranks(told.append)
    launched_ranks.report_dead_ranks(told.append)  # another run of the same process
    observer = SimpleNamespace(
        _child_processes=[SimpleNamespace(returncode=-9), SimpleNamespace(returncode=None)]
    )
    with caplog.at_level(logging.ERROR):
        _ChildProcessObserver._terminate_all(observer)
    text = "rank 1 (killed by signal 9) has ended; the run is stopped"
    assert told == [text]
    assert done == [[text]]
    assert text in caplog.text
