"""Artifacts: which files, with a limit, linked and not copied."""

import hashlib
import json
import os

import pytest

from mmdl.errors import UserError
from mmdl.runs import wandb_artifacts
from mmdl.runs.wandb_artifacts import check_kinds, log_artifacts


class Run:
    id = "r"

    def __init__(self):
        self.logged = {}

    def log_artifact(self, artifact, aliases):
        self.logged[artifact.name] = (artifact, aliases)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    run = tmp_path / "r"
    for name, size in (
        ("config.yaml", 10),
        ("predictions/test.jsonl", 1000),
        ("predictions/test_results.json", 500),
        ("predictions/val.jsonl", 500),
        ("checkpoints/best.safetensors", 3_000_000),
        ("checkpoints/last.ckpt", 10),
    ):
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    return run


def logged(folder, kinds, is_best=True, limit_mb=1024):
    run = Run()
    names = log_artifacts(
        run, folder, kinds, name="test", limit_mb=limit_mb, metadata={"metric": "m"}, is_best=is_best
    )
    assert names == list(run.logged)
    return run.logged


def test_files_aliases_and_metadata(folder):
    found = logged(folder, ["config", "predictions", "answers", "checkpoint"])
    assert list(found) == ["config-r", "predictions-r", "checkpoint-r"], "there is no answer list"
    artifact, aliases = found["predictions-r"]
    assert aliases == ["latest", "best"]
    assert set(artifact.manifest.entries) == {"test.jsonl", "test_results.json"}
    assert artifact.metadata["bytes"] == 1500
    digest = hashlib.sha256((folder / "predictions" / "test.jsonl").read_bytes()).hexdigest()
    assert artifact.metadata["sha256"]["test.jsonl"] == digest
    assert set(found["checkpoint-r"][0].manifest.entries) == {"best.safetensors"}
    assert found["config-r"][1] == ["latest"]


def test_weights_that_are_just_the_last_are_not_called_the_best(folder):
    assert logged(folder, ["checkpoint"], is_best=False)["checkpoint-r"][1] == ["latest"]


def test_nothing_is_copied_and_what_was_logged_stays_when_a_file_is_replaced(folder):
    before = sum(
        p.stat().st_size for p in {p.stat().st_ino: p for p in folder.rglob("*") if p.is_file()}.values()
    )
    artifact, _ = logged(folder, ["checkpoint"])["checkpoint-r"]
    entry = artifact.manifest.entries["best.safetensors"]
    path = folder / "checkpoints" / "best.safetensors"
    assert path.samefile(entry.local_path)
    after = sum(
        p.stat().st_size for p in {p.stat().st_ino: p for p in folder.rglob("*") if p.is_file()}.values()
    )
    assert after == before
    assert not [p for p in (folder.parent / "data").rglob("*") if p.is_file()]
    content = path.read_bytes()
    (folder / "new").write_bytes(b"other")
    (folder / "new").replace(path)
    assert open(entry.local_path, "rb").read() == content  # noqa: PTH123, SIM115


def test_without_hard_links_there_is_a_copy(folder, monkeypatch):
    def refuse(*arguments):
        raise OSError(1, "not permitted")

    monkeypatch.setattr(wandb_artifacts.os, "link", refuse)
    artifact, _ = logged(folder, ["config"])["config-r"]
    path = artifact.manifest.entries["config.yaml"].local_path
    assert not (folder / "config.yaml").samefile(path)


def test_what_is_too_large_stays_and_is_said(folder, caplog):
    with caplog.at_level("INFO", logger="mmdl"):
        found = logged(folder, ["checkpoint", "config"], limit_mb=1)
    assert list(found) == ["config-r"]
    assert "checkpoint has 3 MB, more than logger.wandb.artifact_limit_mb=1" in caplog.text


def test_an_unknown_kind_is_a_mistake_of_the_user():
    with pytest.raises(UserError) as caught:
        check_kinds(["config", "predictoins"])
    assert "predictions" in str(caught.value)


def test_metadata_is_json(folder):
    artifact, _ = logged(folder, ["config"])["config-r"]
    assert json.loads(json.dumps(artifact.metadata))["metric"] == "m"
