"""What a run is reproduced with."""

from mmdl.review.model import Review, RunView
from mmdl.review.page.sections.reproduce import section


def test_commit_changes_versions_hardware_and_data_are_told(tmp_path):
    manifest = {
        "mmdl_git": {"commit": "abc", "dirty": True},
        "git": {"commit": "def", "dirty": False},
        "packages": {"torch": "2.15.0"},
        "hardware": {"cpu": "EPYC", "cores": 2, "gpus": ["H100"]},
        "data": {"train": "0123456789abcdef0123"},
        "marks": {"trained_on_val": True, "skipped": {"truncated": 3}},
    }
    found = section(
        Review([RunView(tmp_path, "a", seed=7, command="python -m mmdl train x", manifest=manifest)])
    ).html
    for words in (
        "with changes that were not committed",
        "clean",
        "torch 2.15.0",
        "EPYC, 2 cores, GPUs: H100",
        "0123456789abcdef…",
        "trained on val: yes; skipped: truncated 3",
        "<dd>7</dd>",
        "python -m mmdl train x",
    ):
        assert words in found, words


def test_odd_manifests_are_taken_as_they_are(tmp_path):
    manifest = {"mmdl_git": 3, "packages": [], "hardware": "none", "data": None, "marks": []}
    found = section(Review([RunView(tmp_path, "a", manifest=manifest)])).html
    assert "The command is not known" in found
    assert found.count("no commit known") == 2
