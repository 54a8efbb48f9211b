"""The list of runs: what a row says, what is missing in it, and what has changed since."""

import json
import os
import socket
import time

import pytest

from mmdl.review.serve import row
from mmdl.review.serve.listing import Listing


def rows_of(listing):
    listing.refresh(at_once=True)
    return {one["id"]: one for one in listing.since()["rows"]}


def listed(root):
    return rows_of(Listing(root))


def change(path, **values):
    held = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({key: value for key, value in (held | values).items() if value is not None}))


@pytest.fixture
def run(tmp_path, folders):
    return folders.vqa(tmp_path, "a", images=False)


@pytest.fixture
def running(run):
    change(
        run / "status.json", status="running", pid=os.getpid(), host=socket.gethostname(), time=time.time()
    )
    (run / "summary.json").unlink()
    return run


def test_a_finished_run(run, tmp_path):
    change(run / "summary.json", **{"time/wall_s": {"value": 12.5}, "best/val/vqa_accuracy": {"value": 0.75}})
    found = listed(tmp_path)["a"]
    summary = json.loads((run / "summary.json").read_text())["test/vqa_accuracy"]
    assert (found["metric"], found["value"], found["n"]) == (
        "test/vqa_accuracy",
        summary["value"],
        summary["n"],
    )
    assert [found["low"], found["high"]] == summary["ci95"]
    assert (found["name"], found["state"], found["seed"]) == ("vqa", "finished", 0)
    assert (found["share"], found["left_s"], found["seconds"], found["best"]) == (1.0, None, 12.5, 0.75)
    assert found["gaps"] == []
    assert found["started"] == 1795867200


def test_a_run_in_progress(running, tmp_path):
    change(running / "progress.json", step=50, total_steps=100, samples_per_s=10.0)
    found = listed(tmp_path)["a"]
    assert (found["state"], found["share"], found["seconds"], found["silent"]) == (
        "running",
        0.5,
        None,
        False,
    )
    assert found["left_s"] == pytest.approx(50)  # its lines are a second a step apart
    assert (found["metric"], found["value"], found["n"]) == ("val/vqa_accuracy", found["best"], None)
    assert found["best"] == pytest.approx(1 - 0.5**4)


def test_a_run_whose_process_is_gone_was_killed(running, tmp_path):
    change(running / "status.json", pid=2**22 + 1)
    found = listed(tmp_path)["a"]
    assert found["state"] == "killed"
    assert found["best"] == pytest.approx(1 - 0.5**4)


def test_a_run_of_another_machine_that_is_silent_is_marked(running, tmp_path, monkeypatch):
    change(running / "status.json", pid=1, host="another")
    assert not listed(tmp_path)["a"]["silent"]
    monkeypatch.setattr(row, "SILENT_S", -1.0)
    found = listed(tmp_path)["a"]
    assert (found["state"], found["silent"]) == ("running", True)


def test_runs_below_runs_and_deep_down_are_found_and_nothing_else(tmp_path, folders):
    for name in ("one", "sweeps/lr/0", "sweeps/lr/1", "study", "study/arms/small", "a/b/c/d/e"):
        folders.vqa((tmp_path / name).parent, name.split("/")[-1], images=False)
    folders.vqa(tmp_path / "one" / "media", "no_run")
    folders.vqa(tmp_path / "a/b/c/d/e/f/g", "too_deep")
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    assert sorted(listed(tmp_path)) == [
        "a/b/c/d/e",
        "one",
        "study",
        "study/arms/small",
        "sweeps/lr/0",
        "sweeps/lr/1",
    ]


def test_links_are_not_followed(tmp_path, folders):
    outside, root = tmp_path / "outside", tmp_path / "runs"
    folders.vqa(outside, "secret", images=False)
    run = folders.vqa(root, "a", images=False)
    (root / "link").symlink_to(outside / "secret")
    (root / "all").symlink_to(outside)
    (run / "arms").symlink_to(outside)
    (run / "status.json").unlink()
    (run / "status.json").symlink_to(outside / "secret" / "status.json")
    listing = Listing(root)
    found = rows_of(listing)
    assert list(found) == ["a"]
    assert "status.json is missing" in found["a"]["gaps"]
    notes = "\n".join(listing.since()["notes"])
    for name in ("link", "all", "a/arms", "a/status.json"):
        assert name in notes


def test_pipes_and_unreadable_folders_are_named(tmp_path, folders, monkeypatch):
    run = folders.vqa(tmp_path, "a", images=False)
    (run / "status.json").unlink()
    os.mkfifo(run / "status.json")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    listing = Listing(tmp_path)
    assert list(rows_of(listing)) == ["a"]
    notes = listing.since()["notes"]
    assert "locked can't be read: Permission denied" in notes
    assert any("a/status.json is no plain file" in note for note in notes)


