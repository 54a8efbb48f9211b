"""Long work shows a bar on a terminal, and whole lines in a log file."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from mmdl import progress_bar
from mmdl.progress_bar import ProgressBar


def test_a_log_file_gets_whole_lines(monkeypatch, capsys):
    monkeypatch.setattr(progress_bar, "LINE_EVERY_S", 0.0)
    with ProgressBar(total=3, desc="drawing", unit="image", miniters=1) as bar:
        for _ in range(3):
            bar.update()
    said = capsys.readouterr().err
    assert "\r" not in said
    assert "\x1b" not in said
    assert said.endswith("\n")
    lines = said.splitlines()
    assert lines[-1].startswith("drawing: 100% 3/3 [")
    assert "image/s" in lines[-1]


def test_what_is_quick_leaves_no_line_in_a_log_file(capsys):
    assert list(ProgressBar(range(1000), desc="quick")) == list(range(1000))
    assert capsys.readouterr().err == ""


def test_bars_after_a_closed_one_stand_in_the_first_line():
    with ProgressBar(total=1) as first:
        pass
    assert first.disable
    assert not [bar for bar in ProgressBar._instances if isinstance(bar, ProgressBar)]


@pytest.mark.parametrize("disable", [True, None])
def test_disabled(capsys, disable, monkeypatch):
    monkeypatch.setattr(progress_bar, "LINE_EVERY_S", 0.0)
    for _ in ProgressBar(range(3), desc="work", disable=disable, miniters=1):
        pass
    assert ("work" in capsys.readouterr().err) is not bool(disable)


def test_a_terminal_gets_a_bar_that_vanishes():
    program = (
        "from mmdl.progress_bar import ProgressBar\n"
        "for _ in ProgressBar(range(3), 'drawing', mininterval=0, miniters=1): pass\n"
    )
    own, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", program], stderr=theirs, stdout=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(own, 4096)
        except OSError:  # how a pseudo-terminal says that it was closed
            break
        if not part:
            break
        seen += part
    assert process.wait() == 0
    os.close(own)
    assert b"drawing: " in seen
    assert b"\r" in seen
    assert seen.rstrip(b"\r").rstrip(b" ").endswith(b"\r"), "the line was wiped"
