"""Listing trees of class folders: what counts as an image, what is passed over, what is bad."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from mmdl.data.readers.class_folders import folder_names, image_names, list_class_folders
from mmdl.errors import UserError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_classes_and_files_are_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "dog/b.jpg", "dog/a.JPEG", "cat/2/x.png", "cat/10.webp", "cat/2/a/b/c.tif", "Ant/1.bmp")
    found = list_class_folders(str(tmp_path))
    assert found.classes == ("Ant", "cat", "dog")
    assert found.names.to_pylist() == [
        "Ant/1.bmp",
        "cat/10.webp",
        "cat/2/a/b/c.tif",
        "cat/2/x.png",
        "dog/a.JPEG",
        "dog/b.jpg",
    ]
    assert found.labels.tolist() == [0, 1, 1, 1, 2, 2]
    assert found.counts().tolist() == [1, 3, 2]
    assert found.bad == []
    assert set(found.folders) == {"", "Ant", "cat", "cat/2", "cat/2/a", "cat/2/a/b", "dog"}


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    touch(
        tmp_path, "cat/a.jpg", "cat/.DS_Store", "cat/._a.jpg", ".git/x.jpg", "__MACOSX/y.jpg", "cat/Thumbs.db"
    )
    touch(tmp_path, "cat/.hidden/z.jpg", "desktop.ini", "README.md", "labels.csv")
    found = list_class_folders(str(tmp_path))
    assert found.names.to_pylist() == ["cat/a.jpg"]
    assert found.bad == []


def test_files_that_are_no_images_are_bad(tmp_path: Path) -> None:
    touch(tmp_path, "cat/a.jpg", "cat/notes.txt", "dog/sub/readme", "dog/b.jpg", "loose.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "cat/scan", "PNG")  # an image without an ending
    found = list_class_folders(str(tmp_path))
    assert found.names.to_pylist() == ["cat/a.jpg", "cat/scan", "dog/b.jpg"]
    reasons = {samples.message.split()[0]: samples.reason for samples in found.bad}
    assert reasons == {
        f"{tmp_path}/cat/notes.txt": "not an image",
        f"{tmp_path}/dog/sub/readme": "not an image",
        f"{tmp_path}/loose.png": "image outside the class folders",
    }


def test_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    touch(root, "cat/a.jpg", "cat/deep/b.jpg")
    touch(tmp_path, "elsewhere/c.jpg")
    (root / "dog").symlink_to(tmp_path / "elsewhere")
    (root / "cat/d.jpg").symlink_to(root / "cat/a.jpg")
    (root / "cat/deep/up").symlink_to(root / "cat")
    (root / "cat/deep/top").symlink_to(root)
    (root / "cat/gone.jpg").symlink_to(root / "nothing.jpg")
    (root / "cat/self.jpg").symlink_to(root / "cat/self.jpg")
    found = list_class_folders(str(root))
    assert found.names.to_pylist() == ["cat/a.jpg", "cat/d.jpg", "cat/deep/b.jpg", "dog/c.jpg"]
    assert sorted((samples.reason, samples.message.split()[0]) for samples in found.bad) == [
        ("link in a circle", f"{root}/cat/deep/top"),
        ("link in a circle", f"{root}/cat/deep/up"),
        ("missing", f"{root}/cat/gone.jpg"),
        ("missing", f"{root}/cat/self.jpg"),
    ]


def test_empty_folders_are_classes_without_images(tmp_path: Path) -> None:
    touch(tmp_path, "cat/a.jpg")
    (tmp_path / "dog").mkdir()
    found = list_class_folders(str(tmp_path))
    assert found.classes == ("cat", "dog")
    assert found.counts().tolist() == [1, 0]
    assert list_class_folders(str(tmp_path / "dog")).classes == ()


def test_a_name_that_is_not_utf8_is_bad(tmp_path: Path) -> None:
    touch(tmp_path, "cat/où.jpg")
    os.close(os.open(os.fsencode(tmp_path / "cat") + b"/\xff.jpg", os.O_CREAT))
    found = list_class_folders(str(tmp_path))
    assert found.names.to_pylist() == ["cat/où.jpg"]
    assert [samples.reason for samples in found.bad] == ["name is not UTF-8"]
    assert "\\udcff.jpg" in found.bad[0].message


def test_a_folder_that_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "cat/a.jpg", "dog/b.jpg")
    scandir = os.scandir

    def refusing(place: str) -> object:  # tests run as root, who may read everything
        if str(place).endswith("dog"):
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(
        UserError, match=f"the folder {tmp_path}/dog can't be read: Permission denied"
    ) as caught:
        list_class_folders(str(tmp_path))
    assert f"chmod u+rx {tmp_path}/dog" in caught.value.fix


def test_names_directly_in_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPEG", "a.jpg", "c.txt", ".d.jpg", "sub/e.jpg", ".sub/f.jpg")
    assert image_names(str(tmp_path)) == ["a.jpg", "b.JPEG"]
    assert folder_names(str(tmp_path)) == ["sub"]
