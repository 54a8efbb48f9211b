from __future__ import annotations

import pytest

from mmdl.__main__ import VERBS, dispatch
from mmdl.cli.completion import split_line
from mmdl.errors import UserError


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mmdl ", " ".join(VERBS)),
        ("mmdl ev", "eval"),
        ("mmdl e", "eval export"),
        ("mmdl train +exp", "+experiment="),
        ("mmdl train +experiment=", "+experiment=vqa"),
        ("mmdl train data=p", "data=plain"),
        ("mmdl train --trust mylab data.b", "data.batch_size="),
        ("mmdl train data=nonsense data.b", ""),
        ("mmdl train x=[ data.b", ""),
        ("mmdl ls da", ""),
        ("mmdl nonsense da", ""),
    ],
)
def test_the_verb_comes_first_in_a_completed_line(place, monkeypatch, capsys, line, expected):
    monkeypatch.setenv("COMP_LINE", line)
    assert dispatch(["-sc", "query=bash"]) == 0
    assert capsys.readouterr().out.split() == expected.split()


def test_the_script_is_for_the_console_command(place, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["/x/__main__.py", "train", "-sc", "install=bash"])
    assert dispatch(["train", "-sc", "install=bash"]) == 0
    out = capsys.readouterr().out
    assert out.rstrip().endswith("-F hydra_bash_completion mmdl")
    assert "$helper -sc query=bash" in out


def test_an_unknown_shell_is_refused(place):
    with pytest.raises(UserError, match="tcsh"):
        dispatch(["-sc", "install=tcsh"])


def test_trust_is_not_shown_to_hydra():
    assert split_line("mmdl train --trust lab a=1 ") == ("train", "mmdl a=1 ")
