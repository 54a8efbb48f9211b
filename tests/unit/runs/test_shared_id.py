"""What rank 0 makes is known to all ranks of one launch, over a store that they share."""

import os
import socket
import subprocess
import sys
import time

import pytest
import torch

from mmdl.runs import shared_id
from mmdl.runs.shared_id import are_ranks, meet_anew, remember_begun, shared, was_begun

PROGRAM = "from mmdl.runs.folder import make_run_id; print(make_run_id(None, 'vqa'))"


@pytest.fixture
def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_two_ranks_name_their_run_alike(free_port):
    ranks = []
    for rank in ("1", "0"):
        facts = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port)}
        words = [sys.executable, "-c", PROGRAM]
        ranks.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=clean_environment(facts)))
    names = [rank.communicate(timeout=120)[0].strip() for rank in ranks]
    assert names[0] == names[1]
    assert "-vqa-" in names[0]


def clean_environment(facts):
    return {name: value for name, value in os.environ.items() if name != "MMDL_RUN_ID"} | facts


@pytest.fixture
def as_rank(monkeypatch, free_port):
    """Puts this process into the place of a rank of torchrun, whose agent serves a store."""
    agent = torch.distributed.TCPStore("127.0.0.1", free_port, is_master=True, wait_for_workers=False)
    facts = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port)}
    facts |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_MAX_RESTARTS": "1"}

    def become(rank, attempt):
        shared_id._stores.clear()
        for name, value in (facts | {"RANK": rank, "TORCHELASTIC_RESTART_COUNT": attempt}).items():
            monkeypatch.setenv(name, str(value))

    yield become
    shared_id._stores.clear()
    del agent


def test_a_later_attempt_finds_the_name_and_what_was_begun(as_rank):
    as_rank(0, 0)
    assert are_ranks()
    assert shared("run_id", lambda: "first") == "first"
    assert not was_begun("first"), "whoever has made it, this attempt has not"
    remember_begun("first")
    as_rank(1, 0)
    assert shared("run_id", lambda: "of rank 1") == "first"
    assert not was_begun("first")
    for rank in (0, 1):
        as_rank(rank, 1)
        assert shared("run_id", lambda: "second") == "first"
        assert was_begun("first")
        assert not was_begun("another")


def test_a_later_attempt_meets_elsewhere(as_rank):
    as_rank(0, 0)
    before = os.environ["MASTER_PORT"]
    meet_anew()
    assert os.environ["MASTER_PORT"] == before
    ports = []
    for rank in (0, 1):
        as_rank(rank, 1)
        meet_anew()
        ports.append(os.environ["MASTER_PORT"])
        assert os.environ["TORCHELASTIC_USE_AGENT_STORE"] == "False"
    assert ports[0] == ports[1] != before


def test_a_single_process_is_no_rank():
    began = time.monotonic()
    assert not was_begun("r")
    assert not are_ranks({"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "a", "MASTER_PORT": "1"})
    assert time.monotonic() - began < 30
