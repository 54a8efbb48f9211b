"""The page as a file: what its policy allows, what damaged runs make of it, what it weighs."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from mmdl.errors import UserError
from mmdl.review.page import render as rendering
from mmdl.review.page.render import ASSETS, render, section_names, write_page
from mmdl.review.page.section import Section


def test_only_the_scripts_of_the_page_may_run_and_nothing_is_fetched(written):
    page = written.read_text()
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-"
    )
    allowed = set(re.findall(r"'sha256-([^']*)'", policy))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    found = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    assert found == allowed
    assert len(found) == len(scripts)  # each once
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "Leon Sorokin" in page  # the licence of uPlot goes with it
    assert "Permission is hereby granted" in page


def test_uplot_is_what_its_readme_says():
    folder = ASSETS / "uplot"
    stated = dict(re.findall(r"\| (\S+) \| ([0-9a-f]{64}) \|", (folder / "README.md").read_text()))
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "README.md"
    }
    assert stated == found
    assert "v1.6.32" in (folder / "uPlot.iife.min.js").read_text()[:200]


def test_sections_stand_in_order():
    names = section_names()
    assert names[:5] == ["overview", "comparison", "curves", "metrics", "cost"]
    assert names[-2:] == ["configuration", "reproduce"]
    assert len(names) == len(set(names))


def test_a_section_that_damaged_files_break_becomes_a_note(page_runs, make_review, monkeypatch):
    from mmdl.review.page.sections import metrics

    def broken(review):
        raise KeyError("<b>value</b>")

    monkeypatch.setattr(metrics, "section", broken)
    page = render(make_review(page_runs))
    assert "This section can&#x27;t be shown" in page or "This section can't be shown" in page
    assert "<b>value" not in page
    assert 'id="curves"' in page

    def mistaken(review):
        raise AssertionError

    monkeypatch.setattr(metrics, "section", mistaken)
    with pytest.raises(AssertionError):  # a mistake of our own is not hidden
        render(make_review(page_runs))


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "summary.json", "config.yaml", "manifest.json", "status.json"]
)
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00{", b'[1, {"a": [', b'{"a": {"value": {}}}\n'])
def test_any_damaged_file_leaves_a_page(page_runs, make_review, tmp_path, name, content):
    folder = tmp_path / "film"
    shutil.copytree(page_runs[0], folder)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    page = render(make_review([folder, page_runs[1]]))
    assert page.count("<section ") >= 7
    assert "This section can't be shown" not in page


def test_what_is_missing_is_said(page_runs, make_review, tmp_path):
    folder = tmp_path / "film"
    shutil.copytree(page_runs[0], folder)
    (folder / "manifest.json").write_text("{")
    (folder / "config.yaml").unlink()
    (folder / "metrics.jsonl").write_text('{"step": 1, "time": 1, "train/loss": 2}\nno json\n{"step": 2')
    page = html.unescape(render(make_review([folder])))
    assert "film: manifest.json is damaged" in page
    assert "film: config.yaml is missing" in page
    assert "film: 1 damaged lines of metrics.jsonl are left out" in page
    assert "film has no configuration that can be read" in page
    assert "The command is not known" in page


def test_a_page_that_can_not_be_written_leaves_the_old_one(page_runs, make_review, tmp_path):
    path = write_page(make_review(page_runs[:1]), tmp_path / "new" / "page.html")
    assert path.read_text().startswith("<!doctype html>")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises((UserError, OSError)):
        write_page(make_review(page_runs[:1]), tmp_path / "file" / "page.html")
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["page.html"]


def test_many_runs_fit_in_a_page(make_run, make_review, tmp_path):
    folders = [
        make_run(
            tmp_path,
            f"run-{number}",
            seed=number,
            points=260,
            more={f"train/part_{k}": 1 / (k + 1.37) for k in range(35)},
        )
        for number in range(50)
    ]
    page = render(make_review(folders))
    assert len(page.encode()) < 6_000_000
    data = json.loads(re.search(r'id="data-curves">(.*?)</script>', page)[1])
    losses = next(quantity for quantity in data["quantities"] if quantity["name"] == "train/loss")["curves"]
    assert len(losses) == 50
    assert 60 < len(losses[0]["v"]) <= 200
    assert sum(losses[0]["s"]) == 260 * 20  # the last point stays
    assert "are thinned" in page


def test_ten_thousand_classes_are_cut_and_said(make_run, make_review, tmp_path):
    folder = make_run(tmp_path, "many", points=20)
    summary = json.loads((folder / "summary.json").read_text())
    summary |= {f"test/recall/class/{number:05}": {"value": 0.5, "n": 10} for number in range(10_000)}
    (folder / "summary.json").write_text(json.dumps(summary))
    row = {f"val/recall/class/{number:05}": 0.5 for number in range(10_000)}
    with (folder / "metrics.jsonl").open("a") as handle:
        handle.write("".join(json.dumps({"step": step, "time": step} | row) + "\n" for step in (500, 600)))
    runs = [folder] + [make_run(tmp_path, f"other-{number}") for number in range(9)]
    page = html.unescape(render(make_review(runs)))
    assert len(page.encode()) < 6_000_000
    assert "figures are left out of the page, those of single classes first" in page
    assert "quantities of a run are left out of the page" in page
    assert '"test/vqa_accuracy"' in page


def test_nothing_stands_between_a_review_of_nothing_and_its_page(make_review):
    page = render(make_review([]))
    assert "No run has a score yet (no run)." in page


def test_a_section_of_another_module_is_taken_in(page_runs, make_review, monkeypatch):
    extra = Section("extra", "Extra", "<p>more</p>", {"a": "</script>"}, ("legend.js",))
    real = rendering._section
    monkeypatch.setattr(rendering, "section_names", lambda: ["overview", "extra"])
    monkeypatch.setattr(
        rendering, "_section", lambda stem, review: extra if stem == "extra" else real(stem, review)
    )
    page = render(make_review(page_runs))
    assert '<script type="application/json" id="data-extra">{"a":"\\u003c/script\\u003e"}</script>' in page
    assert page.count("class Legend") == 1


@pytest.mark.slow
def test_the_wheel_holds_the_assets(repo, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(repo)],
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in ASSETS.rglob("*"):
        if path.is_file():
            assert f"mmdl/review/assets/{path.relative_to(ASSETS).as_posix()}" in names
