import json
import subprocess
import sys

import pytest
import yaml

from mmdl.__main__ import VERBS
from mmdl.cli.help import verb_page
from mmdl.commands.review import main
from mmdl.errors import UserError


def _set(path, **facts):
    config = yaml.safe_load((path / "config.yaml").read_text())
    (path / "config.yaml").write_text(yaml.safe_dump(config | facts))
    return path


@pytest.fixture
def root(tmp_path, folders, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "runs"
    for seed in range(2):
        folders.vqa(root, f"s{seed}", 240, 0.7, seed, images=False)
    _set(folders.vqa(root, "other", 240, 0.1, 7, images=False), optimizer={"lr": 5})
    return root


def test_it_prints_a_comparison_and_writes_a_page(root, capsys):
    assert main(["s0", "s1", "other", "--against", "other"]) == 0
    out = capsys.readouterr().out
    assert "vqa lr=0.01 (2 seeds) is better than other by 0." in out
    assert "  optimizer.lr: 0.01 (s0, s1), 5 (other)" in out
    assert "  s1: python -m mmdl train +experiment=vqa seed=1" in out
    page = root / "reviews" / "s0-s1-other.html"
    assert out.splitlines()[-1] == "page      runs/reviews/s0-s1-other.html"
    assert page.read_text().lower().startswith("<!doctype html>")


def test_the_page_goes_where_it_is_wanted(root, tmp_path, capsys):
    assert main(["s0", "--output", "there/mine.html"]) == 0
    assert (tmp_path / "there" / "mine.html").is_file()
    assert main(["s0", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "review.html").is_file()
    with pytest.raises(UserError, match=r"mine\.pdf"):
        main(["s0", "--output", "mine.pdf"])


def test_a_page_that_cannot_be_written_loses_no_verdict(root, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not be written") as caught:
        main(["s0", "--output", str(tmp_path / "file" / "x.html")])
    assert caught.value.fix == "--output FILE.html"
    assert "s0 is better than its question-only baseline" in capsys.readouterr().out


def test_json_holds_what_the_console_says(root, capsys):
    assert main(["s*", "other", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["id"] for run in found["runs"]] == ["s0", "s1", "other"]
    assert {one["label"] for one in found["entrants"]} >= {"vqa lr=0.01", "other"}
    assert all(
        {"verdict", "ci95", "tests", "shown"} <= comparison.keys() for comparison in found["comparisons"]
    )
    assert found["page"].endswith(".html")


@pytest.mark.parametrize(
    ("words", "given", "valid"),
    [
        ([], "review: no run is named", "latest:3"),
        (["s2"], "there is no run 's2'", "s0, s1"),
        (["s0", "--agianst", "s1"], "--agianst", "--against, "),
        (["s0", "--against", "s3"], "--against s3", "s0"),
        (["--serve", "s0"], "review --serve together with s0", "--root"),
        (["s0", "--port", "1"], "--port without --serve", ""),
        (["--serve", "--port", "x"], "invalid int value", ""),
    ],
)
def test_what_is_wrong_is_said_in_three_parts(root, words, given, valid):
    with pytest.raises(UserError) as caught:
        main(words)
    assert given in caught.value.given
    assert valid in caught.value.valid


def test_help_is_the_verbs_page(capsys):
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == verb_page("review", VERBS["review"]) + "\n"


def test_a_review_does_not_wait_for_torch(root):
    code = (
        "import sys\n"
        "from mmdl.commands.review import main\n"
        "main(['s0', 'other'])\n"
        "print([name for name in ('torch', 'lightning', 'hydra', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root.parent, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_fifty_runs_are_one_review(tmp_path, folders, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(50):
        path = folders.vqa(tmp_path / "runs", f"r{number:02}", 30, 0.5, number % 5, images=False)
        _set(path, optimizer={"lr": number // 5})
    assert main(["r*"]) == 0
    out = capsys.readouterr().out
    assert sum(line.startswith("vqa lr=") and "baseline" not in line for line in out.splitlines()) == 10
    assert "after Holm's correction for 10 comparisons" in out or "no difference shown between" in out
    assert list((tmp_path / "runs" / "reviews").glob("r00-and-49-more-*.html"))


def test_hostile_ids_and_texts_are_text(tmp_path, folders, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = folders.vqa(tmp_path / "runs", "<script>alert(1)</script>".replace("/", "_"), 9, images=False)
    _set(path, name="<img src=x onerror=alert(2)>\x1b[2J")
    assert main([path.name]) == 0
    assert "\x1b" not in capsys.readouterr().out
    [page] = (tmp_path / "runs" / "reviews").glob("*.html")
    assert "<img src=x" not in page.read_text()
    assert "<script>alert" not in page.read_text()
