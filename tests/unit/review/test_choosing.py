import json
import os

import pytest

from mmdl.errors import UserError
from mmdl.review.choosing import choose_runs


@pytest.fixture
def root(tmp_path, folders):
    root = tmp_path / "runs"
    for number, name in enumerate(("vqa-1", "vqa-2", "clip-1")):
        path = folders.write_run(root, name, name.split("-")[0], "val/accuracy", {})
        os.utime(path / "config.yaml", (1000 + number, 1000 + number))
    (root / "reviews").mkdir()
    return root


def _names(words, root):
    return [path.name for path in choose_runs(words.split(), root)]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("vqa-2", ["vqa-2"]),
        ("latest", ["clip-1"]),
        ("latest:2", ["vqa-2", "clip-1"]),
        ("latest:9", ["vqa-1", "vqa-2", "clip-1"]),
        ("vqa-*", ["vqa-1", "vqa-2"]),
        ("vqa", ["vqa-1", "vqa-2"]),
        ("*-1 vqa-1 vqa-2", ["clip-1", "vqa-1", "vqa-2"]),
    ],
)
def test_words_stand_for_runs(root, words, names):
    assert _names(words, root) == names


def test_folders_stand_for_the_runs_in_them(root, tmp_path, folders):
    other = folders.write_run(tmp_path / "elsewhere", "x", "vqa", "val/accuracy", {})
    assert choose_runs([str(other)], root) == [other]
    assert _names(str(root), root) == ["clip-1", "vqa-1", "vqa-2"]
    assert _names(f"{tmp_path}/else*/x", root) == ["x"]


def test_a_study_stands_for_its_arms(root, folders):
    for arm in ("sgd", "adam"):
        folders.write_run(root / "vqa-1" / "arms", arm, "vqa", "val/accuracy", {})
    assert _names("vqa-1 vqa-2", root) == ["adam", "sgd", "vqa-2"]


def test_a_sweep_stands_for_its_trials(root):
    folder = root / "sweeps" / "lr"
    folder.mkdir(parents=True)
    trials = [{"number": n, "run": run} for n, run in enumerate(("vqa-2", "clip-1", "not-begun"))]
    (folder / "sweep.json").write_text(json.dumps({"version": 1, "trials": trials}))
    for word in ("lr", str(folder)):
        assert _names(word, root) == ["vqa-2", "clip-1"]


def test_a_damaged_run_can_be_named(root):
    (root / "vqa-1" / "config.yaml").unlink()
    assert _names("vqa-1", root) == ["vqa-1"]


def test_what_is_not_there_gets_the_nearest_names(root, tmp_path):
    with pytest.raises(UserError) as caught:
        choose_runs(["vqa-3"], root)
    assert caught.value.given == f"there is no run 'vqa-3' in {root}"
    assert caught.value.valid.startswith("vqa-1, vqa-2, vqa, ")
    with pytest.raises(UserError, match="there is no run 'latest'") as caught:
        choose_runs(["latest"], tmp_path / "none")
    assert "train" in caught.value.fix
    with pytest.raises(UserError):
        choose_runs(["nothing-*"], root)
    with pytest.raises(UserError):
        choose_runs(["latest:0"], root)
