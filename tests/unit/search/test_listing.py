import os

import pytest

from mmdl.errors import UserError
from mmdl.search.listing import list_images


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))


def test_images_below_a_folder_by_their_endings(tmp_path):
    names = ["b.PNG", "a/c.jpeg", "a/d/e.webp", "f.avif", "$x$ <b>\n'.gif", "größe 漢.jpg"]
    make(tmp_path, *names, "notes.txt", "png", ".hidden.png", ".git/a.png", "a/Thumbs.db")
    found = list_images(tmp_path)
    assert found.names == sorted(names)
    assert found.sizes == [len(name.encode()) for name in sorted(names)]
    assert found.times == [(tmp_path / name).stat().st_mtime_ns for name in sorted(names)]
    assert found.bad == []


def test_links(tmp_path):
    make(tmp_path, "images/a/b.png")
    (tmp_path / "images" / "a" / "up").symlink_to(tmp_path / "images")
    (tmp_path / "images" / "gone.png").symlink_to(tmp_path / "nothing")
    make(tmp_path, "other/c.png")
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "other")
    found = list_images(tmp_path / "images")
    assert found.names == ["a/b.png", "linked/c.png"]
    assert sorted(one.reason for one in found.bad) == ["link in a circle", "missing"]


def test_the_indexs_own_folder_is_left_out(tmp_path):
    make(tmp_path, "a.png", "index/searches/contact_sheet.png")
    assert list_images(tmp_path, tmp_path / "index").names == ["a.png"]


def test_a_name_that_is_not_utf8_is_bad(tmp_path):
    make(tmp_path, "a.png", os.fsdecode(b"\xff.png"))
    found = list_images(tmp_path)
    assert found.names == ["a.png"]
    assert [one.reason for one in found.bad] == ["name is not UTF-8"]
    found.bad[0].message.encode()


def test_a_folder_that_cant_be_read_is_named(tmp_path, monkeypatch):
    make(tmp_path, "a.png", "secret/b.png")
    scandir = os.scandir

    def refusing(place):
        if str(place).endswith("secret"):
            raise PermissionError(13, "Permission denied", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    found = list_images(tmp_path)
    assert found.names == ["a.png"]
    assert [one.message for one in found.bad] == [f"{tmp_path}/secret can't be read: Permission denied"]
    with pytest.raises(UserError, match="can't be read: Permission denied"):
        list_images(tmp_path / "secret")


@pytest.mark.parametrize(
    ("name", "message"), [("nothing", "does not exist"), ("a.txt", "is a file"), ("", "no image")]
)
def test_what_is_no_folder_of_images(tmp_path, name, message):
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(UserError, match=message):
        list_images(tmp_path / name)
