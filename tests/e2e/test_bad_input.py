"""What a user can get wrong, from the command line: one clear error, exit code 2, nothing lost, nothing left behind."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TRAIN = ("train", "+experiment=vqa_json", "quick=true", "logger=none", "data.image_size=32")


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A sound data set in the current directory: 12 images, 24 questions."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    rows = []
    for number in range(12):
        colour = ("red", "green", "blue")[number % 3]
        Image.new("RGB", (40, 40), colour).save(f"images/{number}.jpg")
        rows.append({"image": f"{number}.jpg", "question": "what color is it?", "answer": colour})
        rows.append({"image": f"{number}.jpg", "question": f"is it {colour}?", "answer": "yes"})
    write(rows)
    return tmp_path


def write(rows):
    Path("train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows():
    return [json.loads(line) for line in Path("train.jsonl").read_text().splitlines()]


def run(capsys, monkeypatch, *overrides):
    from mmdl.__main__ import main

    words = ["mmdl", *TRAIN, "data.train=train.jsonl", "data.image_root=images", "run.id=x", *overrides]
    monkeypatch.setattr(sys, "argv", words)
    code = main()
    return code, capsys.readouterr().err


def add_row(**row):
    write([*rows(), {"image": "0.jpg", "question": "a b?", "answer": "yes"} | row])


def append(data):
    Path("train.jsonl").write_bytes(Path("train.jsonl").read_bytes() + data)


def replace_image(data):
    Path("images/3.jpg").write_bytes(data)


def truncated():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save("images/3.jpg")
    data = Path("images/3.jpg").read_bytes()
    replace_image(data[: len(data) // 2])


def bomb():
    """A PNG whose header promises 100 megapixels."""
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    replace_image(png)


BAD_DATA = {
    "missing image": (lambda: add_row(image="nothing.jpg"), "nothing.jpg"),
    "truncated JPEG": (truncated, "3.jpg"),
    "zero-byte file": (lambda: replace_image(b""), "3.jpg"),
    "non-image bytes": (lambda: replace_image(b"hello world"), "3.jpg"),
    "100 megapixels": (bomb, "3.jpg"),
    "malformed JSON": (lambda: append(b'{"image": \n'), "line 25"),
    "missing key": (lambda: write([*rows(), {"image": "0.jpg", "qestion": "a?", "answer": "b"}]), "question"),
    "duplicate question id": (
        lambda: write([row | {"question_id": 7} for row in rows()[:2]] + rows()[2:]),
        "question_id|question id",
    ),
    "empty question": (lambda: add_row(question="  "), "empty question|question is empty"),
    "10,000-word question": (lambda: add_row(question="why " * 10_000), "10,?000"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_one_clear_error(case, own, capsys, monkeypatch):
    import re

    break_it, named = BAD_DATA[case]
    break_it()
    code, error = run(capsys, monkeypatch)
    assert code == 2
    assert re.search(named, error), error
    assert "Traceback" not in error
    assert not (own / "runs" / "x").exists()


@pytest.mark.parametrize(
    "case", ["missing image", "zero-byte file", "empty question", "10,000-word question"]
)
def test_bad_samples_can_be_left_out_and_are_counted(case, own, capsys, monkeypatch):
    BAD_DATA[case][0]()
    code, error = run(capsys, monkeypatch, "data.on_bad_sample=skip")
    assert code == 0, error
    assert "left out" in error
    manifest = json.loads((own / "runs" / "x" / "manifest.json").read_text())
    assert sum(manifest["marks"]["skipped"].values()) == (2 if case == "zero-byte file" else 1)


def test_all_kinds_of_images_load(own, capsys, monkeypatch):
    Image.new("CMYK", (40, 40), (0, 255, 255, 0)).save("images/0.jpg")
    Image.fromarray(np.full((40, 40), 40_000, dtype=np.uint16)).save("images/16.png")
    Image.new("L", (40, 40), 99).save("images/grey.png")
    Image.new("P", (40, 40), 3).save("images/palette.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (50, 30), "red").save("images/turned.jpg", exif=exif)
    write(
        [
            *rows(),
            *(
                {"image": f, "question": "q?", "answer": "yes"}
                for f in ("16.png", "grey.png", "palette.png", "turned.jpg")
            ),
        ]
    )
    code, error = run(capsys, monkeypatch)
    assert code == 0, error


def test_a_csv_that_is_not_utf8_is_named_with_its_byte(own, capsys, monkeypatch):
    (own / "train.csv").write_bytes("image,question,answer\n0.jpg,où?,yes\n".encode("latin-1"))
    code, error = run(capsys, monkeypatch, "data.train=train.csv")
    assert code == 2
    assert "UTF-8" in error


BAD_CONFIG = {
    "unknown key": (["data.batch_sze=3"], "data.batch_size"),
    "unknown argument": (["+model.hidden=3"], "model.hidden"),
    "wrong type": (["optimizer.lr=fast"], "optimizer.lr"),
    "wrong type of the data": (["data.batch_size=many"], "data.batch_size"),
    "unknown experiment": (["experiment=vqaa"], "vqa"),
    "unknown fusion": (["model/fusion=flim"], "film"),
    "missing file": (["data.train=nothing.jsonl"], "nothing.jsonl"),
    "unknown optimizer": (["optimizer.name=AdmaW"], "AdamW"),
    "fp16 on a CPU": (["trainer.precision=16-mixed", "trainer.accelerator=cpu"], "bf16-mixed"),
    "an id that is a path": (["run.id=../x"], "can't name a folder"),
    "nothing to freeze": (["task.freeze=[imagetower]"], "image_tower"),
    "resume of nothing": (["resume=nothing"], "no run 'nothing'"),
}


@pytest.mark.parametrize("case", BAD_CONFIG)
def test_a_bad_configuration_is_one_clear_error(case, own, capsys, monkeypatch):
    overrides, named = BAD_CONFIG[case]
    code, error = run(capsys, monkeypatch, *overrides)
    assert code == 2, error
    assert named in error
    assert "Traceback" not in error
    assert not (own / "runs").exists()


def test_all_errors_are_listed_at_once(own, capsys, monkeypatch):
    code, error = run(capsys, monkeypatch, "+model.hidden=3", "data.batch_size=many", "+task.losss=bce")
    assert code == 2
    assert "3 errors" in error
    for key in ("model.hidden", "data.batch_size", "task.losss"):
        assert key in error


def test_splits_that_share_images_are_refused(own, capsys, monkeypatch):
    code, error = run(capsys, monkeypatch, "data.val=train.jsonl", "data.test=train.jsonl")
    assert code == 2
    assert "'train' and 'val' share 12" in error
    assert "'train' and 'test' share 12" in error
