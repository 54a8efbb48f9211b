"""VQA v2's files: found where they lie, fetched where they don't."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmdl.data.readers.vqa_json_official import read_official
from mmdl.data.sources.vqa_v2 import FILES, SPLITS, layout, missing_files, prepare
from mmdl.errors import UserError

DATA = Path(os.environ.get("MMDL_TEST_DATA", "../shared/data")) / "coco"


def content(name: str) -> dict[str, bytes]:
    """What a small copy of an official archive holds."""
    kind, _, split = name.removesuffix("_mscoco.zip").removeprefix("v2_").partition("_")
    year = {"Train": "train2014", "Val": "val2014", "Test": "test2015"}.get(split, "")
    if kind == "Questions":
        asked = json.dumps({"questions": [{"question_id": 1, "image_id": 2, "question": "What?"}]}).encode()
        names = [year, "test-dev2015"] if year == "test2015" else [year]
        return {f"v2_OpenEnded_mscoco_{year}_questions.json": asked for year in names}
    if kind == "Annotations":
        row = {"question_id": 1, "image_id": 2, "answers": [{"answer": "dog", "answer_id": 1}]}
        return {f"v2_mscoco_{year}_annotations.json": json.dumps({"annotations": [row]}).encode()}
    folder = name.removesuffix(".zip")
    return {f"{folder}/": b"", f"{folder}/COCO_{folder}_000000000002.jpg": b"pixels"}


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for member, data in content(name).items():
            file.writestr(zipfile.ZipInfo(member), data)
    return buffer.getvalue()


@pytest.fixture
def mirror(server: Any) -> Any:
    """The server with small copies of all archives, and a table that fits them."""
    server.table = []
    for file in FILES:
        data = zipped(file.name)
        server.files[f"/{file.kind}/{file.name}"] = data
        count = 1 if file.kind == "images" else None
        changed = replace(
            file, sha256=hashlib.sha256(data).hexdigest(), size=len(data), unpacked=1000, files=count
        )
        server.table.append(changed)
    server.base_urls = {kind: f"{server.url}/{kind}" for kind in ("images", "questions", "annotations")}
    return server


def run(mirror: Any, root: Path, splits: tuple[str, ...] = ("train", "val"), **options: Any) -> Any:
    quiet: dict[str, Any] = {"say": lambda line: None}
    return prepare(root, splits, base_urls=mirror.base_urls, **(quiet | {"files": mirror.table} | options))


def test_the_table() -> None:
    assert len(FILES) == 8
    assert len({file.sha256 for file in FILES}) == 8
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in FILES)
    assert sum(file.files or 0 for file in FILES) == 82_783 + 40_504 + 81_434
    assert {name for file in FILES for name in [file.provides]} >= {"train2014", "val2014", "test2015"}


def test_everything_is_fetched_once(mirror: Any, tmp_path: Path) -> None:
    said: list[str] = []
    root = tmp_path / "vqa"
    places = run(mirror, root, SPLITS, say=said.append)
    assert len(said) == 8
    assert said[0].startswith("[1/8] v2_Questions_Train_mscoco.zip")
    assert sorted(path.name for path in root.iterdir()) == ["annotations", "images"]
    index = read_official(*places["train"])
    assert (index.questions[0], index.answers[0]) == ("What?", ["dog"])
    assert places["test"].annotations is None
    assert read_official(*places["test-dev"]).num_images == 1
    asked = len(mirror.log)
    assert run(mirror, root, SPLITS) == places
    assert len(mirror.log) == asked == 8


def test_only_what_is_missing_is_fetched(mirror: Any, tmp_path: Path) -> None:
    run(mirror, tmp_path, ("val",))
    assert len(mirror.log) == 3
    shutil.rmtree(tmp_path / "images")
    run(mirror, tmp_path, ("val",), keep_zips=True)
    assert [path for path, *_ in mirror.log[3:]] == ["/images/val2014.zip"]
    assert (tmp_path / "downloads/val2014.zip").is_file()


@pytest.mark.parametrize("flat", [True, False])
def test_files_that_lie_in_root_are_taken(mirror: Any, tmp_path: Path, flat: bool) -> None:
    for file in FILES:
        for name, data in content(file.name).items():
            place = tmp_path / (Path(name).name if flat and not name.endswith("/") else name)
            if not name.endswith("/"):
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(data)
    assert missing_files(tmp_path, SPLITS) == []
    places = run(mirror, tmp_path, SPLITS)
    assert mirror.log == []
    assert places["train"].image_dir == (tmp_path if flat else tmp_path / "train2014")
    assert len(read_official(*places["val"])) == 1


def test_an_archive_that_the_user_brought_is_unpacked_and_kept(mirror: Any, tmp_path: Path) -> None:
    (tmp_path / "zips").mkdir()
    (tmp_path / "zips/val2014.zip").write_bytes(mirror.files["/images/val2014.zip"])
    run(mirror, tmp_path, ("val",))
    assert len(mirror.log) == 2
    assert (tmp_path / "zips/val2014.zip").is_file()
    assert (tmp_path / "images/val2014/COCO_val2014_000000000002.jpg").read_bytes() == b"pixels"


def test_another_file_than_the_official_one_is_refused(mirror: Any, tmp_path: Path) -> None:
    body = bytearray(mirror.files["/images/val2014.zip"])
    body[40] ^= 1
    mirror.files["/images/val2014.zip"] = bytes(body)
    with pytest.raises(UserError, match=r"val2014\.zip is not the expected file: sha256"):
        run(mirror, tmp_path, ("val",))
    assert not (tmp_path / "images").exists()
    assert (tmp_path / "annotations/v2_mscoco_val2014_annotations.json").exists()  # done before, and kept


def test_a_mirror_without_the_file(mirror: Any, tmp_path: Path) -> None:
    del mirror.files["/annotations/v2_Annotations_Val_mscoco.zip"]
    with pytest.raises(UserError, match="HTTP 404"):
        run(mirror, tmp_path, ("val",))


def test_the_disk_is_asked_for_all_of_it_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=20_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"not enough space for VQA v2 in .*: 27.48 GB needed, 20.00 GB free"):
        prepare(tmp_path / "vqa", ("train",))
    assert not (tmp_path / "vqa").exists()


def test_what_an_interrupted_run_left_is_not_asked_for_again(
    mirror: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = [replace(file, unpacked=1_000_000) for file in mirror.table if file.kind == "images"]
    unpacked = tmp_path / "images/.val2014.zip.partial/val2014"
    unpacked.mkdir(parents=True)
    (unpacked / "COCO_val2014_000000000002.jpg").write_bytes(b"pixels")
    (unpacked / "COCO_val2014_000000000003.jpg").write_bytes(bytes(990_000))
    places = layout(tmp_path)["val"]
    for place in (places.questions, places.annotations):
        assert place is not None
        place.parent.mkdir(exist_ok=True)
        place.touch()
    usage = shutil.disk_usage(tmp_path)._replace(free=(64 << 20) + 100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    run(mirror, tmp_path, ("val",), files=table)
    assert places.image_dir.is_dir()


def test_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        missing_files(tmp_path, ("valid",))
    assert str(caught.value) == "unknown split 'valid' of VQA v2\n  valid: val, train, test-dev, test"


def test_missing_files_of_an_empty_folder(tmp_path: Path) -> None:
    names = [file.name for file in missing_files(tmp_path, ("test", "test-dev"))]
    assert names == ["v2_Questions_Test_mscoco.zip", "test2015.zip"]
    assert layout(tmp_path)["val"].image_name.format(image_id=42) == "COCO_val2014_000000000042.jpg"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real COCO data at {DATA}")
def test_real_data_is_found() -> None:
    assert missing_files(DATA) == []
    index = read_official(*layout(DATA)["train"])
    assert (len(index), index.num_images) == (552, 181)
