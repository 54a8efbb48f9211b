import os
import socket
import subprocess

import pytest

from mmdl.runs.alive import is_alive


def test_this_process_runs():
    assert is_alive({"pid": os.getpid()})
    assert is_alive({"pid": os.getpid(), "host": socket.gethostname()})


def test_a_process_that_has_ended():
    process = subprocess.Popen(["true"])
    process.wait()
    assert not is_alive({"pid": process.pid, "host": socket.gethostname()})


def test_another_machine_is_taken_at_its_word():
    process = subprocess.Popen(["true"])
    process.wait()
    assert is_alive({"pid": process.pid, "host": "another-machine"})


@pytest.mark.parametrize("pid", [None, 0, -1, "12", 1.5, 10**30])
def test_what_is_no_process(pid):
    assert not is_alive({"pid": pid})
    assert not is_alive({})
