"""The review workspace and the report of W&B, without a server."""

import json
import subprocess
import sys

import pytest

from mmdl.errors import UserError
from mmdl.review import workspace
from mmdl.review.panels import TASKS, media, quantities, review_sections
from mmdl.review.workspace import main, specs
from mmdl.runs.logged import quantity

MEDIA = {
    *("predictions", "predictions/text_to_image", "predictions/image_to_text"),
    *("test_tables/confusion_matrix", "test_tables/per_class"),
    *(f"test_figures/{name}" for name in ("confusion_matrix", "reliability", "roc")),
    *("test_figures/text_to_image", "test_figures/image_to_text"),
}
"""Tables and pictures that runs log; the tests of trackers hold them against real runs."""


def texts(node):
    """All strings in nested containers."""
    if isinstance(node, dict):
        return [text for item in node.values() for text in texts(item)]
    if isinstance(node, list):
        return [text for item in node for text in texts(item)]
    return [node] if isinstance(node, str) else []


def panels(spec):
    bank = spec["workspace"]["spec"]["section"]["panelBankConfig"]
    return [(section["name"], panel) for section in bank["sections"] for panel in section["panels"]]


@pytest.fixture(autouse=True)
def no_account(monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", "/nowhere")
    monkeypatch.setenv("WANDB_MODE", "offline")


def test_every_task_has_a_review(repo):
    assert set(TASKS) == {path.stem for path in (repo / "conf" / "task").glob("*.yaml")}


@pytest.mark.parametrize("task", TASKS)
def test_panels_are_of_quantities_that_runs_log(task):
    sections = review_sections(task)
    for name in quantities(sections):
        assert quantity(name).is_known, name
    assert media(sections) <= MEDIA


@pytest.mark.parametrize("task", TASKS)
def test_the_spec_has_all_panels_and_asks_nobody(task):
    spec = specs("team", "project", task)
    assert spec["workspace"]["entity"] == "team"
    assert spec["workspace"]["project"] == "project"
    expected = [panel for section in review_sections(task) for panel in section.panels]
    found = [panel for _, panel in panels(spec)]
    assert len(found) == len(expected)
    kinds = {panel["viewType"] for panel in found}
    assert {"Run History Line Plot", "Bar Chart", "Scatter Plot", "Run Comparer", "Weave"} <= kinds
    assert ("Vega2" in kinds) == (task == "classification")
    for panel, plan in zip(found, expected, strict=True):
        inside = " ".join(texts(panel["config"]))
        for name in plan.names if plan.kind != "coordinates" else plan.names[-1:]:
            assert name in inside
    score = f"test/{TASKS[task].score}"
    [runs] = spec["workspace"]["spec"]["section"]["runSets"]
    assert runs["sort"]["keys"] == [{"key": {"section": "summary", "name": score}, "ascending": False}]
    assert f"summary:{score}/ci95_low" in runs["runFeed"]["columnOrder"]
    filters = {f["key"]["name"]: (f["op"], f["value"]) for f in runs["filters"]["filters"]}
    assert filters == {"task_name": ("=", task), "jobType": ("!=", "eval")}


def test_curves_are_shown_by_group_with_their_deviation():
    config = next(p["config"] for _, p in panels(specs("e", "p", "vqa")) if p["config"].get("groupBy"))
    assert (config["groupBy"], config["groupAgg"], config["groupArea"]) == ("group", "mean", "stddev")
    assert config["xAxis"] == "trainer/global_step"
    assert config["metrics"] == ["val/vqa_accuracy"]


def test_the_confusion_matrix_reads_the_table_that_runs_log():
    [panel] = [p for _, p in panels(specs("e", "p", "classification")) if p["viewType"] == "Vega2"]
    assert panel["config"]["panelDefId"] == "wandb/confusion_matrix/v1"
    assert "test_tables/confusion_matrix_table" in texts(panel["config"])


def test_the_report_has_the_sections(capsys):
    assert main(["--task", "contrastive", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["report"]
    blocks = report["spec"]["blocks"]
    headings = [block["children"][0]["text"] for block in blocks if block["type"] == "heading"]
    assert headings == [section.title for section in review_sections("contrastive")]
    assert len([block for block in blocks if block["type"] == "panel-grid"]) == len(headings)


def test_the_outline_needs_nothing_but_mmdl(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert main(["--task", "vqa", "--print"]) == 0
    text = capsys.readouterr().out
    for section in review_sections("vqa"):
        assert section.title in text
        for panel in section.panels:
            assert panel.title in text


@pytest.mark.parametrize(
    ("words", "given", "fix"),
    [
        (["--task", "vqb", "--print"], "there is no review of the task 'vqb'", "--task vqa"),
        (["--task", "vqb"], "there is no review of the task 'vqb'", "--task vqa"),
        (["--entity", "team"], "a workspace can't be saved: WANDB_MODE=offline", "wandb login"),
    ],
)
def test_mistakes_are_said_in_one_error(capsys, words, given, fix):
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {given}")
    assert fix in error


def test_without_the_library_the_extra_is_named(capsys, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "wandb_workspaces"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(UserError, match="wandb-workspaces is not installed"):
        specs("e", "p", "vqa")
    assert main(["--json"]) == 2
    assert "pip install 'mmdl[workspace]'" in capsys.readouterr().err


def test_both_are_saved_for_an_account(monkeypatch):
    saved = []

    class Saved:
        url = "https://wandb.ai/x"

        def __init__(self, kind, *given):
            saved.append((kind, *given))

        def save(self):
            return self

    monkeypatch.setattr("mmdl.runs.wandb_login.offline_reason", lambda: None)
    for kind in ("workspace", "report"):
        monkeypatch.setattr(workspace, f"build_{kind}", lambda *given, kind=kind: Saved(kind, *given))
    assert workspace.save("team", "p", "vqa") == ["https://wandb.ai/x"] * 2
    assert saved == [("workspace", "team", "p", "vqa"), ("report", "team", "p", "vqa")]
    with pytest.raises(UserError, match="--entity"):
        workspace.save("", "p", "vqa")


def test_the_script_runs(repo):
    done = subprocess.run(
        [sys.executable, repo / "scripts" / "wandb_workspace.py", "--task", "classification", "--print"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "Confusion matrix" in done.stdout