def test_each_damaged_file_is_said_and_the_row_stays(tmp_path, folders):
    run = folders.vqa(tmp_path, "a", images=False)
    for name in ("status.json", "summary.json", "manifest.json", "progress.json"):
        (run / name).write_text('{"status": ')
    (run / "config.yaml").write_text("name: [\0")
    (run / "metrics.jsonl").write_bytes(b"\xff\xfe\n{}\n[1]\n{")
    found = listed(tmp_path)["a"]
    assert found["state"] == "unknown"
    for name in ("status.json", "summary.json", "manifest.json", "progress.json", "config.yaml"):
        assert f"{name} is damaged" in found["gaps"]


def test_each_missing_file_is_said_and_the_row_stays(tmp_path, folders):
    run = folders.vqa(tmp_path, "a", images=False)
    for name in ("status.json", "summary.json", "manifest.json", "metrics.jsonl"):
        (run / name).unlink()
    found = listed(tmp_path)["a"]
    assert {"status.json is missing", "manifest.json is missing", "metrics.jsonl is missing"} <= set(
        found["gaps"]
    )
    assert (found["name"], found["seed"], found["value"]) == ("vqa", 0, None)


@pytest.mark.parametrize(
    "odd",
    [None, 3, "x", [], {}, {"value": "nan"}, {"value": float("nan"), "n": "x", "ci95": [1]}, 10**400, True],
)
def test_odd_values_give_valid_json(tmp_path, folders, odd):
    run = folders.vqa(tmp_path, "a", images=False)
    for name in ("status.json", "manifest.json"):
        path = run / name
        path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()), odd)))
    (run / "summary.json").write_text(json.dumps({"test/vqa_accuracy": odd, "time/wall_s": odd}))
    json.dumps(listed(tmp_path), allow_nan=False)


def test_a_summary_of_an_older_version_has_plain_numbers(run, tmp_path):
    (run / "summary.json").write_text('{"test/vqa_accuracy": 0.5}')
    found = listed(tmp_path)["a"]
    assert (found["value"], found["n"], found["low"]) == (0.5, None, None)


def test_a_metric_that_is_never_a_number_is_said(running, tmp_path):
    lines = [json.dumps({"step": n, "time": n, "val/vqa_accuracy": "nan"}) for n in range(5)]
    (running / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    found = listed(tmp_path)["a"]
    assert (found["value"], found["best"]) == (None, None)
    assert "val/vqa_accuracy is not a number" in found["gaps"]


def test_only_what_has_changed_is_told_again(tmp_path, folders):
    for name in ("a", "b", "c"):
        folders.vqa(tmp_path, name, images=False)
    listing = Listing(tmp_path)
    listing.refresh()
    first = listing.since()
    assert (first["whole"], len(first["rows"]), first["gone"]) == (True, 3, [])
    listing.refresh(at_once=True)
    assert listing.since(first["tag"])["tag"] == first["tag"]
    assert listing.since(first["tag"])["rows"] == []
    change(tmp_path / "b" / "status.json", status="failed", error="out of memory")
    (tmp_path / "c").rename(tmp_path / "d")
    listing.refresh(at_once=True)
    second = listing.since(first["tag"])
    assert not second["whole"]
    assert {one["id"] for one in second["rows"]} == {"b", "d"}
    assert second["gone"] == ["c"]
    assert {one["id"]: one["error"] for one in second["rows"]}["b"] == "out of memory"


@pytest.mark.parametrize("tag", ["", "x", "-", "other-1", "{own}-99", "{own}--1", "{own}-x"])
def test_a_tag_that_is_not_known_gives_all(run, tmp_path, tag):
    listing = Listing(tmp_path)
    listing.refresh()
    found = listing.since(tag.format(own=listing.tag.split("-")[0]))
    assert (found["whole"], len(found["rows"])) == (True, 1)


def test_nothing_is_read_again_that_has_not_changed(run, tmp_path, monkeypatch):
    listing = Listing(tmp_path)
    listing.refresh()
    monkeypatch.setattr(row.Path, "read_text", None)
    monkeypatch.setattr(row, "read_tail", None)
    listing.refresh(at_once=True)
    assert listing.since()["rows"][0]["state"] == "finished"


def test_a_root_that_is_removed_empties_the_list_and_says_so(run, tmp_path):
    import shutil

    listing = Listing(tmp_path)
    listing.refresh()
    shutil.rmtree(tmp_path)
    listing.refresh(at_once=True)
    found = listing.since()
    assert found["rows"] == []
    assert any("can't be read" in note for note in found["notes"])


@pytest.mark.parametrize("text", ["..", "../a", "/etc", "a/..", "a/../a", "./a", "a/", "a\0", "", "A", "b"])
def test_an_id_is_never_taken_for_a_path(run, tmp_path, text):
    listing = Listing(tmp_path)
    assert listing.folder("a") == tmp_path / "a"
    assert listing.folder(text) is None
