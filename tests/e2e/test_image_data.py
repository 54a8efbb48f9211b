"""Image data from the command line: the test split stays apart, other data meets the model, errors are clear."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mmdl.data import imagefolder, mnist
from mmdl.data.image_dataset import ImageDataset
from mmdl.data.readers.idx import read_idx, write_idx
from mmdl.data.sources.idx_images import NAMES
from mmdl.errors import UserError

QUICK = (
    "+experiment=mnist",
    "quick=true",
    "logger=none",
    "trainer.max_epochs=2",
    "data.batch_size=32",
    "data.val_share=0.2",
    "augment@data.augment=[]",
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    mnist.write_fixture(folder)
    return folder


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Three classes of JPEGs in one tree."""
    folder = tmp_path_factory.mktemp("colours")
    imagefolder.write_fixture(folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run_command, digits, colours):
    """A grey run on digits and an RGB run on a folder."""
    root = tmp_path_factory.mktemp("runs")
    run_command("train", *QUICK, f"data.root={digits}", f"run.root={root}", "run.id=grey")
    own = ("data=imagefolder", f"data.root={colours}", "data.image_size=32")
    run_command("train", *QUICK, *own, f"run.root={root}", "run.id=colour", "trainer.max_epochs=10")
    return root


def command(capsys, monkeypatch, *words):
    from mmdl.__main__ import main

    monkeypatch.setattr(sys, "argv", ["mmdl", *words])
    code = main()
    return code, capsys.readouterr()


# -- the test split -------------------------------------------------------------------------------------------------


def test_no_test_image_is_read_before_the_final_test(digits, tmp_path, run_command, monkeypatch):
    from mmdl.commands import train

    read = []
    plain = ImageDataset.__getitem__
    final_test = train._test

    def reading(self, rows):
        read.extend(self.split.ids[row] for row in rows.tolist())
        return plain(self, rows)

    def testing(*arguments):
        read.append("the final test")
        return final_test(*arguments)

    monkeypatch.setattr(ImageDataset, "__getitem__", reading)
    monkeypatch.setattr(train, "_test", testing)
    run_command("train", *QUICK, f"data.root={digits}", f"run.root={tmp_path}", "run.id=x")
    before = read[: read.index("the final test")]
    after = read[read.index("the final test") + 1 :]
    assert {id_.split("/")[0] for id_ in before} == {"train"}  # validation images are held out of train
    assert {f"test/{row}" for row in range(40)} <= set(after)
    assert not [id_ for id_ in after if id_.startswith("train")]


def test_other_test_images_give_the_same_weights(digits, tmp_path, run_command):
    other = shutil.copytree(digits, tmp_path / "other")
    images, labels = (other / f"{name}.gz" for name in NAMES["test"])
    write_idx(images, 255 - read_idx(images))
    write_idx(labels, 9 - read_idx(labels))
    for run_id, root in (("a", digits), ("b", other)):
        run_command("train", *QUICK, f"data.root={root}", f"run.root={tmp_path}", f"run.id={run_id}")
    one, two = (load_file(tmp_path / run_id / "checkpoints/final.safetensors") for run_id in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)
    summaries = [json.loads((tmp_path / run_id / "summary.json").read_text()) for run_id in "ab"]
    assert summaries[0]["test/loss"] != summaries[1]["test/loss"]
    assert summaries[0]["best/val/accuracy"] == summaries[1]["best/val/accuracy"]


def test_the_run_says_how_its_splits_were_made(runs, colours, capsys, run_command):
    marks = json.loads((runs / "colour" / "manifest.json").read_text())["marks"]
    assert marks["data_notes"] == [
        "the set has no test split: 18 of its 90 images were held out for it, always the same"
    ]
    run_command("eval", "run=colour", f"root={runs}")
    shown = capsys.readouterr().out
    assert "no weight, setting or statistic comes from the test images" in shown
    assert "18 of its 90 images" in shown


# -- a run on other data ---------------------------------------------------------------------------------------------


def test_eval_on_another_folder_with_the_same_classes(runs, colours, tmp_path, capsys, run_command):
    for name in ("blue", "green", "red"):
        shutil.copytree(colours / name, tmp_path / "own/test" / name)
    score = run_command(
        "eval",
        "run=colour",
        f"root={runs}",
        "data=imagefolder",
        f"data.root={tmp_path}/own",
        f"output={tmp_path}/out",
    )
    assert "n = 90" in capsys.readouterr().out
    rows = [json.loads(line) for line in (tmp_path / "out/imagefolder-test.jsonl").read_text().splitlines()]
    assert len(rows) == 90
    assert np.mean([row["correct"] for row in rows]) == pytest.approx(score)
    assert score > 0.8
    assert rows[0]["id"] == "test/blue/002.jpg"


