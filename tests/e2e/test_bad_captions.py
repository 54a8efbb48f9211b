"""What can be wrong with own captions, from the command line: one clear error, exit code 2, nothing left behind."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

OPTIONS = (
    "+experiment=image_text",
    "quick=true",
    "logger=none",
    "data.image_size=16",
    "data.tokenizer.max_length=8",
)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A sound data set in the current directory: 12 images, 24 captions."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for number in range(12):
        Image.new("RGB", (40, 40), (20 * number, 100, 0)).save(f"images/{number}.png")
    write([{"image": f"{n}.png", "captions": [f"image {n}", f"number {n}."]} for n in range(12)])
    return tmp_path


def write(rows):
    Path("train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows():
    return [json.loads(line) for line in Path("train.jsonl").read_text().splitlines()]


def add(*new):
    write([*rows(), *new])


def run(verb, capsys, monkeypatch, *overrides):
    from mmdl.__main__ import main

    words = ["mmdl", verb, *OPTIONS, "data.train=train.jsonl", "data.image_root=images", *overrides]
    if verb == "train":
        words.append("run.id=x")
    monkeypatch.setattr(sys, "argv", words)
    code = main()
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def with_ids():
    given = [row | {"image_id": number} for number, row in enumerate(rows())]
    given[7]["image_id"] = 3
    write(given)


BAD = {
    # how it is broken, what the error names, what is left out
    "empty caption": (
        lambda: add({"image": "0.png", "caption": ""}),
        "line 13: empty caption",
        "empty caption",
        1,
    ),
    "spaces": (
        lambda: add({"image": "0.png", "caption": " \t"}),
        "line 13: empty caption",
        "empty caption",
        1,
    ),
    "no string": (lambda: add({"image": "0.png", "caption": 3}), "'caption' is a number", "wrong type", 1),
    "image without caption": (
        lambda: add({"image": "12.png", "captions": []}),
        "line 13: image without caption: image '12.png'",
        "image without caption",
        1,
    ),
    "duplicate image id": (
        with_ids,
        r"line 8: duplicate image id: 3 is 3.png at line 4, and 7.png here",
        "duplicate image id",
        1,
    ),
    "missing image": (
        lambda: Path("images/5.png").unlink(),
        "line 6: missing image: images/5.png",
        "missing image",
        1,
    ),
    "no image": (lambda: Path("images/5.png").write_bytes(b"hello"), "5.png", "not an image", 1),
    "empty file": (lambda: Path("images/5.png").write_bytes(b""), "5.png", "empty file", 1),
    "cut off": (
        lambda: Path("images/5.png").write_bytes(Path("images/5.png").read_bytes()[:60]),
        "5.png",
        "truncated",
        1,
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_sample_is_one_clear_error(case, own, capsys, monkeypatch):
    break_it, named, _, _ = BAD[case]
    break_it()
    for verb in ("check", "train"):
        code, said = run(verb, capsys, monkeypatch)
        assert code == 2
        assert re.search(named, said), said
        assert "data.on_bad_sample=skip" in said
        assert "Traceback" not in said
    assert not (own / "runs").exists()


def test_bad_samples_are_left_out_and_counted(own, capsys, monkeypatch):
    for case in ("empty caption", "no string", "image without caption", "missing image"):
        BAD[case][0]()
    Path("images/7.png").write_bytes(b"hello")
    expected = {
        "empty caption": 1,
        "wrong type": 1,
        "image without caption": 1,
        "missing image": 1,
        "not an image": 1,
    }
    code, said = run("check", capsys, monkeypatch, "data.on_bad_sample=skip")
    assert code == 0
    line = next(line for line in said.splitlines() if line.startswith("left out"))
    assert line == "left out     " + ", ".join(f"1 {reason}" for reason in sorted(expected))
    code, said = run("train", capsys, monkeypatch, "data.on_bad_sample=skip")
    assert code == 0, said
    manifest = json.loads(Path("runs/x/manifest.json").read_text())
    assert manifest["marks"]["skipped"] == expected
    assert "train 9 images, val 1 images" in said
    counts = ", ".join(f"1 {reason}" for reason in sorted(expected))
    assert f"left out of all splits (data.on_bad_sample=skip): {counts}" in said


def test_every_bad_line_is_named_at_once(own, capsys, monkeypatch):
    for case in ("empty caption", "no string", "image without caption", "missing image"):
        BAD[case][0]()
    Path("images/7.png").write_bytes(b"hello")
    Path("test.jsonl").write_text('{"image": "1.png", "captoin": "x"}\n')
    code, said = run("train", capsys, monkeypatch, "data.test=test.jsonl")
    assert code == 2
    assert "2 errors" in said
    for named in (
        "line 8: not an image: bad image 'images/7.png'",
        "5 bad samples",
        "empty caption",
        "wrong type",
        "image without caption",
        "missing image",
        "captoin",
    ):
        assert named in said
    assert not (own / "runs").exists()


def test_captions_longer_than_the_context_are_counted_and_training_goes_on(own, capsys, monkeypatch):
    add(
        {"image": "0.png", "caption": "one two three four five six seven eight nine"},
        {"image": "1.png", "caption": "one two three four five six seven eight"},
    )
    Path("test.csv").write_text("image,caption\n2.png," + "many words " * 6 + "\n")
    shutil.copy("images/2.png", "images/12.png")
    code, said = run("check", capsys, monkeypatch)
    assert code == 0
    assert re.search(
        r"truncated    captions longer than 8 tokens: [01] of \d\d in train, [01] of \d in val", said
    ), said
    write([row for row in rows() if row["image"] != "2.png"])
    code, said = run("train", capsys, monkeypatch, "data.test=test.csv")
    assert code == 0, said
    marks = json.loads(Path("runs/x/manifest.json").read_text())["marks"]["truncated_captions"]
    assert marks["train"] + marks["val"] == 1
    assert marks["test"] == 1
    assert "1 of 1 test captions are longer than 8 tokens: their ends were cut" in said


def test_copies_are_counted(own, capsys, monkeypatch):
    shutil.copy("images/2.png", "images/12.png")
    add({"image": "12.png", "caption": "as the second"}, rows()[4], rows()[4])
    code, said = run("train", capsys, monkeypatch)
    assert code == 0, said
    marks = json.loads(Path("runs/x/manifest.json").read_text())["marks"]
    assert sum(marks["joined_duplicates"].values()) == 4
    assert "entries are there twice, and were joined" in said


def test_mixed_images_are_refused(own, capsys, monkeypatch):
    code, said = run("train", capsys, monkeypatch, "augment@data.augment=[flip,mixup]")
    assert code == 2
    assert "data.augment.mixup mixes the classes of two images" in said
    assert not (own / "runs").exists()


def test_splits_that_share_images_are_refused(own, capsys, monkeypatch):
    code, said = run("train", capsys, monkeypatch, "data.test=train.jsonl")
    assert code == 2
    assert "'train' and 'test' share" in said
    assert not (own / "runs").exists()
