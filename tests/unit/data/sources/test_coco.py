"""COCO's caption files: found where they lie, fetched where they don't."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmdl.commands.data import main
from mmdl.data.coco_captions import CocoCaptionSource
from mmdl.data.readers.captions_official import read_captions
from mmdl.data.sources import coco
from mmdl.data.sources.coco import FILES, KARPATHY, layout, missing_files, prepare
from mmdl.errors import UserError


def content(name: str) -> dict[str, bytes]:
    """What a small copy of an official archive holds."""
    if name.startswith("annotations"):
        year = name.removesuffix(".zip")[-4:]
        prefix = {"2014": "COCO_{split}2014_", "2017": ""}[year]
        return {
            f"annotations/captions_{split}{year}.json": json.dumps(
                {
                    "images": [{"id": 2, "file_name": f"{prefix.format(split=split)}000000000002.jpg"}],
                    "annotations": [{"id": 1, "image_id": 2, "caption": f"a {split} image"}],
                }
            ).encode()
            for split in ("train", "val")
        } | {f"annotations/instances_val{year}.json": b"{}"}
    if name == "caption_datasets.zip":
        return {KARPATHY: b'{"images": []}', "dataset_flickr8k.json": b"{}"}
    folder = name.removesuffix(".zip")
    prefix = f"COCO_{folder}_" if folder.endswith("2014") else ""
    return {f"{folder}/": b"", f"{folder}/{prefix}000000000002.jpg": b"pixels"}


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for member, data in content(name).items():
            file.writestr(zipfile.ZipInfo(member), data)
    return buffer.getvalue()


@pytest.fixture
def mirror(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server with small copies of all archives, and a table that fits them."""
    server.table = []
    for file in FILES:
        data = zipped(file.name)
        server.files[f"/{file.kind}/{file.name}"] = data
        count = 1 if file.kind == "images" else None
        hashed = hashlib.sha256(data).hexdigest()
        server.table.append(replace(file, sha256=hashed, size=len(data), unpacked=1000, files=count))
    server.base_urls = {kind: f"{server.url}/{kind}" for kind in ("images", "annotations", "karpathy")}
    return server


def run(mirror: Any, root: Path, year: Any = 2014, **options: Any) -> Any:
    quiet: dict[str, Any] = {"say": lambda line: None, "files": mirror.table}
    return prepare(root, year, base_urls=mirror.base_urls, **(quiet | options))


def asked(mirror: Any) -> list[str]:
    return [path.rpartition("/")[2] for path, *_ in mirror.log]


def test_the_table() -> None:
    assert len({file.sha256 for file in FILES}) == len(FILES) == 7
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) and file.size for file in FILES)
    assert {file.provides: file.files for file in FILES if file.files} == {
        "train2014": 82_783,
        "val2014": 40_504,
        "train2017": 118_287,
        "val2017": 5_000,
    }


@pytest.mark.parametrize("year", [2014, 2017])
def test_everything_is_fetched_once(year: Any, mirror: Any, tmp_path: Path) -> None:
    said: list[str] = []
    places = run(mirror, tmp_path, year, karpathy=True, say=said.append)
    names = ["caption_datasets", f"annotations_trainval{year}", f"val{year}", f"train{year}"]
    assert asked(mirror) == [f"{name}.zip" for name in names]
    assert said[0].startswith("[1/4] caption_datasets.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["annotations", "images"]
    assert (tmp_path / "annotations" / KARPATHY).is_file()
    assert {split: read_captions(*place).captions for split, place in places.items()} == {
        "train": ["a train image"],
        "val": ["a val image"],
    }
    assert run(mirror, tmp_path, year, karpathy=True) == places
    assert len(mirror.log) == 4


def test_only_what_is_missing_is_fetched(mirror: Any, tmp_path: Path) -> None:
    run(mirror, tmp_path)
    assert "caption_datasets.zip" not in asked(mirror)
    shutil.rmtree(tmp_path / "images/val2014")
    run(mirror, tmp_path, keep_zips=True)
    assert asked(mirror)[3:] == ["val2014.zip"]
    assert (tmp_path / "downloads/val2014.zip").is_file()


@pytest.mark.parametrize("flat", [True, False])
def test_files_that_lie_in_root_are_taken(mirror: Any, tmp_path: Path, flat: bool) -> None:
    for file in FILES:
        for name, data in content(file.name).items():
            if not name.endswith("/") and "2017" not in name:
                place = tmp_path / (Path(name).name if flat else name)
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(data)
    assert missing_files(tmp_path, 2014, karpathy=True) == []
    places = run(mirror, tmp_path, karpathy=True)
    assert mirror.log == []
    assert places["val"].image_dir == (tmp_path if flat else tmp_path / "val2014")
    assert read_captions(*places["val"]).captions == ["a val image"]


def test_an_archive_that_the_user_brought_is_unpacked_and_kept(mirror: Any, tmp_path: Path) -> None:
    (tmp_path / "zips").mkdir()
    (tmp_path / "zips/train2017.zip").write_bytes(mirror.files["/images/train2017.zip"])
    run(mirror, tmp_path, 2017)
    assert asked(mirror) == ["annotations_trainval2017.zip", "val2017.zip"]
    assert (tmp_path / "zips/train2017.zip").is_file()
    assert (tmp_path / "images/train2017/000000000002.jpg").read_bytes() == b"pixels"


def test_another_file_than_the_official_one_is_refused(mirror: Any, tmp_path: Path) -> None:
    body = bytearray(mirror.files["/annotations/annotations_trainval2014.zip"])
    body[40] ^= 1
    mirror.files["/annotations/annotations_trainval2014.zip"] = bytes(body)
    with pytest.raises(UserError, match=r"annotations_trainval2014\.zip is not the expected file: sha256"):
        run(mirror, tmp_path)
    assert not (tmp_path / "annotations").exists()


def test_an_archive_without_what_it_should_hold(mirror: Any, tmp_path: Path) -> None:
    data = zipped("caption_datasets.zip")  # under the name of the annotations
    mirror.files["/annotations/annotations_trainval2014.zip"] = data
    table = [
        replace(file, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        if file.name == "annotations_trainval2014.zip"
        else file
        for file in mirror.table
    ]
    with pytest.raises(UserError, match=r"captions_train2014\.json is not in the archive"):
        run(mirror, tmp_path, files=table)


def test_the_disk_is_asked_for_all_of_it_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=20_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(
        UserError, match=r"not enough space for COCO 2017 in .*: \d+\.\d+ GB needed, 20.00 GB free"
    ):
        prepare(tmp_path / "coco", 2017)
    assert not (tmp_path / "coco").exists()


def test_the_command(
    mirror: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        coco.prepare, "__kwdefaults__", {**coco.prepare.__kwdefaults__, "files": mirror.table}
    )
    urls = [word for kind in mirror.base_urls for word in (f"--{kind}-url", mirror.base_urls[kind])]
    main(["prepare", "coco", "--year", "2017", "--karpathy", "--root", str(tmp_path), *urls])
    ready = f"ready: python -m mmdl train +experiment=clip_coco data.root={tmp_path} data.year=2017"
    assert ready in capsys.readouterr().out
    assert len(layout(tmp_path, 2017)) == 2
    with pytest.raises(UserError, match="data:"):
        main(["prepare", "coco", "--year", "2015"])


def test_the_source_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"COCO 2014 is not complete in .*captions_train2014.json") as caught:
        CocoCaptionSource(str(tmp_path)).prepare()
    assert f"python -m mmdl data prepare coco --year 2014 --root {tmp_path}" in caught.value.fix
