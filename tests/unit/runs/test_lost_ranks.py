import os
import subprocess
import sys

import pytest

from mmdl.errors import UserError
from mmdl.runs.lost_ranks import lost_ranks
from mmdl.runs.peers import peers

CLOSED = (
    "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer [198.51.100.2]:38785.",
    "NCCL error in: ProcessGroupNCCL.cpp:3384, remote process exited or there was a network error\nncclRemoteError",
    "[c10d] recvValue failed on SocketImpl(fd=3, addr=[h1]:4, remote=[h2]:5): Connection reset by peer",
)
LATE = (
    "[/pytorch/third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 600000ms for recv operation",
    "Application timeout caused pair closure",
    "wait timeout after 600000ms, keys: /default_pg/0//cpu//0/0 (TCPStore)",
)


@pytest.fixture
def ranks(monkeypatch):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    here = os.uname().nodename
    monkeypatch.setattr(peers, "known", [(here, os.getpid()), (here, child.pid), ("elsewhere", 1)])
    monkeypatch.setattr(peers, "rank", 0)
    return child.pid


@pytest.mark.parametrize("text", CLOSED)
def test_a_rank_that_is_gone_is_named(ranks, tmp_path, text):
    error = lost_ranks(RuntimeError(text), tmp_path, "python -m mmdl train resume=r")
    assert isinstance(error, UserError)
    assert f"rank 1 (process {ranks} on {os.uname().nodename}) has ended, and rank 0, in " in error.given
    assert "resume=r" in error.fix
    [stack] = tmp_path.glob("rank=0-lost-*.txt")
    assert text in stack.read_text()


def test_a_rank_elsewhere_is_told_by_its_address(monkeypatch, tmp_path):
    here = (os.uname().nodename, os.getpid())
    monkeypatch.setattr(peers, "known", [here, ("h1", 1), ("h2", 1)])
    monkeypatch.setattr("mmdl.runs.lost_ranks.PATIENCE_S", 0.1)
    error = lost_ranks(RuntimeError(CLOSED[0]), tmp_path, "python -m mmdl train resume=r")
    assert error is not None
    assert "a rank on 198.51.100.2 has ended" in error.given


def test_the_stack_of_an_earlier_start_stays(ranks, tmp_path, monkeypatch):
    for clock in ("0102-030405", "0102-030910"):
        monkeypatch.setattr("time.strftime", lambda form, clock=clock: clock)
        lost_ranks(RuntimeError(CLOSED[0]), tmp_path, "python -m mmdl train resume=r")
    assert len(list(tmp_path.glob("rank=0-lost-*.txt"))) == 2


@pytest.mark.parametrize("text", LATE)
def test_a_timeout_says_that_the_others_live(monkeypatch, tmp_path, text):
    here = (os.uname().nodename, os.getpid())
    monkeypatch.setattr(peers, "known", [here, ("h1", 7)])
    error = lost_ranks(RuntimeError(text), tmp_path, "python -m mmdl train resume=r")
    assert error is not None
    assert "s for rank 1 (process 7 on h1), which seem to live" in error.given
    assert "strategy.timeout_minutes=30" in error.fix


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        OSError("Connection reset by peer"),  # of a download
        UserError("gloo: Connection closed by peer"),
    ],
    ids=["bug", "network", "known"],
)
def test_other_errors_stay_what_they_are(ranks, tmp_path, error):
    assert lost_ranks(error, tmp_path, "python -m mmdl train resume=r") is None
    assert not list(tmp_path.iterdir())


def test_one_process_has_lost_nobody(monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "known", [])
    assert lost_ranks(RuntimeError(CLOSED[0]), tmp_path, "python -m mmdl train resume=r") is None
