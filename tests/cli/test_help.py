from __future__ import annotations

import subprocess
import sys

import pytest

from mmdl.__main__ import VERBS, dispatch
from mmdl.cli.help import overview, verb_page
from mmdl.errors import UserError

HEAVY = ("torch", "hydra", "omegaconf", "lightning", "numpy", "yaml", "importlib.metadata", "transformers")


@pytest.mark.parametrize("words", [[], ["--help"], ["train", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words):
    code = (
        f"import sys; sys.argv = ['mmdl', *{words!r}]\n"
        "from mmdl.__main__ import main\n"
        "assert main() == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "mmdl" in done.stdout


def test_overview_lists_verbs_and_configs_with_one_line_each(place):
    (place.caller / "conf" / "model").mkdir(parents=True)
    (place.caller / "conf" / "model" / "mine.yaml").write_text("# My own model\nx: 1\n")
    lines = overview(VERBS).splitlines()
    for line in (
        "  vqa  Answers questions",
        "  mine  My own model",
        "  plain  Plain data",
        "  other  Other data",
        f"  train    {VERBS['train'].summary}",
    ):
        assert line in lines
    assert sum(line.startswith("  ") for line in lines) == len(VERBS) + 4


@pytest.mark.parametrize("words", [[], ["help"], ["-h"], ["--help"]])
def test_every_spelling_of_help_prints_the_overview(place, capsys, words):
    assert dispatch(words) == 0
    assert capsys.readouterr().out == overview(VERBS) + "\n"


@pytest.mark.parametrize("words", [["help", "train"], ["train", "-h"], ["train", "seed=3", "--help"]])
def test_a_verbs_page_shows_its_docstring_groups_and_flags(place, capsys, words):
    assert dispatch(words) == 0
    page = capsys.readouterr().out
    assert page == verb_page("train", VERBS["train"]) + "\n"
    assert "  data        other, plain" in page
    assert "--multirun" in page
    assert "usage:" in page


def test_a_verb_that_does_not_exist_names_the_nearest():
    with pytest.raises(UserError) as caught:
        dispatch(["trian"])
    assert caught.value.given == "unknown verb 'trian'"
    assert caught.value.valid.startswith("train, ")


def test_an_override_before_the_verb_is_explained():
    with pytest.raises(UserError) as caught:
        dispatch(["+experiment=vqa", "train", "seed=3"])
    assert caught.value.fix == "python -m mmdl train +experiment=vqa seed=3"


def test_every_verb_has_a_summary_of_one_line():
    assert all("\n" not in verb.summary and 20 < len(verb.summary) < 80 for verb in VERBS.values())