def test_eval_on_other_classes(runs, colours, tmp_path, capsys, monkeypatch):
    for name in ("blue", "green"):
        shutil.copytree(colours / name, tmp_path / "own/test" / name)
    (tmp_path / "own/test/green").rename(tmp_path / "own/test/yellow")
    words = ("eval", "run=colour", f"root={runs}", "data=imagefolder", f"data.root={tmp_path}/own")
    code, shown = command(capsys, monkeypatch, *words)
    assert code == 2
    assert (
        "the data has 2 classes (blue, yellow), and the run was trained on 3 (blue, green, red)" in shown.err
    )
    assert "missing: green, red; left over: yellow" in shown.err
    assert "Traceback" not in shown.err


def test_a_grey_run_sees_colour_images_in_grey(runs, digits, tmp_path, run_command, capsys):
    images, labels = (read_idx(digits / f"{name}.gz") for name in NAMES["test"])
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = tmp_path / "own/test" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(folder / f"{row:02d}.png")
    score = run_command(
        "eval",
        "run=grey",
        f"root={runs}",
        "data=imagefolder",
        f"data.root={tmp_path}/own",
        f"output={tmp_path}/out",
    )
    summary = json.loads((runs / "grey/summary.json").read_text())
    assert score == summary["test/accuracy"]["value"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("+data.channels=3",), "the model takes images of 1 channels, and the data's have 3"),
        (("+data.image_size=20",), "the model takes 28 x 28 pixels, and data.image_size=20"),
        (("data=shapes_vqa", "data.scenes_train=4"), "the run has no answers"),
    ],
)
def test_data_that_the_model_can_not_take(runs, capsys, monkeypatch, words, message):
    code, shown = command(capsys, monkeypatch, "eval", "run=grey", f"root={runs}", *words)
    assert code == 2, shown.err
    assert message in shown.err
    assert "Traceback" not in shown.err


def test_a_question_answering_run_has_no_classes(trained, digits, run_command):
    with pytest.raises(UserError, match="no run of image classification"):
        run_command("eval", "run=one", f"root={trained.root}", "data=mnist", f"data.root={digits}")


# -- bad folders ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own(colours, tmp_path, monkeypatch):
    """A sound folder in the current directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(colours, tmp_path / "images")
    return tmp_path / "images"


def empty_class(folder):
    (folder / "yellow").mkdir()


def one_image(folder):
    (folder / "yellow").mkdir()
    shutil.copy(next((folder / "red").iterdir()), folder / "yellow")


def text_file(folder):
    (folder / "red/notes.txt").write_text("hello")


def truncated(folder):
    path = next((folder / "red").iterdir())
    path.write_bytes(path.read_bytes()[:300])


def no_classes(folder):
    for path in folder.iterdir():
        shutil.rmtree(path)


BAD_FOLDERS = {
    "empty class": (empty_class, "the class 'yellow' has no images", 1),
    "one-image class": (one_image, "the class 'yellow' has one image only", 1),
    "non-image file": (text_file, "notes.txt is not an image", 1),
    "truncated image": (truncated, ".jpg': truncated", 1),
    "no classes": (no_classes, "there are no class folders", None),
    "missing root": (shutil.rmtree, "does not exist", None),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_bad_folder_is_one_clear_error(case, own, capsys, monkeypatch):
    break_it, message, skipped = BAD_FOLDERS[case]
    break_it(own)
    words = ("train", *QUICK, "data=imagefolder", "data.root=images", "data.image_size=32", "run.id=x")
    code, shown = command(capsys, monkeypatch, *words)
    assert code == 2
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not Path("runs/x").exists()
    if skipped is not None:
        code, shown = command(capsys, monkeypatch, *words, "data.on_bad_sample=skip")
        assert code == 0, shown.err
        assert "left out" in shown.err
        marks = json.loads(Path("runs/x/manifest.json").read_text())["marks"]
        assert sum(marks["skipped"].values()) == skipped


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("data.root=images", "model.in_channels=1"),
            "the model takes images of 1 channels, and the data's have 3",
        ),
        (("data.root=images", "data.channels=2"), "data.channels=2"),
        (("data.root=images", "data.image_size=null"), "sizes of their own"),
        ((), "data.root"),
    ],
)
def test_a_bad_setting_is_one_clear_error(own, capsys, monkeypatch, words, message):
    code, shown = command(
        capsys, monkeypatch, "train", *QUICK, "data=imagefolder", "data.image_size=32", "run.id=x", *words
    )
    assert code == 2
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert not Path("runs/x").exists()
